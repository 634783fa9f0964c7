"""How often the jackknife intervals of embeddings' measures hold the value that is expected at their size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.metrics.correspondence import cosine_correspondence, debiased_cka, mutual_knn
from bandprobe.metrics.entropy import effective_rank, effective_rank_ratio, knn_entropy
from bandprobe.selftest.coverage import COLUMNS, row

DRAWS = 500
_DIMENSIONS = 24

Floats = NDArray[np.float64]


def embedding_coverage(
    draws: int = DRAWS, *, sizes: Sequence[int] = (50, 200, 1000), seed: int = 0
) -> pd.DataFrame:
    """Effective rank, entropy and correspondence of normal embeddings whose directions differ in spread.

    These measures depend on the number of images, and their intervals are for the value expected at that
    number: the mean over all draws stands for it.

    Args:
        draws: samples of each size.
        sizes: images.
        seed: of every draw.

    Returns:
        A table like that of `coverage`.
    """
    rows = []
    scale = 1 / np.arange(1, _DIMENSIONS + 1) ** 0.5
    with progress.bar("embeddings", draws * len(sizes), "samples") as step:
        for n in sizes:
            rng = seeding.generator(seed, "embedding coverage", n)
            found: dict[str, list[tuple[float, float, float]]] = {}
            for _ in range(draws):
                X = scale * rng.standard_normal((n, _DIMENSIONS))
                Y = X + 0.7 * scale * rng.standard_normal(X.shape)
                rank, other = effective_rank(X), effective_rank(Y[:, ::2])
                for name, each in (
                    ("effective rank", rank[:3]),
                    ("effective rank, ratio", effective_rank_ratio(other, rank)),
                    ("k-NN entropy", knn_entropy(X)),
                    ("cosine correspondence", cosine_correspondence(X, Y)),
                    ("debiased CKA", debiased_cka(X, Y)),
                    ("mutual k-NN", mutual_knn(X, Y)),
                ):
                    found.setdefault(name, []).append(tuple(each))  # type: ignore[arg-type]
                step()
            for name, several in found.items():
                value, low, high = np.array(several).T
                rows.append(row(name, "normal", n, float(value.mean()), low, high))
    return pd.DataFrame(rows, columns=list(COLUMNS))
