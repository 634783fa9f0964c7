"""How a probe is fitted: its head, its loss, the switches, the resample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.errors import InputError
from bandprobe.probes.files import FORMAT, ProbeFile, load
from bandprobe.probes.linear import PENALTIES, fit
from bandprobe.probes.validation import Examples
from bandprobe.protocol import Protocol
from bandprobe.store import EmbeddingStore, Fingerprint

if TYPE_CHECKING:
    from bandprobe.probes.files import Probe


# Raised when more is kept with a probe than before: one without it is made anew.
KEPT = "judged, novelty"


@dataclass(frozen=True)
class Recipe:
    """How a probe is fitted, whatever it is fitted on."""

    head: str
    loss: str
    protocol: Protocol
    replicate: int
    seed: int
    device: str

    @property
    def torch(self) -> bool:
        """Whether torch trains the head; scikit-learn does where it can."""
        plain = self.head == "linear" and self.loss == "bce"
        return not plain or self.protocol.thesis_optimiser or self.protocol.sigmoid_head

    @property
    def switches(self) -> tuple[str, ...]:
        """The switches that are on and change a probe."""
        names = ("thesis_optimiser", "sigmoid_head", "threshold_half", "adm_validation", "fda_relabel")
        return tuple(name for name in self.protocol.on if name in names)

    def check(self, store: EmbeddingStore, encoders: Mapping[str, str], filters: Sequence[str]) -> None:
        """Refuse what cannot work before anything is fitted.

        Raises:
            InputError: an unknown head or loss, or a head that some embeddings do not suit.
        """
        if not self.torch:
            return
        from bandprobe.probes import heads, losses

        losses.named(self.loss)
        for encoder in encoders:
            for spec in filters:
                heads.check(self.head, store.fingerprint(encoder, spec), encoder)

    def fit(
        self, examples: Examples, made_with: Fingerprint, name: str, flipped: NDArray[np.float32] | None
    ) -> Probe:
        """A probe for the training set of that name."""
        # What is drawn depends on the images alone, so that conditions and encoders are paired.
        again = ("replicate", str(self.replicate)) if self.replicate else ()
        split_only = self.protocol.adm_validation
        probe: Probe
        if self.torch:
            from bandprobe.probes import heads, losses, torch_training

            contrastive = self.loss in losses.CONTRASTIVE
            dim = examples.embedding.shape[1]
            probe = torch_training.fit_head(
                examples,
                heads.sizes_of(self.head, dim, made_with, contrastive=contrastive),
                self.loss,
                rng=seeding.generator(self.seed, "head", name, *again),
                settings=torch_training.THESIS if flipped is not None else torch_training.CORRECTED,
                flipped=flipped,
                sigmoid=self.protocol.sigmoid_head,
                split_only=split_only,
                device=self.device,
            )
        else:
            rng = seeding.generator(self.seed, "folds", name, *again)
            probe = fit(examples, rng=rng, split_only=split_only)
        return replace(probe, threshold=0.0) if self.protocol.threshold_half else probe

    def key(self, made_with: Sequence[Fingerprint], rows: pd.DataFrame) -> str:
        """A hash of everything that decides a probe."""
        images = rows[["image_id", "label", "dataset", "split"]].to_csv(index=False)
        facts = [FORMAT, KEPT, *made_with, images, self.seed, PENALTIES, self.head, self.loss, self.switches]
        if self.torch:
            from bandprobe.probes import torch_training

            thesis = self.protocol.thesis_optimiser
            facts.append(asdict(torch_training.THESIS if thesis else torch_training.CORRECTED))
        return hashlib.sha256(json.dumps([*facts, self.replicate]).encode()).hexdigest()

    def described(self, rows: pd.DataFrame) -> dict[str, Any]:
        """What a probe file says of its training."""
        words = rows["split"] + rows["label"].map({0: " real", 1: " fake"})
        trained = rows[(rows["family"] != "real") & (rows["split"] == "train")]
        return {
            "generators": sorted(set(trained["generator"])),
            "datasets": sorted(set(rows["dataset"])),
            "images": {str(word): int(n) for word, n in words.value_counts().sort_index().items()},
            "seed": self.seed,
            "head": self.head,
            "loss": self.loss,
            "protocol": list(self.switches),
            "replicate": self.replicate,
        }


def kept_probe(path: Path, key: str) -> ProbeFile | None:
    """The probe that an earlier run left, if it is the one wanted."""
    if not path.is_file():
        return None
    try:
        found = load(path)
    except InputError:
        return None  # damaged, or of an older format: made anew
    return found if found.key == key else None
