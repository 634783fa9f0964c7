"""How far distributions lie apart: fakes from reals, and filtered images from unfiltered ones, by MMD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product, starmap
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import parallel, progress, seeding
from bandprobe.analysis.filter_pairs import cutoffs, geometry_of
from bandprobe.analysis.sources import Source, drawn_sources
from bandprobe.analysis.spaces import Space, spaces
from bandprobe.analysis.stored_conditions import stored_encoders
from bandprobe.errors import InputError, StoreError, did_you_mean
from bandprobe.filters import parse
from bandprobe.metrics.divisions import Divisions, divisions
from bandprobe.metrics.kernels import check_kernel, median_distance
from bandprobe.metrics.mmd import LARGEST, MMD, PERMUTATIONS, paired, two_sample
from bandprobe.metrics.multiplicity import benjamini_hochberg
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

EXPERIMENTS = ("fake_vs_real", "no_filter_vs_filter")
COLUMNS = (
    "encoder", "space", "experiment", "source", "filter", "cutoff_px", "mmd2", "p_value", "q_value", "n",
    "n_real", "family", "dataset", "trained_on", "cutoff_nyq", "bandwidth", "reason",
)  # fmt: skip
SAMPLES = 1000
SMALLEST = 5  # images of a source; fewer make no test
_SAME = 1e-4  # bandwidths: an image's embeddings nearer than that to each other differ by rounding alone
_DECIMALS = 9
_SHARES = 2  # of an encoder's conditions for each core of a cluster

Vectors = NDArray[np.floating[Any]]


def shift(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile] = (),
    filters: Sequence[str] | None = None,
    *,
    encoders: Sequence[str] | None = None,
    experiments: Sequence[str] = EXPERIMENTS,
    samples: int = SAMPLES,
    permutations: int = PERMUTATIONS,
    kernel: str = "gaussian",
    seed: int = 0,
    biased: bool = False,
) -> pd.DataFrame:
    """MMD of test images in the space of embeddings and in that of probe outputs.

    `fake_vs_real` sets every generator's fakes under a filter against the reals of their data set under
    the same filter: two samples. `no_filter_vs_filter` sets every source's images under a filter against
    the same images unfiltered: pairs. A filtered image whose embedding is nearer than 1e-4 bandwidths to
    the unfiltered one's counts as unfiltered: so far rounding goes, as that of `identity`, and what it does
    to all images alike would be found significant, whatever its size.

    The space `logit` holds what a probe's head gives before its last layer, for a linear probe the logit
    itself. Only probes trained on unfiltered images are asked: a generator's own, and those of all
    generators or of an outside detector; the latter alone for reals.

    Args:
        store: holds the test images' embeddings; unfiltered ones (`none`) are needed throughout.
        manifest: the images; its test split is used.
        probes: for the space `logit`; those of other encoders are passed over.
        filters: canonical specs; everything stored by default. One that is stored for some encoders only
            is passed over for the others, which is said.
        encoders: names in the store; all by default.
        experiments: of `EXPERIMENTS`.
        samples: at most so many images of each source, drawn once: the same for all filters and encoders.
            More than 20,000 of a source are cut into blocks (`metrics.mmd.two_sample`), which is said.
        permutations: of each test.
        kernel: a name in `metrics.kernels.KERNELS`. Its bandwidth is the median distance between the drawn
            reals, unfiltered, one for each encoder and space (and probe: each has a scale of its own).
        seed: of the draws and the permutations.
        biased: as the published code: the kernel's diagonal stays, the bandwidth is estimated anew for
            each pair of samples.

    Returns:
        A row for each encoder, space, experiment, source, filter (and probe) with `COLUMNS`. `n` counts the
        source's images, `n_real` those it is set against. `q_value` is Benjamini and Hochberg's within
        encoder, space and experiment. Blank values are NaN, with the `reason`.

    Raises:
        InputError: a wrong argument, a class without test images, too few images of every source, or
            probes trained on embeddings made otherwise.
        StoreError: an embedding is missing.
    """
    check_kernel(kernel)
    for name in experiments:
        if name not in EXPERIMENTS:
            near = did_you_mean(name, EXPERIMENTS)
            raise InputError(f"experiment must be {' or '.join(EXPERIMENTS)}; got {name!r}.{near}")
    for word, number, least in (("samples", samples, SMALLEST), ("permutations", permutations, 1)):
        if number < least:
            raise InputError(f"{word} must be at least {least}; got {number}.")
    sources = drawn_sources(manifest, samples, seed, "mmd")
    _check_classes(sources, experiments)
    if max(len(source.image_id) for source in sources) > LARGEST:
        progress.say(
            f"mmd: samples of more than {LARGEST:,} images are cut into blocks, whose MMD^2 are averaged."
        )
    conditions = _conditions(store, filters, encoders, experiments)
    settings = _Settings(kernel, permutations, seed, biased)
    rows: list[dict[str, Any]] = []
    with progress.bar("mmd", sum(map(len, conditions.values())), "conditions") as step:
        for encoder, specs in conditions.items():
            seen = spaces(store, encoder, probes)
            calls = ((store, encoder, some, seen, sources, experiments, settings) for some in _shares(specs))
            for share in parallel.each(_of_share, calls, lambda _, calls: starmap(_of_encoder, calls)):
                for found in share:
                    rows += found
                    step()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    keys = ["encoder", "space", "experiment"]
    table["q_value"] = table.groupby(keys)["p_value"].transform(lambda p: benjamini_hochberg(p.to_numpy()))
    for name in ("cutoff_px", "cutoff_nyq", "mmd2", "p_value", "q_value", "bandwidth"):
        table[name] = table[name].astype("float64").round(_DECIMALS) + 0.0
    table["n_real"] = table["n_real"].astype("Int64")
    order = {name: rank for rank, name in enumerate((*conditions, "embedding", "logit", *EXPERIMENTS))}
    places = [table[name].map(order).to_numpy() for name in reversed(keys)]
    return table.iloc[np.lexsort(places)].reset_index(drop=True)


@dataclass(frozen=True)
class _Settings:
    kernel: str
    permutations: int
    seed: int
    biased: bool


def _check_classes(sources: Sequence[Source], experiments: Sequence[str]) -> None:
    """See that there is something to test."""
    if not any(source.is_real for source in sources):
        raise InputError(
            "the test split has no real image: MMD takes its bandwidth from the reals; add some."
        )
    if "fake_vs_real" in experiments and all(source.is_real for source in sources):
        raise InputError(
            "the test split holds reals alone, and fake_vs_real needs both classes; "
            "add fakes or ask for no_filter_vs_filter."
        )
    most = max(len(source.image_id) for source in sources)
    if most < SMALLEST:
        raise InputError(
            f"MMD needs at least {SMALLEST} test images of a source; the most there are is {most}."
        )


def _conditions(
    store: EmbeddingStore,
    filters: Sequence[str] | None,
    encoders: Sequence[str] | None,
    experiments: Sequence[str],
) -> dict[str, list[str]]:
    """For each encoder the filters to test, `none` first."""
    held = stored_encoders(store, encoders)
    stored = sorted(dict.fromkeys(spec for its in held.values() for spec in its), key=_by_sweep)
    wanted = list(dict.fromkeys(["none", *(stored if filters is None else filters)]))
    if "fake_vs_real" not in experiments and wanted == ["none"]:
        raise InputError("no_filter_vs_filter needs a filter besides 'none'; give one that is stored.")
    found = {}
    for name, its in held.items():
        absent = [spec for spec in wanted if spec not in its]
        if "none" in absent:
            raise StoreError(
                f"the store {str(store.root)!r} holds no unfiltered embeddings ('none') of {name!r}, which "
                "every MMD needs; make them with `bandprobe embed --filter none`."
            )
        if nowhere := [spec for spec in absent if spec not in stored]:
            raise StoreError(
                f"the store {str(store.root)!r} holds no embeddings at {', '.join(nowhere)}; "
                "make them with `bandprobe embed`."
            )
        if absent:
            progress.say(f"mmd: {name} has no embeddings at {', '.join(absent)}: left out for it.")
        found[name] = [spec for spec in wanted if spec in its]
    return found


def _by_sweep(spec: str) -> tuple[bool, bool, str, float]:
    """The controls, then sweep by sweep, cut-offs rising."""
    filter_ = parse(spec)
    cutoff = filter_.cutoff
    return spec != "none", spec != "identity", filter_.sweep, cutoff.value if cutoff else 0.0


def _shares(specs: Sequence[str]) -> list[Sequence[str]]:
    """The conditions of an encoder as a cluster shares them out: each share draws the same permutations."""
    cores = parallel.spread()
    size = -(-len(specs) // (_SHARES * cores)) if cores > 1 else len(specs)
    return [specs[start : start + size] for start in range(0, len(specs), size)]


def _of_share(*given: Any) -> Iterable[list[dict[str, Any]]]:
    """`_of_encoder`, for another process."""
    return list(_of_encoder(*given))


def _of_encoder(
    store: EmbeddingStore,
    encoder: str,
    specs: Sequence[str],
    seen: Sequence[Space],
    sources: Sequence[Source],
    experiments: Sequence[str],
    settings: _Settings,
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one encoder, condition by condition; each condition is read once."""
    ids = np.array(sorted(set().union(*(source.image_id for source in sources))), dtype=object)
    places = [np.searchsorted(ids, source.image_id) for source in sources]
    reals = {source.dataset: place for source, place in zip(sources, places, strict=True) if source.is_real}
    plain = store.read(encoder, "none", list(ids)).embedding
    permutations = _Permutations(settings)
    unfiltered = [space.view(plain) for space in seen]
    widths = [_width(vectors[np.concatenate(list(reals.values()))]) for vectors in unfiltered]
    for spec in specs:
        embedding = plain
        if spec != "none":
            embedding = store.read(encoder, spec, list(ids)).embedding
            same = np.linalg.norm(embedding - plain, axis=1) <= _SAME * widths[0][0]
            embedding[same] = plain[same]
        geometry = geometry_of(store.fingerprint(encoder, spec) or {})
        px, nyq = cutoffs(parse(spec), geometry.size if geometry else None)
        rows = []
        for space, before, (width, trouble) in zip(seen, unfiltered, widths, strict=True):
            after = before if spec == "none" else space.view(embedding)
            for experiment, (source, mine) in product(experiments, zip(sources, places, strict=True)):
                across = experiment == "fake_vs_real"
                if not space.meets(source) or (source.is_real if across else spec == "none"):
                    continue
                other = after[reals.get(source.dataset, [])] if across else before[mine]
                rows.append(
                    {
                        "encoder": encoder,
                        "space": space.name,
                        "trained_on": space.trained_on,
                        "experiment": experiment,
                        "source": source.name,
                        "family": source.family,
                        "dataset": source.dataset,
                        "filter": spec,
                        "cutoff_px": px,
                        "cutoff_nyq": nyq,
                        "n": len(mine),
                        "n_real": len(other) if across else None,
                        **_test(
                            experiment, source, after[mine], other, width, trouble, settings, permutations
                        ),
                    }
                )
        yield rows


