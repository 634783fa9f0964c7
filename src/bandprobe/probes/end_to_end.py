"""Heads trained on images instead of stored embeddings, with augmentation, through Lightning.

The package lightning is of the extra `train`; importing this module without it says so.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.encoders import Encoder
from bandprobe.errors import EncoderError, InputError
from bandprobe.extract import grid_of
from bandprobe.files import output_folder
from bandprobe.filters import References
from bandprobe.images import MAX_PIXELS, Geometry
from bandprobe.probes import fine_tuned, losses
from bandprobe.probes.augmentation import Augmentation, Augmenter, augmentation
from bandprobe.probes.files import ProbeFile, file_name, save
from bandprobe.probes.head_probe import HeadProbe
from bandprobe.probes.heads import sizes_of
from bandprobe.probes.image_batches import ImageBatches
from bandprobe.probes.linear import LinearProbe, read_out
from bandprobe.probes.network import Network, fit
from bandprobe.probes.network_settings import PRECISIONS, Settings
from bandprobe.probes.recipe import Recipe, kept_probe
from bandprobe.probes.sets import family_of, training_sets
from bandprobe.probes.validation import Examples, plan
from bandprobe.protocol import CORRECTED
from bandprobe.store import Fingerprint, fingerprint


def train_end_to_end(
    manifest: pd.DataFrame,
    encoder: Encoder,
    source: str,
    train_on: Sequence[str],
    out: str | Path,
    settings: Settings,
    *,
    geometry: Geometry | None = None,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    workers: int = 2,
) -> list[ProbeFile]:
    """Train and save a probe for every training set, on images.

    The head stands on a normalisation that follows the training embeddings' mean and deviation, and is
    trained with class weights balanced within data sets. After each epoch the validation loss is taken
    without augmentation and a checkpoint is written to `out/checkpoints`; a training that was stopped goes on
    from its last one, and ends as if it had not been stopped. The best epoch's weights are kept. Threshold
    and calibration come from the validation split however small it is, for a network cannot be trained five
    times over. TensorBoard's logs go to `out/logs`.

    Args:
        manifest: the images, with their paths.
        encoder: loaded in fp32.
        source: what loads it.
        train_on: see `training_sets`.
        out: the folder for the probe files.
        settings: see `Settings`.
        geometry: the images' grid; None for the encoder's own.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        seed: decides first weights, batches and augmentation.
        workers: decoding threads.

    Returns:
        The probes. A fine-tuned encoder is saved beside them, see `fine_tuned`, and is their source.

    Raises:
        InputError: a set without both classes in train and validation, a head or an encoder that cannot be
            trained so, a setting that is none.
        EncoderError: the extra `train` is not installed, or the encoder cannot be fine-tuned.
    """
    if settings.precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}; got {settings.precision!r}.")
    if encoder.is_detector:
        raise EncoderError(f"{encoder.name} is a finished detector; no probe is trained on it.")
    losses.named(settings.loss)
    sets = training_sets(manifest, train_on)
    grid = grid_of(encoder, geometry)
    encoder.check_grid(*grid.size)
    made_with = fingerprint(encoder.fingerprint, geometry=str(grid), background=background, filter="none")
    module = fine_tuned.module_of(encoder) if settings.unfreeze else None
    start = copy.deepcopy(module.state_dict()) if module else {}
    trainer = _Training(
        encoder=encoder,
        source=source,
        settings=settings,
        augmentations=[augmentation(text) for text in settings.augment],
        sizes=sizes_of(
            settings.head,
            encoder.dim * encoder.tokens_on(*grid.size),
            made_with,
            contrastive=settings.loss in losses.CONTRASTIVE,
            encoder=encoder.name,
        ),
        made_with=made_with,
        grid=grid,
        background=background,
        max_pixels=max_pixels,
        references=References(manifest, geometry=grid, background=background, max_pixels=max_pixels),
        folder=output_folder(out),
        seed=seed,
        workers=workers,
    )
    files = []
    for name, rows in sets.items():
        if module:
            module.load_state_dict(start)  # not as the training set before has left it
        files.append(trainer.one(name, rows))
    return files


@dataclass(frozen=True)
class _Training:
    """What the trainings of several training sets share."""

    encoder: Encoder
    source: str
    settings: Settings
    augmentations: list[Augmentation]
    sizes: dict[str, Any]
    made_with: Fingerprint
    grid: Geometry
    background: str
    max_pixels: int
    references: References
    folder: Path
    seed: int
    workers: int

    def one(self, name: str, rows: pd.DataFrame) -> ProbeFile:
        """The probe of one training set, kept from an earlier run where it is the same."""
        settings, encoder = self.settings, self.encoder
        shown = fine_tuned.name_of(encoder, name) if settings.unfreeze else encoder.name
        file = file_name(shown, name, "none")
        key = self._key(rows, settings)
        kept = kept_probe(self.folder / file, key)
        if kept is not None:
            return kept
        # A training goes on from a checkpoint of one that differs in how long it may take at most.
        same = self._key(rows, replace(settings, epochs=0, patience=0))[:8]
        stem = Path(file).stem
        probe = self._trained(name, rows, self.folder / "checkpoints" / f"{stem}-{same}", stem)
        recipe = Recipe(settings.head, settings.loss, CORRECTED, 0, self.seed, str(encoder.device))
        made_with, source = self.made_with, self.source
        if settings.unfreeze:
            source, identity = fine_tuned.save(encoder, shown, self.folder / "encoders")
            made_with = {**made_with, **identity}
        chosen = {**asdict(settings), "augment": [str(one) for one in self.augmentations]}
        made = ProbeFile(
            probe=probe,
            encoder=shown,
            source=source,
            trained_on=name,
            family=family_of(name, rows),
            train_filter="none",
            fingerprint=made_with,
            training={**recipe.described(rows), "end_to_end": chosen},
            key=key,
        )
        save(made, self.folder)
        return made

    def _trained(self, name: str, rows: pd.DataFrame, place: Path, stem: str) -> LinearProbe | HeadProbe:
        label = rows["label"].to_numpy("int8")
        dataset, split = rows["dataset"].to_numpy(object), rows["split"].to_numpy(object)
        nothing = Examples(np.empty((len(rows), 0), np.float32), label, dataset, split)
        try:
            planned = plan(nothing, seeding.generator(self.seed, "folds", name), split_only=True)
        except InputError as error:
            raise InputError(f"probe {name!r}: {error}") from None
        augmenter = Augmenter(self.augmentations, self.grid.size, self.references, seed=self.seed, name=name)
        network = Network(self.encoder, self.sizes, self.settings, augmenter, seed=self.seed, name=name)
        train, val = planned.kept, planned.judged
        fit(
            network,
            self._batches(rows.iloc[train], planned.weights[train], network.order),
            self._batches(rows.iloc[val], planned.weights[val]),
            self.settings,
            place,
            logs=self.folder / "logs" / stem,
        )
        trained = network.trained()
        if self.settings.loss in losses.CONTRASTIVE:
            outputs = network.outputs(self._batches(rows, planned.weights)).astype(np.float64)
            return trained.read_out(read_out([outputs], outputs, label, planned))
        logits = network.logits(self._batches(rows.iloc[val], planned.weights[val]))
        return trained.judged(logits, label[val], planned.weights[val], planned.kind)

    def _batches(
        self,
        rows: pd.DataFrame,
        weights: NDArray[np.float64],
        order: Callable[[int], NDArray[np.intp]] | None = None,
    ) -> ImageBatches:
        return ImageBatches(
            rows,
            weights,
            geometry=self.grid,
            background=self.background,
            max_pixels=self.max_pixels,
            size=self.settings.batch,
            workers=self.workers,
            order=order and partial(order, len(rows)),
        )

    def _key(self, rows: pd.DataFrame, settings: Settings) -> str:
        """A hash of everything that decides the probe."""
        images = rows[["image_id", "label", "dataset", "split"]].to_csv(index=False)
        facts = json.dumps(["end to end", self.made_with, images, self.seed, asdict(settings)])
        return hashlib.sha256(facts.encode()).hexdigest()
