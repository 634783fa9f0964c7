"""The linear probe: logistic regression on standardised, frozen embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bandprobe.errors import InputError
from bandprobe.probes.calibration import best_threshold, platt, probability
from bandprobe.probes.sets import balanced_weights

Floats = NDArray[np.float64]

PENALTIES = tuple(10.0**power for power in range(-5, 2))  # scikit-learn's C, each tried on validation
SMALL = 100  # with fewer validation images of a class, cross-fitting takes validation's place
FOLDS = 5


@dataclass(frozen=True)
class Examples:
    """What a probe learns from: embeddings with labels, data sets and splits, row by row."""

    embedding: NDArray[np.float32]  # (n, dim)
    label: NDArray[np.int8]  # (n,), 0 real, 1 fake
    dataset: NDArray[np.object_]  # (n,)
    split: NDArray[np.object_]  # (n,), "train" or "val"


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe: `logit = (x - mean) / scale @ weight + bias`."""

    mean: Floats  # (dim,)
    scale: Floats  # (dim,)
    weight: Floats  # (dim,), on standardised embeddings
    bias: float
    threshold: float  # on the logit; at or above it an image is called fake
    slope: float  # Platt's, on the logit
    intercept: float
    C: float  # chosen on validation
    validation: str  # "split", or "cross-fitting" where validation was small

    @property
    def direction(self) -> Floats:
        """The weights on raw embeddings, shape (dim,)."""
        direction: Floats = self.weight / self.scale
        return direction

    @property
    def offset(self) -> float:
        """The logit of an embedding of zeros."""
        return self.bias - float(self.mean @ self.direction)

    def logits(self, embedding: NDArray[np.floating]) -> Floats:
        """Raw scores, higher for fake.

        Args:
            embedding: shape (n, dim).

        Returns:
            float64, shape (n,).
        """
        scores: Floats = ((embedding - self.mean) / self.scale) @ self.weight + self.bias
        return scores

    def probabilities(self, logits: Floats) -> Floats:
        """Calibrated probabilities of being generated, for as many fakes as reals, shape (n,)."""
        return probability(logits, self.slope, self.intercept)


def fit(
    examples: Examples, *, rng: np.random.Generator, penalties: tuple[float, ...] = PENALTIES
) -> LinearProbe:
    """Fit a probe; its penalty, threshold and calibration come from validation, never from test.

    With at least 100 validation images of each class, every C is fitted on train and judged on validation
    by its class-balanced log loss. With fewer, five-fold cross-fitting over train and validation takes the
    place of the validation split, and the final probe is fitted on both.

    Args:
        examples: embeddings of splits train and val.
        rng: draws the folds.
        penalties: values of C to try, rising.

    Returns:
        The fitted probe. Solver: L-BFGS in float64, each C started at the one before.

    Raises:
        InputError: train lacks a class, or holds too few images of one to be cross-fitted.
    """
    label, split = examples.label, examples.split
    train = split == "train"
    counts = [(int((label[train] == value).sum()), int((label[~train] == value).sum())) for value in (0, 1)]
    for word, (n, _) in zip(("real", "fake"), counts, strict=True):
        if n == 0:
            raise InputError(f"the training set has no {word} image; a probe needs both classes.")
    X = examples.embedding.astype(np.float64)
    if min(n for _, n in counts) >= SMALL:
        validation, kept = "split", train
        weights = np.empty(len(label))
        for part in (train, ~train):
            weights[part] = balanced_weights(label[part], examples.dataset[part])
        models = list(_path(X[train], label[train], weights[train], penalties))
        scores = np.stack([_logits(*model, X[~train]) for model in models])
        judged = ~train
    else:
        validation, kept, judged = "cross-fitting", np.ones(len(label), bool), np.ones(len(label), bool)
        weights = balanced_weights(label, examples.dataset)
        smallest = min(sum(pair) for pair in counts)
        if smallest < 2:
            raise InputError(
                f"a class of the training set has {smallest} image in train and validation together; "
                "cross-fitting needs at least 2, and 100 or more make a probe worth reading."
            )
        scores = np.empty((len(penalties), len(label)))
        seed = int(rng.integers(2**31))
        folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
        for rest, held in folds.split(X, label):
            for number, model in enumerate(_path(X[rest], label[rest], weights[rest], penalties)):
                scores[number, held] = _logits(*model, X[held])
    losses = [log_loss(row, label[judged], weights[judged]) for row in scores]
    best = int(np.argmin(losses))  # the first, so the stronger penalty, on ties
    if validation == "split":
        scaler, model = models[best]
    else:
        *_, (scaler, model) = _path(X[kept], label[kept], weights[kept], penalties[: best + 1])
    slope, intercept = platt(scores[best], label[judged], weights[judged])
    return LinearProbe(
        mean=scaler.mean_,
        scale=scaler.scale_,
        weight=model.coef_[0],
        bias=float(model.intercept_[0]),
        threshold=best_threshold(scores[best], label[judged], weights[judged]),
        slope=slope,
        intercept=intercept,
        C=penalties[best],
        validation=validation,
    )


def log_loss(logits: Floats, label: NDArray[np.int8], weights: Floats) -> float:
    """Weighted mean of `-log p(label)`, in nats."""
    return float(np.average(-log_expit(np.where(label == 1, logits, -logits)), weights=weights))


def _path(
    X: Floats, label: NDArray[np.int8], weights: Floats, penalties: tuple[float, ...]
) -> Iterator[tuple[StandardScaler, LogisticRegression]]:
    """A model for each C, rising, each started at the one before."""
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    start: tuple[Floats, Floats] | None = None
    for C in penalties:
        model = LogisticRegression(C=C, tol=1e-6, max_iter=5000, warm_start=True)
        if start is not None:
            model.coef_, model.intercept_ = start
        model.fit(Z, label, sample_weight=weights)
        start = model.coef_.copy(), model.intercept_.copy()
        yield scaler, model


def _logits(scaler: StandardScaler, model: LogisticRegression, X: Floats) -> Floats:
    scores: Floats = model.decision_function(scaler.transform(X))
    return scores
