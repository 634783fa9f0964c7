"""One row an encoder and data set: the encoder's traits beside what its probes depend on, over any number of runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bandprobe import progress
from bandprobe.analysis import encoder_statistics as statistics
from bandprobe.analysis.claim_conditions import Undecided, Variant
from bandprobe.analysis.evidence import Answer, Evidence
from bandprobe.analysis.twins import is_twin
from bandprobe.encoders.training_facts import entry_of, training_of
from bandprobe.errors import InputError
from bandprobe.probes import ProbeFile, load_folder
from bandprobe.store import EmbeddingStore

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = "unknown"
NONE = "none"  # of an encoder that has no such thing: a convolutional network's patch


@dataclass(frozen=True)
class Trait:
    """What is known of an encoder before it is run: a column, its heading, and whether it is a number."""

    name: str
    label: str
    numeric: bool


@dataclass(frozen=True)
class Statistic:
    """What is measured of an encoder: a column, its heading and meaning, and how it is worked out."""

    name: str
    label: str
    meaning: str
    work_out: Callable[[Evidence, Variant, str], Answer]


TRAITS = (
    Trait("objective", "objective", False),
    Trait("parameters", "parameters (M)", True),
    Trait("patch", "patch (px)", True),
    Trait("resolution", "resolution (px)", True),
    Trait("training_data", "training data", False),
    Trait("training_images", "training images (M)", True),
    Trait("augmentation", "augmentation", False),
    Trait("blur", "blur in training", False),
)


def own_auroc(e: Evidence, variant: Variant, name: str) -> Answer:
    """Mean AUROC of probes of one generator on their own, under the identity."""
    scope, (whole,), bar = e.own(name, variant)
    return Answer(whole, "auroc", scope.note, bar)


STATISTICS = (
    Statistic(
        "own_auroc", "AUROC on own generators", "of probes of one generator on that generator, under the identity",
        own_auroc,
    ),
    Statistic(
        "kept_cutoff", "cut-off that keeps 95 % (× Nyquist)",
        "the smallest low-pass cut-off at which the AUROC on own generators is 95 % of the identity's",
        statistics.kept_cutoff,
    ),
    Statistic(
        "high_frequency_dependence", "high-frequency dependence",
        "the share of the AUROC above one half that goes when everything above half of Nyquist is removed, probe fixed",
        statistics.high_frequency_dependence,
    ),
    Statistic(
        "transfer_gap", "GAN-to-diffusion gap",
        "AUROC of probes of one GAN on diffusion models, less that on their own generators", statistics.transfer_gap,
    ),
    Statistic(
        "effective_rank_share", "effective rank, low / identity",
        "effective rank of the embeddings under a low-pass at 0.15 of Nyquist, as a share of the identity's",
        statistics.rank_share,
    ),
)  # fmt: skip

_VARIANT = Variant("reliance", "butterworth", "float", "raw")
_ABOUT = ("encoder", "source", "world", "datasets", "geometry", "equalise", "protocol")
_COUNTS = ("n_images", "n_test", "n_generators")
_WHENCE = ("traits_source", "run", "version", "fingerprint")
COLUMNS = (
    *_ABOUT,
    *(trait.name for trait in TRAITS),
    *(f"{one.name}{end}" for one in STATISTICS for end in ("", "_low", "_high", "_note")),
    *_COUNTS,
    *_WHENCE,
)
KEY = ["world", "encoder", "fingerprint"]
RESAMPLES = 1000
_DECIMALS = 9
_FILE = "leaderboard.csv"
# Rows are told apart by what was done to which images, not by how the run is called.
_IMAGES = ["image_id", "label", "generator", "family", "dataset", "split"]


def leaderboard(places: Sequence[str | Path], *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The rows of runs and of earlier leaderboards, merged.

    Whole encoders alone have a row: layers, random-weight twins and finished detectors have none. Two rows of one
    encoder on the same images, made alike, are one: the place named later gives it.

    Args:
        places: run folders; leaderboards' folders, or their CSV files.
        seed: of the bootstrap.
        resamples: how many.

    Returns:
        A table with `COLUMNS`, world by world, the least dependent on high frequencies first. Traits that are not
        known read `unknown`; a statistic that a run cannot give is NaN, and its note says what to add.

    Raises:
        InputError: a place is neither, or its tables are damaged.
        StoreError: an embedding is missing or damaged.
    """
    tables = []
    for place in map(Path, places):
        csv = place / _FILE if place.is_dir() and not (place / "run.json").is_file() else place
        if csv.suffix == ".csv" and csv.is_file():
            tables.append(_earlier(csv))
        elif place.is_dir() and (place / "run.json").is_file():
            tables.append(rows_of_run(place, seed=seed, resamples=resamples))
        else:
            raise InputError(
                f"{str(place)!r} is neither a run's folder (it holds no run.json) nor a leaderboard's CSV; give "
                "folders that `bandprobe study` wrote, or a leaderboard.csv."
            )
    merged = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    if merged.empty:
        raise InputError(
            "no encoder to list: the runs given hold layers, twins, detectors or no probes alone."
        )
    merged = merged.drop_duplicates(KEY, keep="last")
    return merged.sort_values(
        ["datasets", "world", "kept_cutoff", "encoder"], kind="stable", na_position="last"
    ).reset_index(drop=True)


