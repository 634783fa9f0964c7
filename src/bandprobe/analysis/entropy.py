"""Entropy of embeddings under filters, and how an image's low frequencies answer to its high ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.analysis.equal_sources import equal_sources
from bandprobe.analysis.filter_pairs import control_of, cutoffs, geometry_of, stored_opposite
from bandprobe.analysis.sources import Source
from bandprobe.analysis.stored_conditions import shared_filters, stored_encoders, with_embeddings
from bandprobe.analysis.twins import is_twin, twins_beside
from bandprobe.errors import InputError
from bandprobe.filters import Filter, parse
from bandprobe.metrics.correspondence import K as MUTUAL_K
from bandprobe.metrics.correspondence import cosine_correspondence, debiased_cka, mutual_knn
from bandprobe.metrics.entropy import K as ENTROPY_K
from bandprobe.metrics.entropy import (
    effective_rank,
    effective_rank_ratio,
    knn_entropy_change,
    neighbourhood,
)
from bandprobe.metrics.jackknife import Estimate
from bandprobe.store import EmbeddingStore

LEAST = max(ENTROPY_K, MUTUAL_K) + 2  # images of a source, for every measure to have its neighbours
COLUMNS = (
    "encoder", "source", "filter", "cutoff_px", "measure", "value", "low", "high", "cutoff_nyq", "n", "dataset",
    "twin", "reason",
)  # fmt: skip
ENTROPIES = ("effective_rank", "effective_rank_ratio", "knn_entropy")
CORRESPONDENCES = ("cosine", "cka", "mutual_knn")
IMAGES = "images"  # stands where an encoder would
SAMPLES = 1000
_DECIMALS = 9

_NOTHING = Estimate(np.nan, np.nan, np.nan)

Vectors = NDArray[np.float32]
_Parts = tuple[Any, Any]  # an effective rank and a neighbourhood, or why there is none


@dataclass(frozen=True)
class _Condition:
    """A filter as an encoder was given it."""

    encoder: str
    filter: str
    twin: bool
    cutoff_px: float
    cutoff_nyq: float


def entropy(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    *,
    encoders: Sequence[str] | None = None,
    filters: Sequence[str] | None = None,
    images: pd.DataFrame | None = None,
    samples: int = SAMPLES,
    k: int = ENTROPY_K,
    mutual_k: int = MUTUAL_K,
    seed: int = 0,
    workers: int = 2,
) -> pd.DataFrame:
    """Entropy and correspondence of every encoder, source and filter.

    For every filter: `effective_rank`; `effective_rank_ratio`, as a share of the identity's; and
    `knn_entropy`, less the identity's, in nats. For every low-pass whose high-pass of the same cut-off is
    stored too, between the two embeddings of the same images, under the low-pass's name: `cosine`, `cka`
    and `mutual_knn`. The identity is that in 8 bits for filters in 8 bits, where there is one. For the
    images: `spectral_entropy` and `radial_entropy` (see `image_entropy`), with the encoder `images`.

    All encoders, filters and sources are given equally many images, the same ones throughout; the pools
    `family:...` and `all` too, since every one of these measures depends on their number.

    Args:
        store: holds test images' embeddings.
        manifest: the images; its test split is used.
        encoders: names in the store; all by default.
        filters: canonical specs, ranges or presets; all that every encoder has by default.
        images: a manifest's table whose paths can be read, for the images' own entropies; None leaves
            them out.
        samples: images of each source at most.
        k: neighbour of `knn_entropy`.
        mutual_k: neighbours of `mutual_knn`.
        seed: of the draw.
        workers: decoding threads, for `images`.

    Returns:
        The tidy table with `COLUMNS`. A blank value is NaN, with its `reason`; cut-offs are NaN where a
        filter has none; `twin` says that the encoder has random weights.

    Raises:
        StoreError: an embedding is missing.
        InputError: an unknown encoder, no filter that all encoders have, fewer images than neighbours.
    """
    if min(k, mutual_k) < 1:
        raise InputError(f"k and mutual_k must be at least 1 neighbour; got {k} and {mutual_k}.")
    held = stored_encoders(store, encoders)
    names, specs = twins_beside(list(held)), shared_filters(held, filters)
    kept = with_embeddings(manifest, store, names, specs)
    least = max(k, mutual_k) + 2
    sources = equal_sources(kept, samples, seed, least)
    n = max(len(source.image_id) for source in sources)
    if n < samples:
        progress.say(f"entropy: {n} images of each source, as many as all have.")
    parsed = [parse(spec) for spec in specs]
    rows: list[dict[str, Any]] = []
    with progress.bar("entropy", len(names) * len(specs), "conditions") as step:
        for encoder in names:
            twin = is_twin(encoder, names)
            rows += _Measured(store, encoder, twin, sources, least, k, mutual_k).rows(parsed, step)
    if images is not None:
        rows += _image_rows(store, names, parsed, sources, images, workers)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("cutoff_px", "cutoff_nyq", "value", "low", "high"):
        table[name] = table[name].astype("float64").round(_DECIMALS) + 0.0
    return table


class _Measured:
    """The rows of one encoder; what filters are compared with is worked out once."""

    def __init__(
        self,
        store: EmbeddingStore,
        encoder: str,
        twin: bool,
        sources: Sequence[Source],
        least: int,
        k: int,
        mutual_k: int,
    ) -> None:
        self.store, self.encoder, self.twin, self.sources = store, encoder, twin, sources
        self.least, self.k, self.mutual_k = least, k, mutual_k
        self.ids = np.array(sorted(set().union(*(s.image_id for s in sources))), dtype=object)
        self.places = [np.searchsorted(self.ids, source.image_id) for source in sources]
        self.parts: dict[str, list[_Parts]] = {}  # of the identities

    def rows(self, filters: Sequence[Filter], step: progress.Step) -> Iterator[dict[str, Any]]:
        """Every filter's entropies, and the correspondence of low with high."""
        geometry = geometry_of(self.store.fingerprint(self.encoder, str(filters[0])) or {})
        grid = geometry.size if geometry else None
        for spec in filters:
            condition = _Condition(self.encoder, str(spec), self.twin, *cutoffs(spec, grid))
            yield from self._entropies(condition, control_of(spec, filters))
            high = stored_opposite(spec, filters, grid)
            if high is not None:
                yield from self._correspondences(condition, str(high))
            step()

    def _entropies(self, condition: _Condition, control: str | None) -> Iterator[dict[str, Any]]:
        absent = ("the identity is not stored, which it is compared with",) * 2
        references = self._parts(control) if control else [absent] * len(self.sources)
        parts = self._parts(condition.filter)
        for source, (rank, balls), (rank_of, balls_of) in zip(self.sources, parts, references, strict=True):
            measured = (
                rank,
                _both(effective_rank_ratio, rank, rank_of),
                _both(knn_entropy_change, balls, balls_of),
            )
            yield from self._source_rows(condition, source, zip(ENTROPIES, measured, strict=True))

    def _correspondences(self, low: _Condition, high: str) -> Iterator[dict[str, Any]]:
        A, B = self._read(low.filter), self._read(high)
        for source, place in zip(self.sources, self.places, strict=True):
            a, b = A[place], B[place]
            measured = (
                _tried(cosine_correspondence, a, b),
                _tried(debiased_cka, a, b),
                _tried(mutual_knn, a, b, self.mutual_k),
            )
            yield from self._source_rows(low, source, zip(CORRESPONDENCES, measured, strict=True))

    def _source_rows(
        self, condition: _Condition, source: Source, measured: Iterable[tuple[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        n = len(source.image_id)
        few = f"{n} images, where {self.least} are needed" if n < self.least else ""
        for measure, found in measured:
            blank = few or (found if isinstance(found, str) else "")
            yield _row(condition, source, measure, _NOTHING if blank else Estimate(*found[:3]), n, blank)

    def _parts(self, spec: str) -> list[_Parts]:
        """For each source what entropies are worked out from, or why they cannot be."""
        if spec in self.parts:
            return self.parts[spec]
        X = self._read(spec)
        found = [
            (_tried(effective_rank, X[place]), _tried(neighbourhood, X[place], self.k))
            for place in self.places
        ]
        if spec.startswith("identity"):
            self.parts[spec] = found
        return found

    def _read(self, spec: str) -> Vectors:
        return self.store.read(self.encoder, spec, list(self.ids)).embedding


def _row(
    condition: _Condition, source: Source, measure: str, estimate: Estimate, n: int, reason: str = ""
) -> dict[str, Any]:
    return {
        "encoder": condition.encoder,
        "source": source.name,
        "filter": condition.filter,
        "cutoff_px": condition.cutoff_px,
        "measure": measure,
        **estimate._asdict(),
        "cutoff_nyq": condition.cutoff_nyq,
        "n": n,
        "dataset": source.dataset,
        "twin": condition.twin,
        "reason": reason,
    }


def _image_rows(
    store: EmbeddingStore,
    encoders: Sequence[str],
    filters: Sequence[Filter],
    sources: Sequence[Source],
    images: pd.DataFrame,
    workers: int,
) -> list[dict[str, Any]]:
    """The images' own entropies, on the grid of the first encoder that has one."""
    from bandprobe.analysis.image_entropy import image_entropy  # needs torch

    made = [store.fingerprint(encoder, str(filters[0])) or {} for encoder in encoders]
    known = [one for one in made if geometry_of(one) is not None]
    geometry = geometry_of(known[0]) if known else None
    if geometry is None or geometry.height != geometry.width or geometry.height % 2:
        progress.say("entropy: no spectral entropy of images, whose grid is not a square of even side.")
        return []
    paths = dict(zip(images["image_id"], images["path"], strict=True))
    background = known[0].get("background", "white")
    found = list(image_entropy(sources, paths, filters, geometry, background=background, workers=workers))
    if not found:
        progress.say("entropy: no spectral entropy of images, which cannot be read at the manifest's paths.")
    return [
        _row(
            _Condition(IMAGES, row.filter, False, *cutoffs(parse(row.filter), geometry.size)),
            row.source,
            row.measure,
            row.estimate,
            row.n,
            "" if np.isfinite(row.estimate.value) else "fewer than two images have power there",
        )
        for row in found
    ]


def _tried(measure: Callable[..., Any], *given: Any) -> Any:
    """What a measure gives, or in words why it gives nothing."""
    try:
        return measure(*given)
    except InputError as error:
        return str(error)


def _both(measure: Callable[[Any, Any], Any], found: Any, reference: Any) -> Any:
    """A comparison, or why one of its sides is not there."""
    if isinstance(found, str):
        return found
    return reference if isinstance(reference, str) else measure(found, reference)
