"""Whether an image lies outside what a probe was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from sklearn.utils.extmath import randomized_svd

from bandprobe import seeding

Floats = NDArray[np.float64]

DIRECTIONS = 64
LARGEST = 8192  # values of an embedding; token vectors have more and are left without
OUTSIDE = 0.01  # share of held-out images that count as outside
_ENOUGH = 4096  # images that it is fitted on, at most
_FOLDS = 5
_LEAST = 20  # images of a class


@dataclass(frozen=True)
class Novelty:
    """A Gaussian for each class with one covariance, of which the strongest directions are kept.

    Attributes:
        mean: (dim,) of the training embeddings, and `scale` their deviation: what follows is standardised.
        scale: (dim,).
        centres: (2, dim), of reals and of fakes.
        directions: (r, dim), orthonormal: the principal ones within the classes.
        variances: (r,), along them.
        rest: the variance across them, the same for all.
        threshold: distances above it count as outside; the 99 % quantile of images it was not fitted on.

    Source:
        The class-conditional Mahalanobis distance of Lee et al. 2018 (arXiv:1807.03888), with the covariance of
        probabilistic principal components (Tipping & Bishop 1999).
    """

    mean: Floats
    scale: Floats
    centres: Floats
    directions: Floats
    variances: Floats
    rest: float
    threshold: float = float("nan")

    def distance(self, embedding: NDArray[np.floating]) -> Floats:
        """Distance from the nearer class, shape (n,): about 1 for an image like those of training.

        The squared Mahalanobis distance over the number of dimensions, and its root.
        """
        standard = (np.asarray(embedding, np.float64) - self.mean) / self.scale
        found = np.full(len(standard), np.inf)
        for centre in self.centres:
            away = standard - centre
            along = away @ self.directions.T
            across = np.maximum((away**2).sum(1) - (along**2).sum(1), 0)
            found = np.minimum(found, (along**2 / self.variances).sum(1) + across / self.rest)
        return np.asarray(np.sqrt(found / len(self.mean)))


def novelty(
    embedding: NDArray[np.floating], label: NDArray[np.int8], split: NDArray[np.object_], seed: int = 0
) -> Novelty | None:
    """Fit on the training images, and set the threshold on those of validation.

    With fewer than 100 validation images five-fold cross-fitting over both takes validation's place.

    Args:
        embedding: shape (n, dim).
        label: shape (n,), 0 real, 1 fake.
        split: shape (n,), `train` or `val`.
        seed: of the folds.

    Returns:
        What is needed to know again what is like them; None of fewer than 20 images of a class, or of embeddings
        of more than 8,192 values.
    """
    if embedding.shape[1] > LARGEST:
        return None
    train = np.asarray(split == "train")
    counts = [int((label[train] == value).sum()) for value in (0, 1)]
    if min(counts) < _LEAST:
        return None
    if (~train).sum() >= 100:
        fitted = _fit(embedding[train], label[train], seed)
        held = fitted.distance(embedding[~train][:_ENOUGH])
    else:
        fitted = _fit(embedding, label, seed)
        parts = []
        for rows, others in KFold(_FOLDS, shuffle=True, random_state=seed).split(embedding):
            if min((label[rows] == value).sum() for value in (0, 1)) >= 2:
                parts.append(_fit(embedding[rows], label[rows], seed).distance(embedding[others]))
        held = np.concatenate(parts)
    threshold = float(np.quantile(held, 1 - OUTSIDE, method="higher"))
    return Novelty(
        fitted.mean, fitted.scale, fitted.centres, fitted.directions, fitted.variances, fitted.rest, threshold
    )


def _fit(embedding: NDArray[np.floating], label: NDArray[np.int8], seed: int) -> Novelty:
    if len(embedding) > _ENOUGH:
        rows = np.sort(seeding.generator(seed, "novelty").choice(len(embedding), _ENOUGH, replace=False))
        embedding, label = embedding[rows], label[rows]
    values = np.asarray(embedding, np.float64)
    mean, scale = values.mean(0), values.std(0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    standard = (values - mean) / scale
    centres = np.stack([standard[label == value].mean(0) for value in (0, 1)])
    within = standard - centres[label.astype(int)]
    dim = values.shape[1]
    kept = max(1, min(DIRECTIONS, dim - 1, len(within) // 4))
    _, singular, directions = randomized_svd(within, kept, random_state=seed)
    variances = singular**2 / len(within)
    # Of a variance of zero anything at all would be infinitely far.
    rest = max((float((within**2).sum()) / len(within) - float(variances.sum())) / max(dim - kept, 1), 1e-6)
    return Novelty(mean, scale, centres, directions, np.maximum(variances, rest), rest)
