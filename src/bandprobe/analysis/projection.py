"""Embeddings in the plane: real, fake and filtered images by t-SNE, PCA or UMAP."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.analysis.sources import Source, drawn_sources
from bandprobe.analysis.stored_conditions import shared_filters, stored_encoders, with_embeddings
from bandprobe.encoders.extras import import_extra
from bandprobe.errors import InputError, did_you_mean
from bandprobe.store import EmbeddingStore

COLUMNS = ("image_id", "encoder", "source", "family", "filter", "method", "x", "y", "dataset")
METHODS = ("tsne", "pca", "umap")
SAMPLES = 200
_PERPLEXITY = 30.0
_NEIGHBOURS = 15
_COMPONENTS = 50  # t-SNE and UMAP see so many principal components, as van der Maaten & Hinton 2008 did
_LEAST = 4  # points

Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Projection:
    """Points in the plane.

    Attributes:
        table: a row for each image, encoder, filter and method, with `COLUMNS`.
        notes: for each (encoder, method) its settings in words.
    """

    table: pd.DataFrame
    notes: dict[tuple[str, str], str]


def project(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    *,
    encoders: Sequence[str] | None = None,
    filters: Sequence[str] | None = None,
    methods: Sequence[str] = ("tsne",),
    samples: int = SAMPLES,
    perplexity: float | None = None,
    neighbours: int | None = None,
    seed: int = 0,
) -> Projection:
    """Lay embeddings of test images out in the plane, all sources and filters of an encoder together.

    Args:
        store: holds the embeddings.
        manifest: the images; its test split is used.
        encoders: names in the store; all by default.
        filters: specs, ranges or presets; `none` by default, or all that are stored where it is not.
        methods: of `tsne`, `pca`, `umap`; the last needs the extra `umap`.
        samples: at most so many images of each source, the same for all encoders and filters.
        perplexity: of t-SNE, below the number of points; by default 30, or a third of them.
        neighbours: of UMAP, below the number of points; by default 15, or all.
        seed: of the draw of images and of UMAP's layout; t-SNE starts from the principal components, and
            nothing in it is drawn.

    Returns:
        The points. Axes have no unit but in PCA, where they are those of the embeddings.

    Raises:
        InputError: an unknown method or encoder, a filter that is not stored, fewer points than perplexity
            or neighbours.
        EncoderError: UMAP is not installed.

    Source:
        t-SNE: van der Maaten & Hinton 2008; UMAP: McInnes et al. 2018 (arXiv:1802.03426).
    """
    for method in methods:
        if method not in METHODS:
            near = did_you_mean(method, METHODS)
            raise InputError(f"method must be one of {', '.join(METHODS)}; got {method!r}.{near}")
    if samples < 1:
        raise InputError(f"samples must be at least 1 image of each source; got {samples}.")
    held = stored_encoders(store, encoders)
    if filters is None and all("none" in specs for specs in held.values()):
        filters = ["none"]
    specs = shared_filters(held, filters)
    kept = with_embeddings(manifest, store, list(held), specs)
    sources = drawn_sources(kept, samples, seed, "project")
    places = [np.asarray(source.image_id) for source in sources]
    count = sum(map(len, places)) * len(specs)
    settings = _settings(count, perplexity, neighbours)
    tables, notes = [], {}
    with progress.bar("project", len(held) * len(methods), "layouts") as step:
        for encoder in held:
            X = np.concatenate(
                [store.read(encoder, spec, list(np.concatenate(places))).embedding for spec in specs]
            )
            for method in methods:
                draw = seeding.generator(seed, "project", encoder, method)
                points, note = _laid_out(X, method, settings, int(draw.integers(2**31)))
                tables.append(_table(points, encoder, sources, specs, method))
                notes[encoder, method] = f"{len(X):,} points; {note}"
                step()
    return Projection(pd.concat(tables, ignore_index=True)[list(COLUMNS)], notes)


@dataclass(frozen=True)
class _Settings:
    perplexity: float
    neighbours: int


def _settings(points: int, perplexity: float | None, neighbours: int | None) -> _Settings:
    """Perplexity and neighbours that fit the number of points."""
    if points < _LEAST:
        raise InputError(f"a layout needs {_LEAST} points or more; got {points}. Embed more test images.")
    for name, asked, least in (("perplexity", perplexity, 1), ("neighbours", neighbours, 2)):
        if asked is not None and asked >= points:
            raise InputError(
                f"fewer images than {name}: {name} {asked:g} needs more points than that, and there are "
                f"{points}; lower it or take more samples."
            )
        if asked is not None and asked < least:
            raise InputError(f"{name} must be at least {least}; got {asked:g}.")
    return _Settings(
        min(_PERPLEXITY, (points - 1) / 3) if perplexity is None else perplexity,
        min(_NEIGHBOURS, points - 1) if neighbours is None else neighbours,
    )


def _laid_out(X: Points, method: str, settings: _Settings, seed: int) -> tuple[Points, str]:
    """Points (n, 2) of embeddings (n, d), and the settings in words."""
    from sklearn.decomposition import PCA

    centred = np.asarray(X, dtype=np.float64) - X.mean(axis=0, dtype=np.float64)
    components = min(2 if method == "pca" else _COMPONENTS, *centred.shape)
    pca = PCA(components, svd_solver="full" if min(centred.shape) < 500 else "randomized", random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # shares of variance where there is none
        reduced = pca.fit_transform(centred)
    if method == "pca":
        shares = np.nan_to_num([*pca.explained_variance_ratio_, 0.0])[:2]
        note = f"the components hold {100 * shares[0]:.0f} % and {100 * shares[1]:.0f} % of the variance"
        return np.pad(reduced, ((0, 0), (0, 2 - reduced.shape[1]))), note
    if method == "tsne":
        from sklearn.manifold import TSNE

        start = reduced[:, :2] if reduced.shape[1] > 1 else np.pad(reduced, ((0, 0), (0, 1)))
        spread = start[:, 0].std()
        layout = TSNE(
            perplexity=settings.perplexity,
            init=(start / (1e4 * spread) if spread else start).astype(np.float32),
            random_state=seed,
        ).fit_transform(reduced)
        return layout, f"perplexity {settings.perplexity:.3g}"
    umap = import_extra("umap", "umap")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one thread, since a seed is given; and numba's own
        layout = umap.UMAP(
            n_neighbors=settings.neighbours,
            random_state=seed,
            n_jobs=1,
            init="spectral" if len(X) > 50 else "random",
        ).fit_transform(reduced)
    return layout, f"{settings.neighbours} neighbours"


def _table(
    points: Points, encoder: str, sources: Sequence[Source], specs: Sequence[str], method: str
) -> pd.DataFrame:
    """A row a point; points stand filter by filter, source by source."""
    one = pd.concat(
        pd.DataFrame(
            {
                "image_id": source.image_id,
                "source": source.name,
                "family": source.family or "real",
                "dataset": source.dataset,
            }
        )
        for source in sources
    )
    table = pd.concat([one.assign(filter=spec) for spec in specs], ignore_index=True)
    x, y = np.round(np.asarray(points, dtype=np.float64), 6).T + 0.0
    return table.assign(encoder=encoder, method=method, x=x, y=y)
