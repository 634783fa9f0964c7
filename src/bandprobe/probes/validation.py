"""Where threshold, calibration and everything chosen comes from: a validation split, or cross-fitting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.model_selection import StratifiedKFold

from bandprobe.errors import InputError
from bandprobe.probes.sets import balanced_weights

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

SMALL = 100  # with fewer validation images of a class, cross-fitting takes validation's place
FOLDS = 5


@dataclass(frozen=True)
class Examples:
    """What a probe learns from: embeddings with labels, data sets and splits, row by row."""

    embedding: NDArray[np.float32]  # (n, dim)
    label: NDArray[np.int8]  # (n,), 0 real, 1 fake
    dataset: NDArray[np.object_]  # (n,)
    split: NDArray[np.object_]  # (n,), "train" or "val"
    image: NDArray[np.object_] | None = None  # (n,), equal where rows repeat an image; all differ by default


@dataclass(frozen=True)
class Plan:
    """Which rows are fitted on and which are judged."""

    kind: str  # "split", or "cross-fitting" where validation is small
    folds: list[tuple[Rows, Rows]]  # rows fitted on, rows judged
    kept: Rows  # what the final probe is fitted on
    judged: Rows  # every row that some fold judges
    weights: Floats  # (n,), class-balanced within data sets

    @property
    def final(self) -> bool:
        """Whether the final probe is a fit of its own, and not the first fold's."""
        return self.kind == "cross-fitting"


def plan(examples: Examples, rng: np.random.Generator, *, split_only: bool = False) -> Plan:
    """The validation split with at least 100 images of each class, else five folds of train and validation.

    Args:
        examples: their embeddings are not looked at.
        rng: draws the folds.
        split_only: take the split however small it is.

    Raises:
        InputError: train lacks a class, or there are too few images of one to be judged on.
    """
    label, split = examples.label, examples.split
    train = split == "train"
    counts = [(int((label[train] == value).sum()), int((label[~train] == value).sum())) for value in (0, 1)]
    for word, (n, held) in zip(("real", "fake"), counts, strict=True):
        if n == 0:
            raise InputError(f"the training set has no {word} image; a probe needs both classes.")
        if split_only and held == 0:
            raise InputError(f"the validation split has no {word} image; a probe is chosen on both classes.")
    if split_only or min(n for _, n in counts) >= SMALL:
        weights = np.empty(len(label))
        for part in (train, ~train):
            weights[part] = balanced_weights(label[part], examples.dataset[part])
        fitted, judged = np.flatnonzero(train), np.flatnonzero(~train)
        return Plan("split", [(fitted, judged)], fitted, judged, weights)
    # Copies of an image must not stand on both sides of a fold.
    images = np.arange(len(label)) if examples.image is None else examples.image.astype(str)
    _, first, place = np.unique(images, return_index=True, return_inverse=True)
    smallest = min(int((label[first] == value).sum()) for value in (0, 1))
    if smallest < 2:
        raise InputError(
            f"a class of the training set has {smallest} image in train and validation together; "
            "cross-fitting needs at least 2, and 100 or more make a probe worth reading."
        )
    seed = int(rng.integers(2**31))
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    of_image = np.empty(len(first), np.intp)
    for number, (_, held_out) in enumerate(folds.split(first, label[first])):
        of_image[held_out] = number
    fold = of_image[place]
    everything = np.arange(len(label))
    return Plan(
        "cross-fitting",
        [(everything[fold != number], everything[fold == number]) for number in range(folds.n_splits)],
        everything,
        everything,
        balanced_weights(label, examples.dataset),
    )


def log_loss(logits: Floats, label: NDArray[np.int8], weights: Floats) -> float:
    """Weighted mean of `-log p(label)`, in nats."""
    return float(np.average(-log_expit(np.where(label == 1, logits, -logits)), weights=weights))
