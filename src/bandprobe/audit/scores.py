"""How well one trace, or several, tell fakes from reals that it has not been fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.metrics import auroc

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
Folds = NDArray[np.int64]

FOLDS = 5
_RARE = 10  # of the images that rates are taken from: values with fewer are one value
_PRIOR = 2.0  # images that a value's shares are drawn together by
_CATEGORIES = 60  # that a combination tells apart, by their number


def folds(label: Labels, rng: np.random.Generator) -> Folds:
    """The fold of each image, 0 to 4, with both classes spread evenly; shape (n,)."""
    found = np.empty(len(label), np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(label == value)
        found[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
    return found


def by_number(values: Floats, label: Labels) -> Floats:
    """A numeric trace as a score for fake: itself, or its negative where that separates better.

    The direction is taken from the same images, so the AUROC is never below one half. A two-sided interval
    pays for it: it lies above one half only where the undirected one leaves one half out.
    """
    return values if auroc(label, values) >= 0.5 else -values


def by_category(values: NDArray[np.object_], label: Labels, fold: Folds) -> Floats:
    """A categorical trace as a score: log of a value's share among fakes over its share among reals.

    Each image's rate comes from the other folds. Values with fewer than ten images there are taken together,
    and the shares are shrunk towards each other, so that a value that says nothing scores 0 exactly.

    Source:
        Micci-Barreca 2001, *A preprocessing scheme for high-cardinality categorical attributes*.
    """
    codes, names = pd.factorize(pd.Series(values, dtype=object))
    score = np.zeros(len(label))
    for held in range(FOLDS):
        rows = fold != held
        counts = [np.bincount(codes[rows & (label == c)], minlength=len(names)) for c in (0, 1)]
        rare = counts[0] + counts[1] < _RARE
        groups = np.where(rare, len(names), np.arange(len(names)))
        real, fake = (np.bincount(groups, weights=of, minlength=len(names) + 1) for of in counts)
        share = real / real.sum() + fake / fake.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (fake + _PRIOR * share) / (fake.sum() + 2 * _PRIOR)
            ratio /= (real + _PRIOR * share) / (real.sum() + 2 * _PRIOR)
            rate = np.where(share > 0, np.log(ratio), 0.0)
        score[~rows] = rate[groups[codes[~rows]]]
    return np.round(score, 9)  # equal shares are equal scores, whatever the rounding


def combined(features: pd.DataFrame, label: Labels, fold: Folds) -> Floats:
    """Several traces together as a score: gradient-boosted trees, each image judged by those of the other folds.

    Args:
        features: a row an image; columns of text are categories.
        label: 0 real, 1 fake.
        fold: of each image; see `folds`.

    Returns:
        Log odds for as many fakes as reals, shape (n,).

    Source:
        Friedman 2001, *Greedy function approximation*; scikit-learn's histogram trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = pd.DataFrame(
        {
            # The most frequent values keep their code; the label has no say in it.
            name: column if pd.api.types.is_numeric_dtype(column) else _codes(column)
            for name, column in features.items()
        }
    )
    categorical = [not pd.api.types.is_numeric_dtype(column) for _, column in features.items()]
    score = np.zeros(len(label))
    for held in range(FOLDS):
        rows = fold != held
        model = HistGradientBoostingClassifier(
            max_iter=30,
            learning_rate=0.2,
            max_leaf_nodes=8,
            max_bins=64,
            min_samples_leaf=10,
            l2_regularization=1.0,
            categorical_features=categorical,
            early_stopping=False,
            random_state=0,
        )
        model.fit(table[rows], label[rows])
        # Folds differ by an image or so in their share of fakes, which is no score of an image.
        share = label[rows].mean()
        score[~rows] = model.decision_function(table[~rows]) - np.log(share / (1 - share))
    return np.round(score, 9)


def _codes(column: pd.Series[str]) -> NDArray[np.int64]:
    order = column.value_counts().index
    codes: NDArray[np.int64] = pd.Categorical(column, categories=order).codes.astype(np.int64)
    return np.minimum(codes, _CATEGORIES - 1)