def rows_of_run(folder: Path, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The rows of one run, from its record, images, probes and store.

    Args:
        folder: a run's.
        seed: of the bootstrap.
        resamples: how many.

    Raises:
        InputError: the run is not whole.
        StoreError: an embedding is missing or damaged.
    """
    record, manifest = _read_run(folder)
    settings = _mapping(record.get("config"))
    store = EmbeddingStore(_mapping(settings.get("run")).get("store") or folder / "store")
    probes = load_folder(folder / "probes")
    encoders = [one for one in record["encoders"] if _is_listed(one, record["encoders"])]
    names = {str(one["name"]) for one in encoders}
    mine = [probe for probe in probes if probe.encoder in names]
    about = {
        "world": world_of(manifest, record),
        "datasets": ", ".join(sorted(manifest["dataset"].astype(str).unique())),
        "geometry": str(record.get("geometry", "")),
        "equalise": str(_mapping(settings.get("data")).get("equalise") or NONE),
        "protocol": str(record.get("protocol", "")),
        "n_images": len(manifest),
        "n_test": int((manifest["split"] == "test").sum()),
        "n_generators": int(manifest.loc[manifest["label"] == 1, "generator"].nunique()),
        "run": folder.resolve().name,
        "version": str(_mapping(record.get("versions")).get("bandprobe", UNKNOWN)),
    }
    filters = _mapping(record.get("filters")).get("test")
    replicates = [load_folder(path) for path in sorted((folder / "replicates").glob("*")) if path.is_dir()]
    evidence = _evidence(store, manifest, mine, replicates, filters, seed=seed, resamples=resamples)
    rows = []
    with progress.bar(f"leaderboard {about['run']}", len(encoders), "encoders") as step:
        for one in encoders:
            row = {**about, "encoder": str(one["name"]), "source": str(one.get("source", ""))}
            row |= traits_of(str(one["name"]), str(one.get("source", "")))
            row["fingerprint"] = _digest(
                {key: value for key, value in one.items() if key not in ("name", "source")}
            )
            rows.append(row | _measured(evidence, str(one["name"])))
            step()
    return _typed(pd.DataFrame(rows, columns=list(COLUMNS)))


def traits_of(name: str, source: str = "") -> dict[str, object]:
    """What the catalogue knows of an encoder; `unknown` where it says nothing."""
    entry = entry_of(name, source)
    if entry is None:
        return {**{trait.name: UNKNOWN for trait in TRAITS}, "traits_source": UNKNOWN}
    training = training_of(entry)
    untrained = entry.objective.startswith(NONE)
    absent = NONE if untrained else UNKNOWN
    return {
        "objective": entry.objective,
        "parameters": entry.parameters,
        "patch": NONE if entry.patch is None else entry.patch,
        "resolution": NONE if untrained else "varies" if entry.native_size is None else entry.native_size,
        "training_data": training.data if training else absent,
        "training_images": absent if training is None else training.images or UNKNOWN,
        "augmentation": absent if training is None else training.augmentation or UNKNOWN,
        "blur": absent if training is None else {True: "yes", False: "no", None: UNKNOWN}[training.blur],
        "traits_source": training.source if training else "bandprobe encoders",
    }


def world_of(manifest: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """A short name for the images of a run and how encoders see them; only rows of one world compare.

    Args:
        manifest: the images.
        record: `run.json`: geometry, equalisation, background and protocol are read.
    """
    data = _mapping(_mapping(record.get("config")).get("data"))
    seen = [
        record.get("geometry"),
        record.get("protocol"),
        data.get("equalise") or "",
        data.get("background"),
    ]
    digest = hashlib.sha256(json.dumps(seen).encode())
    table = manifest[_IMAGES].astype(str).sort_values(_IMAGES, kind="stable")
    digest.update(table.to_csv(index=False, lineterminator="\n").encode())
    return digest.hexdigest()[:12]


def _measured(evidence: Evidence | str, name: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for one in STATISTICS:
        value = low = high = np.nan
        try:
            if isinstance(evidence, str):
                raise Undecided(evidence)
            if name not in evidence.held:
                raise Undecided("the run's store holds nothing of it under the run's filters")
            answer = one.work_out(evidence, _VARIANT, name)
            value = float(answer.draws[0])
            low, high = (float(end) for end in np.nanquantile(answer.draws[1:], [0.025, 0.975]))
            bound = f"{answer.bound}, the sweep ends there" if answer.bound else ""
            note = "; ".join(filter(None, (bound, answer.said, answer.bar)))
        except Undecided as missing:
            note = str(missing)
        found |= {one.name: value, f"{one.name}_low": low, f"{one.name}_high": high, f"{one.name}_note": note}
    return found


def _evidence(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    replicates: Sequence[Sequence[ProbeFile]],
    filters: Sequence[str] | None,
    **options: int,
) -> Evidence | str:
    """What the run holds, or why nothing can be worked out of it."""
    if not store.conditions():
        return "the run's store is not there"
    if not probes:
        return "the run has no probes"
    try:
        return Evidence(store, manifest, probes, replicates, filters, **options)
    except InputError as error:
        return str(error)


def _is_listed(one: Mapping[str, Any], among: Sequence[Mapping[str, Any]]) -> bool:
    names = {str(other["name"]) for other in among}
    return not ("layer" in one or "random" in one or is_twin(str(one["name"]), names) or _is_detector(one))


def _is_detector(one: Mapping[str, Any]) -> bool:
    return str(one.get("source", one["name"])).partition("=")[2].startswith("detector:") or str(
        one.get("source", one["name"])
    ).startswith("detector:")


def _read_run(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        manifest = pd.read_parquet(folder / "manifest.parquet")
        whole = isinstance(record["encoders"], list) and set(_IMAGES) <= set(manifest.columns)
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise InputError(
            f"the run {str(folder)!r} is not whole: run.json or manifest.parquet is missing or damaged; run its "
            "study again."
        )
    return record, manifest


def _earlier(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {' '.join(str(error).split())[:120]}.") from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"{str(path)!r} is no leaderboard: it lacks the column {missing[0]!r}; give a CSV that `bandprobe "
            "leaderboard` wrote."
        )
    try:
        return _typed(table[list(COLUMNS)])
    except ValueError as error:
        raise InputError(f"{str(path)!r} holds no numbers where they belong: {error}.") from None


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Statistics and counts as numbers, everything else as text."""
    numbers = [f"{one.name}{end}" for one in STATISTICS for end in ("", "_low", "_high")]
    found = table.copy()
    for name in COLUMNS:
        if name in numbers:
            column = found[name].replace("", np.nan) if found[name].dtype == object else found[name]
            found[name] = pd.to_numeric(column).astype("float64").round(_DECIMALS) + 0.0
        elif name in _COUNTS:
            found[name] = pd.to_numeric(found[name]).astype("int64")
        else:
            found[name] = [_text(value) for value in found[name]]
    return found


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
