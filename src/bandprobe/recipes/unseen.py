"""How probes do on training generators that they have not seen: what everything chosen is chosen by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import InputError
from bandprobe.metrics.detection import auroc
from bandprobe.probes import balanced_weights
from bandprobe.probes.linear import direction_of
from bandprobe.recipes.training_set import TrainingSet

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

# Rows that a model is fitted on -> features of all rows, (n, k), as that model gives them.
View = Callable[[Rows], Floats]


def unseen_auroc(training: TrainingSet, view: View, C: float) -> float:
    """Mean AUROC on the fakes of each training generator, by probes that saw none of them.

    For each generator in turn probes are fitted, with one penalty, on the folds' rows without its fakes, and asked
    about its fakes and the reals of its data sets among the rows that the fold held out.

    Args:
        training: two generators or more.
        view: the features.
        C: scikit-learn's penalty.

    Returns:
        The mean over the generators, in [0, 1].

    Raises:
        InputError: fewer than two generators, so that nobody is left to learn from.
    """
    names = training.generators
    if len(names) < 2:
        raise InputError(
            f"choosing on other generators needs at least 2 in the training set; it has {len(names)} "
            f"({', '.join(names)}). Train on all or on a family."
        )
    found = [value for name in names if not np.isnan(value := _on_one(training, view, C, name))]
    if not found:
        raise InputError("no training generator has held-out images beside reals of its data set.")
    return float(np.mean(found))


def _on_one(training: TrainingSet, view: View, C: float, name: str) -> float:
    """AUROC on one generator's held-out fakes by probes trained on the others; NaN where there is nothing to ask."""
    label, dataset = training.label, training.dataset
    mine = (label == 1) & (training.generator == name)
    others = (label == 1) & ~mine
    fitted_on = others | ((label == 0) & np.isin(dataset, np.unique(dataset[others].astype(str))))
    asked_about = mine | ((label == 0) & np.isin(dataset, np.unique(dataset[mine].astype(str))))
    scores, labels = [], []
    for fold, held in training.planned.folds:
        rows, asked = fold[fitted_on[fold]], held[asked_about[held]]
        if len(set(label[rows])) < 2 or not len(asked):
            continue
        X = view(rows)
        weights = balanced_weights(label[rows], dataset[rows])
        direction, offset = direction_of(X[rows], label[rows], weights, C)
        scores.append(X[asked] @ direction + offset)
        labels.append(label[asked])
    of = np.concatenate(labels) if labels else np.empty(0)
    return auroc(of, np.concatenate(scores)) if len(set(of)) == 2 else float("nan")
