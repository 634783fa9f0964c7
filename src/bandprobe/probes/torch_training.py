"""Heads trained with torch on embeddings that are already there."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bandprobe.errors import InputError
from bandprobe.probes import losses
from bandprobe.probes.head_probe import HeadProbe, Trained, head_outputs
from bandprobe.probes.heads import build
from bandprobe.probes.linear import LinearProbe, read_out
from bandprobe.probes.validation import Examples, Floats, Rows, plan


@dataclass(frozen=True)
class Settings:
    """How a head is trained.

    Attributes:
        optimiser: `AdamW`, or `Adam` (without decay).
        rate: its learning rate.
        decay: of the weights.
        epochs: at most so many.
        patience: epochs without a lower validation loss before it stops; None never stops early.
        batch: images a batch.
        share: of an epoch's batches that are used.
        flip: whether an image is mirrored with probability one half, anew in every epoch.
        standardise: whether embeddings get mean 0 and deviation 1 first.
    """

    optimiser: str = "AdamW"
    rate: float = 1e-3
    decay: float = 1e-2
    epochs: int = 100
    patience: int | None = 10
    batch: int = 128
    share: float = 1.0
    flip: bool = False
    standardise: bool = True


CORRECTED = Settings()
# What the published training script did, see `Protocol.thesis_optimiser`.
THESIS = Settings("Adam", 0.005, 0.0, 5, None, 128, 0.75, True, False)


def fit_head(
    examples: Examples,
    sizes: dict[str, Any],
    loss: str,
    *,
    rng: np.random.Generator,
    settings: Settings = CORRECTED,
    flipped: NDArray[np.float32] | None = None,
    sigmoid: bool = False,
    split_only: bool = False,
    device: str = "cpu",
) -> LinearProbe | HeadProbe:
    """Train a head; the number of epochs, the threshold and the calibration come from validation.

    With at least 100 validation images of each class the head is trained on train, judged on validation
    after each epoch, and the weights of the best epoch are kept. With fewer, the heads of five folds over
    train and validation are trained side by side, the epoch is the one with the lowest loss over all held-out
    folds, threshold and calibration come from their held-out logits, and the final head is trained for that
    many epochs on both. Classes are balanced within data sets by weights on the loss.

    Args:
        examples: embeddings of splits train and val.
        sizes: the head, see `heads.sizes_of`.
        loss: a name of `losses.LOSSES`. After `supcon` or `triplet`, logistic regression on the head's
            unit vectors gives the logit, its C chosen on the same validation.
        rng: draws folds, first weights and batches, in this order.
        settings: see `Settings`.
        flipped: the embeddings of the mirrored images, row by row, for `settings.flip`.
        sigmoid: put a sigmoid before a loss that takes logits. The probe's logit stays what the head gives.
        split_only: judge on the validation split however small it is.
        device: where the head is trained: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.

    Returns:
        The probe: a `LinearProbe` for a linear head with `bce` or `focal`.

    Raises:
        InputError: an unknown loss, or too few images to train on.
    """
    losses.named(loss)
    planned = plan(examples, rng, split_only=split_only)
    if settings.flip and flipped is None:
        raise InputError("these settings mirror images: give the embeddings of the mirrored ones as flipped.")
    task = _Task(examples, planned.weights, flipped, sizes, loss, sigmoid, settings, _place(device))
    with _reproducible(rng):
        folds = [_Learner(task, rows, rng) for rows, _ in planned.folds]
        epochs = _train(folds, [rng.permutation(held) for _, held in planned.folds], settings)
        final = folds[0]
        if planned.final:
            final = _Learner(task, planned.kept, rng)
            for _ in range(epochs):
                final.epoch()
        if loss in losses.CONTRASTIVE:
            views = [one.outputs() for one in folds]
            last = read_out(views, final.outputs() if planned.final else views[0], examples.label, planned)
            return final.trained().read_out(last)
        logits = np.empty(len(examples.label))
        for one, (_, held) in zip(folds, planned.folds, strict=True):
            logits[held] = one.logits(held)
        rows = planned.judged
        return final.trained().judged(logits[rows], examples.label[rows], planned.weights[rows], planned.kind)


def _place(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used ({reason}); use auto or cpu.") from None


@contextlib.contextmanager
def _reproducible(rng: np.random.Generator) -> Iterator[None]:
    """Torch's own draws follow from `rng`, and its sums do not depend on the number of cores."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _train(folds: list[_Learner], held: list[Rows], settings: Settings) -> int:
    """Train learners side by side to the epoch with the lowest validation loss over all; which that is."""
    best, lowest = 0, np.inf
    states = [copy.deepcopy(one.module.state_dict()) for one in folds]
    for epoch in range(1, settings.epochs + 1):
        for one in folds:
            one.epoch()
        sums = [one.validation(rows) for one, rows in zip(folds, held, strict=True)]
        value = sum(total for total, _ in sums) / sum(weight for _, weight in sums)
        if value < lowest:
            best, lowest = epoch, value
            states = [copy.deepcopy(one.module.state_dict()) for one in folds]
        elif settings.patience is not None and epoch - best >= settings.patience:
            break
    for one, state in zip(folds, states, strict=True):
        one.module.load_state_dict(state)
    return best