class _Permutations:
    """The permutations of each source's test against reals: the same for all conditions, and drawn once."""

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        self._drawn: dict[tuple[str, str, int, int], Divisions] = {}

    def of(self, source: Source, m: int, n: int) -> Divisions | None:
        """Those of m of the source's images and n reals; None where the samples are cut into blocks."""
        if max(m, n) > LARGEST:
            return None
        key = source.dataset, source.name, m, n
        if key not in self._drawn:
            draw = _draw(self._settings, "fake_vs_real", source)
            self._drawn[key] = divisions(m, n, self._settings.permutations, draw)
        return self._drawn[key]


def _draw(settings: _Settings, experiment: str, source: Source) -> np.random.Generator:
    """Where the permutations of a source's test come from, whatever the condition."""
    return seeding.generator(settings.seed, "mmd permutations", experiment, source.dataset, source.name)


def _width(reals: Vectors) -> tuple[float, str]:
    """The bandwidth, or why there is none."""
    if len(reals) < SMALLEST:
        return np.nan, f"{len(reals)} real images, and a bandwidth needs {SMALLEST}"
    try:
        return median_distance(reals), ""
    except InputError as error:
        return np.nan, str(error).rstrip(".")


def _test(
    experiment: str,
    source: Source,
    mine: Vectors,
    other: Vectors,
    width: float,
    trouble: str,
    settings: _Settings,
    permutations: _Permutations,
) -> dict[str, Any]:
    """MMD^2, p and bandwidth of one comparison, or the reason why they are blank."""
    word = "real " if experiment == "fake_vs_real" and len(mine) >= SMALLEST else ""
    fewest = min(len(mine), len(other)) if word else len(mine)
    if fewest < SMALLEST:
        trouble = f"{fewest} {word}images, and a test needs {SMALLEST}"
    found = MMD(np.nan, np.nan)
    if not trouble and settings.biased:
        width, trouble = _width(np.concatenate([mine, other]))
    if not trouble:
        draw = _draw(settings, experiment, source)
        given = (settings.kernel, width, settings.permutations, draw)
        if experiment == "fake_vs_real":
            labels = permutations.of(source, len(mine), len(other))
            found = two_sample(mine, other, *given, biased=settings.biased, labels=labels)
        else:
            found = paired(other, mine, *given, biased=settings.biased)
    return {**found._asdict(), "bandwidth": width, "reason": trouble}
