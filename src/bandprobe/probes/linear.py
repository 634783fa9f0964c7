"""The linear probe: logistic regression on standardised, frozen embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bandprobe.probes.calibration import best_threshold, platt, probability
from bandprobe.probes.judged import Judged
from bandprobe.probes.validation import Examples, Plan, log_loss, plan

Floats = NDArray[np.float64]

_ITERATIONS = 5000
_GRADIENT = 1e-6  # largest element of the mean loss's gradient at the end
_FEW = 256  # features below which a Hessian costs little
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
    # Logits of images it was not fitted on; None of one that was trained elsewhere.
    judged: Judged | None = field(default=None, compare=False)

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
    return concluded(held_out(views, label, planned, penalties), final, label, planned, penalties)


class HeldOut(NamedTuple):
    """What probes say of rows that they were not fitted on, with the penalty that serves these best."""

    logits: Floats  # (judged,), in the order of the plan's judged rows
    penalty: int  # its number
    path: _Path  # the last fold's fits


def held_out(
    views: Sequence[Floats],
    label: NDArray[np.int8],
    planned: Plan,
    penalties: tuple[float, ...] = PENALTIES,
    met: Floats | None = None,
) -> HeldOut:
    """Logits of the rows that a plan judges, each by the fold that it was kept out of.

    Args:
        views: see `read_out`.
        label: (n,), 0 real, 1 fake.
        planned: the folds and weights.
        penalties: values of C to try, rising; the one with the least class-balanced log loss is taken.
        met: features of the rows as they will be met, (n, k), where they are fitted on in another form.
    """
    weights, judged = planned.weights, planned.judged
    scores = np.empty((len(penalties), len(label)))
    for view, (rows, held) in zip(views, planned.folds, strict=True):
        path = _path(view[rows], label[rows], weights[rows], penalties)
        asked = (view if met is None else met)[held]
        scores[:, held] = path.weights @ path.scaler.transform(asked).T + path.biases[:, None]
    scores = scores[:, judged]
    losses = [log_loss(row, label[judged], weights[judged]) for row in scores]
    best = int(np.argmin(losses))  # the first, so the stronger penalty, on ties
    return HeldOut(scores[best], best, path)


def concluded(
    found: HeldOut,
    final: Floats,
    label: NDArray[np.int8],
    planned: Plan,
    penalties: tuple[float, ...] = PENALTIES,
) -> LinearProbe:
    """The probe behind held-out logits: fitted on all that the plan keeps, with their threshold and calibration.

    Args:
        found: from `held_out`.
        final: features of all rows, (n, k), as the probe is fitted on them.
        label: (n,), 0 real, 1 fake.
        planned: the folds and weights.
        penalties: as `held_out` was given.
    """
    path, best = found.path, found.penalty
    if planned.final:
        kept = planned.kept
        path = _path(final[kept], label[kept], planned.weights[kept], penalties[: best + 1])
    fitted = LinearProbe(
        mean=path.scaler.mean_,
        scale=path.scaler.scale_,
        weight=path.weights[best],
        bias=float(path.biases[best]),
        threshold=0.0,
        slope=1.0,
        intercept=0.0,
        C=penalties[best],
        validation=planned.kind,
    )
    return set_by(fitted, found.logits, label, planned)


def set_by(probe: LinearProbe, logits: Floats, label: NDArray[np.int8], planned: Plan) -> LinearProbe:
    """A probe with threshold and calibration from held-out logits.

    Args:
        probe: its weights.
        logits: of the rows that the plan judges, by probes that were not fitted on them.
        label: (n,), 0 real, 1 fake, of all rows.
        planned: the folds and weights.
    """
    label, weights = label[planned.judged], planned.weights[planned.judged]
    slope, intercept = platt(logits, label, weights)
    return replace(
        probe,
        threshold=best_threshold(logits, label, weights),
        slope=slope,
        intercept=intercept,
        judged=Judged.of(logits, label),
    )


def direction_of(X: Floats, label: NDArray[np.int8], weights: Floats, C: float) -> tuple[Floats, float]:
    """Weights on features as they are, (k,), and offset, of one fit with one penalty; see `fit`.

    Few features are fitted by Newton's method, which needs some five steps where L-BFGS needs hundreds.
    """
    if X.shape[1] <= _FEW:
        scaler = StandardScaler().fit(X)
        model = LogisticRegression(C=C, solver="newton-cholesky", tol=_GRADIENT, max_iter=_ITERATIONS)
        model.fit(scaler.transform(X), label, weights)
        weight, bias = model.coef_[0], float(model.intercept_[0])
    else:
        path = _path(X, label, weights, (C,))
        scaler, weight, bias = path.scaler, path.weights[0], float(path.biases[0])
    direction = weight / scaler.scale_
    return direction, float(bias - scaler.mean_ @ direction)


class _Path(NamedTuple):
    """The fits along a path of penalties, on embeddings standardised alike."""

    scaler: StandardScaler
    weights: Floats  # (penalties, dim)
    biases: Floats  # (penalties,)


def _path(X: Floats, label: NDArray[np.int8], weights: Floats, penalties: tuple[float, ...]) -> _Path:
    """Logistic regression with each C, rising, started at the one before.

    The objective is scikit-learn's, the weighted mean of the log loss plus `|w|^2 / (2 C sum(weights))`, the bias
    free, and so is the solver, SciPy's L-BFGS; the iterates are those of `LogisticRegression`, without what it
    checks and converts in each of them (a third of the time on a thousand rows).
    """
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    sign = np.where(label == 1, 1.0, -1.0)
    total = weights.sum()
    share, signed = weights / total, sign * weights / total
    found = np.zeros((len(penalties), Z.shape[1] + 1))
    start = found[0]
    for number, C in enumerate(penalties):
        strength = 1 / (C * total)

        def objective(x: Floats, strength: float = strength) -> tuple[float, Floats]:
            margin = Z @ x[:-1]
            margin += x[-1]
            margin *= sign
            pull = -signed * expit(-margin)
            gradient = np.append(Z.T @ pull, pull.sum())
            gradient[:-1] += strength * x[:-1]
            return 0.5 * strength * (x[:-1] @ x[:-1]) - share @ log_expit(margin), gradient

        options = {"maxiter": _ITERATIONS, "maxls": 50, "gtol": _GRADIENT, "ftol": 64 * np.finfo(float).eps}
        start = found[number] = minimize(objective, start, method="L-BFGS-B", jac=True, options=options).x
    return _Path(scaler, found[:, :-1], found[:, -1])
