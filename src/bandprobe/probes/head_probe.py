"""A probe with a head that is more than one linear layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bandprobe.probes.calibration import best_threshold, platt, probability
from bandprobe.probes.heads import Head, build
from bandprobe.probes.judged import Judged
from bandprobe.probes.linear import LinearProbe
from bandprobe.probes.losses import CONTRASTIVE

Floats = NDArray[np.float64]
_BATCH_VALUES = 2**24  # embedding values in memory at a time


@dataclass(frozen=True)
class HeadProbe:
    """A head on standardised embeddings, with a logit, a threshold and a calibration as any probe has.

    What comes before the logit (`outputs`) is, for `bce` and `focal`, the features before the last layer;
    for `supcon` and `triplet` the head's vector of unit length, on which logistic regression gives the logit.
    """

    loss: str
    sizes: dict[str, Any]  # see `heads.build`
    mean: Floats  # (dim,)
    scale: Floats  # (dim,)
    weights: dict[str, NDArray[np.float32]]  # the head's state
    readout: Floats  # (k,), on `outputs`; empty where the head's last layer gives the logit
    bias: float  # of the readout
    threshold: float  # on the logit; at or above it an image is called fake
    slope: float  # Platt's, on the logit
    intercept: float
    validation: str  # "split", or "cross-fitting" where validation was small
    # Logits of images it was not fitted on; None where they are not known
    judged: Judged | None = field(default=None, compare=False)

    @property
    def head(self) -> str:
        """The head's name."""
        return str(self.sizes["head"])

    def logits(self, embedding: NDArray[np.floating]) -> Floats:
        """Raw scores, higher for fake.

        Args:
            embedding: shape (n, dim).

        Returns:
            float64, shape (n,).
        """
        outputs = self.outputs(embedding)
        if self.loss in CONTRASTIVE:
            weight, bias = self.readout, self.bias
        else:
            weight, bias = (
                self.weights["last.weight"][0].astype(np.float64),
                float(self.weights["last.bias"][0]),
            )
        scores: Floats = outputs.astype(np.float64) @ weight + bias
        return scores

    def outputs(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """What the head gives before the logit.

        Args:
            embedding: shape (n, dim).

        Returns:
            float32, shape (n, k).
        """
        step = max(1, _BATCH_VALUES // max(1, len(self.mean)))
        parts = [
            head_outputs(
                self.module, self.loss, _tensor((embedding[at : at + step] - self.mean) / self.scale)
            )
            for at in range(0, max(1, len(embedding)), step)
        ]
        return np.concatenate(parts)

    def checked(self) -> HeadProbe:
        """The probe itself, when its weights fit its sizes.

        Raises:
            RuntimeError: they do not, as torch says it.
        """
        _ = self.module
        return self

    def probabilities(self, logits: Floats) -> Floats:
        """Calibrated probabilities of being generated, for as many fakes as reals, shape (n,)."""
        return probability(logits, self.slope, self.intercept)

    @cached_property
    def module(self) -> Head:
        """The head as a PyTorch module, ready for a forward pass."""
        with torch.random.fork_rng():
            module = build(self.sizes)
        module.load_state_dict({name: torch.from_numpy(value) for name, value in self.weights.items()})
        return module.eval()


def head_outputs(module: Head, loss: str, standardised: Tensor) -> NDArray[np.float32]:
    """A head's `outputs` for standardised embeddings, (n, dim) -> (n, k)."""
    with torch.inference_mode():
        vectors = (
            functional.normalize(module(standardised))
            if loss in CONTRASTIVE
            else module.features(standardised)
        )
        result: NDArray[np.float32] = vectors.float().cpu().numpy()
    return result


@dataclass(frozen=True)
class Trained:
    """A head as training leaves it."""

    sizes: dict[str, Any]
    loss: str
    mean: Floats  # (dim,)
    scale: Floats  # (dim,)
    weights: dict[str, NDArray[np.float32]]

    def judged(
        self, logits: Floats, label: NDArray[np.int8], weights: Floats, validation: str
    ) -> LinearProbe | HeadProbe:
        """The probe, with threshold and calibration from the logits of images it was not trained on.

        Args:
            logits: (m,), raw.
            label: (m,), 0 real, 1 fake.
            weights: (m,), positive.
            validation: where those images are from, in a word.
        """
        slope, intercept = platt(logits, label, weights)
        threshold = best_threshold(logits, label, weights)
        judged = Judged.of(logits, label)
        if self.sizes["head"] == "linear":
            weight, bias = (
                self.weights["last.weight"][0].astype(np.float64),
                float(self.weights["last.bias"][0]),
            )
            return LinearProbe(
                self.mean, self.scale, weight, bias, threshold, slope, intercept, None, validation, judged
            )
        return self._probe(np.empty(0), 0.0, threshold, slope, intercept, validation, judged)

    def read_out(self, last: LinearProbe) -> HeadProbe:
        """The probe whose logit is that of a linear one on the head's outputs."""
        return self._probe(
            last.direction,
            last.offset,
            last.threshold,
            last.slope,
            last.intercept,
            last.validation,
            last.judged,
        )

    def _probe(self, readout: Floats, bias: float, *judged: Any) -> HeadProbe:
        return HeadProbe(self.loss, self.sizes, self.mean, self.scale, self.weights, readout, bias, *judged)


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