@dataclass(frozen=True)
class _Task:
    """What all learners of a probe share."""

    examples: Examples
    weights: Floats
    flipped: NDArray[np.float32] | None
    sizes: dict[str, Any]
    loss: str
    sigmoid: bool
    settings: Settings
    device: torch.device

    def input(self, rows: Rows, mirrored: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        X = self.examples.embedding[rows]
        if mirrored is None or self.flipped is None:
            return X
        return np.where(mirrored[:, None], self.flipped[rows], X)

    def tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)


class _Learner:
    """A head in training on some of the rows."""

    def __init__(self, task: _Task, rows: Rows, rng: np.random.Generator) -> None:
        self._task, self._rows, self._rng = task, rows, rng
        dim = task.examples.embedding.shape[1]
        self._mean, self._scale = np.zeros(dim), np.ones(dim)
        if task.settings.standardise:
            scaler = StandardScaler().fit(task.examples.embedding[rows].astype(np.float64))
            self._mean, self._scale = scaler.mean_, scaler.scale_
        self.module = build(task.sizes).to(task.device)
        self._optimiser: torch.optim.Optimizer = getattr(torch.optim, task.settings.optimiser)(
            self.module.parameters(), lr=task.settings.rate, weight_decay=task.settings.decay
        )

    def epoch(self) -> None:
        """One pass over batches drawn anew."""
        settings, n = self._task.settings, len(self._rows)
        order = self._rng.permutation(self._rows)
        mirrored = self._rng.random(n) < 0.5 if settings.flip else None
        starts = range(0, n, settings.batch)
        self.module.train()
        for start in starts[: max(1, int(settings.share * len(starts)))]:
            part = slice(start, start + settings.batch)
            loss, _ = self._weighted(order[part], None if mirrored is None else mirrored[part])
            self._optimiser.zero_grad()
            torch.autograd.backward(loss / len(order[part]))
            self._optimiser.step()

    def validation(self, rows: Rows) -> tuple[float, float]:
        """The weighted sum of the loss over rows, batch by batch, and the sum of the weights."""
        self.module.eval()
        with torch.inference_mode():
            sums = [self._weighted(batch) for batch in self._batches(rows)]
        return sum(float(loss) for loss, _ in sums), sum(weight for _, weight in sums)

    def logits(self, rows: Rows) -> Floats:
        """Raw logits, (rows,)."""
        self.module.eval()
        with torch.inference_mode():
            parts = [self.module(self._input(batch))[:, 0].cpu() for batch in self._batches(rows)]
        return torch.cat(parts).numpy().astype(np.float64)

    def outputs(self) -> Floats:
        """The head's outputs for every row, see `HeadProbe`."""
        self.module.eval()
        rows = np.arange(len(self._task.examples.label))
        parts = [
            head_outputs(self.module, self._task.loss, self._input(batch)) for batch in self._batches(rows)
        ]
        return np.concatenate(parts).astype(np.float64)

    def trained(self) -> Trained:
        """The head as it is."""
        weights = {name: value.cpu().numpy().copy() for name, value in self.module.state_dict().items()}
        return Trained(self._task.sizes, self._task.loss, self._mean, self._scale, weights)

    def _batches(self, rows: Rows) -> Iterator[Rows]:
        step = self._task.settings.batch
        return (rows[start : start + step] for start in range(0, len(rows), step))

    def _weighted(self, rows: Rows, mirrored: NDArray[np.bool_] | None = None) -> tuple[Tensor, float]:
        task = self._task
        weights, labels = task.weights[rows], task.tensor(task.examples.label[rows])
        values = losses.values(
            task.loss, self.module(self._input(rows, mirrored)), labels, sigmoid=task.sigmoid
        )
        return (values * task.tensor(weights)).sum(), float(weights.sum())

    def _input(self, rows: Rows, mirrored: NDArray[np.bool_] | None = None) -> Tensor:
        return self._task.tensor((self._task.input(rows, mirrored) - self._mean) / self._scale)
