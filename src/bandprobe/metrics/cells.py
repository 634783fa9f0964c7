"""What a metric is computed from: labels, scores, probabilities and thresholds, checked before use."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.resampling import Resamples

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
PDRule = Literal["strict", "nearest"]


class Cells(NamedTuple):
    """k conditions on the same n images, checked: labels as a mask, scores and probabilities (k, n)."""

    fake: Mask
    scores: Floats
    probabilities: Floats
    thresholds: Floats
    pd_rule: PDRule

    @property
    def n_fake(self) -> int:
        """Fake images."""
        return int(self.fake.sum())

    @property
    def n_real(self) -> int:
        """Real images."""
        return int((~self.fake).sum())

    def subset(self, rows: Any) -> Cells:
        """The conditions of these rows."""
        return self._replace(
            scores=self.scores[rows],
            probabilities=self.probabilities[rows],
            thresholds=self.thresholds[rows],
        )


def checked_cells(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    resamples: Resamples,
    pd_rule: PDRule,
) -> Cells:
    """The input of a bootstrap, once it is seen to fit together and to the resamples."""
    fake = fake_mask(labels)
    logits = per_image("scores", scores, fake.size, rows=True)
    chances = checked_probabilities(probabilities, fake.size, rows=True)
    if chances.shape != logits.shape:
        raise ShapeError(f"probabilities must have the shape of scores, {logits.shape}; got {chances.shape}.")
    check_rule(pd_rule)
    cells = Cells(fake, logits, chances, checked_thresholds(thresholds, (len(logits),)), pd_rule)
    drawn = (resamples.reals.shape[1], resamples.fakes.shape[1])
    if drawn != (cells.n_real, cells.n_fake):
        raise InputError(
            f"resamples must be of this test set's {cells.n_real} reals and {cells.n_fake} fakes; "
            f"got some of {drawn[0]} and {drawn[1]}. Draw them with Resamples.draw for this test set."
        )
    return cells


def fake_mask(labels: npt.ArrayLike) -> Mask:
    """True where fake, shape (n,), once the labels are seen to be 0 and 1 and both there."""
    given = np.asarray(labels)
    if given.ndim != 1:
        raise ShapeError(f"labels must have shape (n,); got {given.shape}. Pass one label an image.")
    if not np.isin(given, (0, 1)).all():
        odd = given[~np.isin(given, (0, 1))][0]
        raise InputError(f"labels must be 0 (real) or 1 (fake); got {odd}. Map the labels to these two.")
    fake = given.astype(bool)
    n_fake = int(fake.sum())
    if n_fake in {0, fake.size}:
        raise InputError(
            f"labels must hold reals and fakes; got {fake.size - n_fake} reals and {n_fake} fakes. "
            "Test a generator's fakes together with the reals of its dataset."
        )
    return fake


def per_image(name: str, values: npt.ArrayLike, n: int, rows: bool = False) -> Floats:
    """Float64 of shape (n,), or (k, n) with `rows`, without NaN."""
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 + rows or given.shape[-1] != n or not given.size:
        raise ShapeError(
            f"{name} must have shape {'(k, ' if rows else '('}{n}{')' if rows else ',)'}, one value for each "
            f"label; got {given.shape}. Join labels and {name} by image id."
        )
    if missing := int(np.isnan(given).sum()):
        raise InputError(
            f"{name} must not be NaN; {missing} of {given.size} are. "
            "Leave out the images that could not be scored, or find out why the probe gives NaN."
        )
    return given


def checked_probabilities(values: npt.ArrayLike, n: int, rows: bool = False) -> Floats:
    """As `per_image`, and in [0, 1]."""
    given = per_image("probabilities", values, n, rows)
    if given.size and not (given.min() >= 0 and given.max() <= 1):
        raise InputError(
            f"probabilities must lie in [0, 1]; got {given.min():g} to {given.max():g}. "
            "Pass calibrated probabilities here and raw logits as scores."
        )
    return given


def checked_thresholds(values: npt.ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Float64 of the given shape without NaN."""
    given = np.asarray(values, dtype=np.float64)
    if given.shape != shape or np.isnan(given).any():
        raise InputError(
            f"threshold must be {'a number' if shape == () else f'{shape[0]} numbers, one a condition'}; "
            f"got {values!r}. Choose it on validation, on the logit's scale."
        )
    return given


def check_rule(rule: str) -> None:
    """Raises InputError unless the rule for PD@x% is known."""
    if rule not in get_args(PDRule):
        raise InputError(f"pd_rule must be 'strict' or 'nearest'; got {rule!r}.")
