"""The linear probe: logistic regression on standardised, frozen embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bandprobe.probes.calibration import best_threshold, platt, probability
from bandprobe.probes.validation import Examples, Plan, log_loss, plan

Floats = NDArray[np.float64]

PENALTIES = tuple(10.0**power for power in range(-5, 2))  # scikit-learn's C, each tried on validation


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
    C: float | None  # chosen on validation; None where there was no such penalty to choose
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

    def outputs(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """What the head gives: with nothing before its only layer, the logit itself, shape (n, 1)."""
        return self.logits(embedding)[:, None].astype(np.float32)

    def probabilities(self, logits: Floats) -> Floats:
        """Calibrated probabilities of being generated, for as many fakes as reals, shape (n,)."""
        return probability(logits, self.slope, self.intercept)


def fit(
    examples: Examples,
    *,
    rng: np.random.Generator,
    penalties: tuple[float, ...] = PENALTIES,
    split_only: bool = False,
) -> LinearProbe:
    """Fit a probe; its penalty, threshold and calibration come from validation, never from test.

    With at least 100 validation images of each class, every C is fitted on train and judged on validation
    by its class-balanced log loss. With fewer, five-fold cross-fitting over train and validation takes the
    place of the validation split, and the final probe is fitted on both.

    Args:
        examples: embeddings of splits train and val.
        rng: draws the folds.
        penalties: values of C to try, rising.
        split_only: judge on the validation split however small it is.

    Returns:
        The fitted probe. Solver: L-BFGS in float64, each C started at the one before.

    Raises:
        InputError: train lacks a class, or holds too few images of one to be cross-fitted.
    """
    planned = plan(examples, rng, split_only=split_only)
    X = examples.embedding.astype(np.float64)
    return read_out([X] * len(planned.folds), X, examples.label, planned, penalties)


def read_out(
    views: Sequence[Floats],
    final: Floats,
    label: NDArray[np.int8],
    planned: Plan,
    penalties: tuple[float, ...] = PENALTIES,
) -> LinearProbe:
    """A linear probe on features that each fold may see through a model of its own.

    Args:
        views: for each fold the features of all rows, (n, k), as a model gives them that was fitted on
            that fold's rows alone.
        final: the same as the final model gives them.
        label: (n,), 0 real, 1 fake.
        planned: the folds and weights.
        penalties: values of C to try, rising.
    """
    weights, judged = planned.weights, planned.judged
    scores = np.empty((len(penalties), len(label)))
    for view, (rows, held) in zip(views, planned.folds, strict=True):
        models = list(_path(view[rows], label[rows], weights[rows], penalties))
        for number, (scaler, model) in enumerate(models):
            scores[number, held] = model.decision_function(scaler.transform(view[held]))
    scores = scores[:, judged]
    losses = [log_loss(row, label[judged], weights[judged]) for row in scores]
    best = int(np.argmin(losses))  # the first, so the stronger penalty, on ties
    if planned.final:
        kept = planned.kept
        *_, (scaler, model) = _path(final[kept], label[kept], weights[kept], penalties[: best + 1])
    else:
        scaler, model = models[best]
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
        validation=planned.kind,
    )


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
