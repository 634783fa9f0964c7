"""Taking directions out of embeddings: LEACE, and the directions along which a filter moves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.utils.extmath import randomized_svd

Floats = NDArray[np.float64]

_NOTHING = 1e-10  # of the largest eigenvalue
_UNCORRELATED = 1e-8  # a correlation


@dataclass(frozen=True)
class Eraser:
    """The affine map `x - ((x - mean) @ out_of) @ into`, row by row.

    Attributes:
        mean: (dim,), which stays where it is.
        out_of: (dim, r), what reads off what is to go.
        into: (r, dim), where it stands in the embedding.
    """

    mean: Floats
    out_of: Floats
    into: Floats

    def __call__(self, X: Floats) -> Floats:
        """Embeddings (n, dim) with the directions taken out."""
        erased: Floats = X - ((X - self.mean) @ self.out_of) @ self.into
        return erased

    def first(self, count: int) -> Eraser:
        """With that many of the directions, in their order."""
        return Eraser(self.mean, self.out_of[:, :count], self.into[:count])

    def folded(self, direction: Floats, offset: float) -> tuple[Floats, float]:
        """A probe on erased embeddings as direction and offset on embeddings as they are."""
        back = self.out_of @ (self.into @ direction)
        return direction - back, offset + float(self.mean @ back)


def leace(X: Floats, concept: NDArray[np.integer], *, shrunk: bool = True) -> Eraser:
    """The least change of embeddings after which no linear classifier can tell a concept.

    With `S` the covariance of X, `W = S^(-1/2)` and `U` an orthonormal basis of the columns of `W cov(X, Z)`, Z the
    concept one-hot: `x - W^-1 U U' W (x - E x)`. The covariance of what is left with Z is zero, whatever S is; with
    S the covariance of X the mean squared change is the least.

    Args:
        X: (n, dim).
        concept: (n,), class numbers.
        shrunk: take Ledoit and Wolf's covariance, which is sound where images are few for their dimensions.

    Returns:
        The map; it takes out at most as many directions as there are classes less one.

    Source:
        Belrose et al. 2023 (arXiv:2306.03819), theorem 4.3. Ledoit & Wolf 2004 for the covariance.
    """
    mean = X.mean(0)
    centred = X - mean
    Z = (concept[:, None] == np.unique(concept)).astype(np.float64)
    cross = centred.T @ (Z - Z.mean(0)) / len(X)
    covariance = ledoit_wolf(X)[0] if shrunk else centred.T @ centred / len(X)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values.max() * _NOTHING
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    whiten, colour = (vectors / roots) @ vectors.T, (vectors * roots) @ vectors.T
    basis, strength, _ = np.linalg.svd(whiten @ cross, full_matrices=False)
    basis = basis[:, strength > _UNCORRELATED]
    return Eraser(mean, whiten @ basis, basis.T @ colour)


def moved(X: Floats, filtered: list[Floats], count: int) -> Eraser:
    """Takes out the directions along which filters move embeddings most.

    Those are the first right singular vectors of the differences between filtered and unfiltered embeddings of the
    same images, dimensions standardised by the unfiltered ones.

    Args:
        X: (n, dim), unfiltered.
        filtered: the same images' under each filter, each (n, dim).
        count: how many directions.

    Source:
        Nuisance attribute projection: Solomonoff, Campbell & Boardman 2005, there for channels of speech.
    """
    mean, scale = X.mean(0), X.std(0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    differences = np.vstack([(other - X) / scale for other in filtered])
    _, _, directions = randomized_svd(differences, min(max(count, 1), len(mean) - 1), random_state=0)
    return Eraser(mean, directions.T / scale[:, None], directions * scale).first(count)
