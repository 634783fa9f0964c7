"""What gives the label away besides the picture: the AUROC of every trace, data set by data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bandprobe.audit.headers import CATEGORIES, METADATA, NUMBERS
from bandprobe.audit.pixels import LARGEST, LEAST, PIXELS
from bandprobe.audit.reading import FOUND, LEVEL, MARGIN, warnings
from bandprobe.audit.sampling import Picture, headers, pictures, sampled
from bandprobe.audit.scores import Floats, Labels, by_category, by_number, combined, folds
from bandprobe.audit.words import ALL_METADATA, ALL_PIXELS, warning
from bandprobe.errors import InputError
from bandprobe.images import MAX_PIXELS
from bandprobe.images.equalise import AUTO, Equalise
from bandprobe.metrics import delong
from bandprobe.seeding import generator

COLUMNS = ("trace", "dataset", "auroc", "low", "high", "warning", "kind", "n_real", "n_fake")
SAMPLES = 1000
FEWEST = 20  # images of a class that a trace is judged on
_COMBINED = 20_000  # images that a combination of metadata is fitted on


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        table: a row for each trace and data set. trace; dataset; auroc, of telling fakes from reals; low and
            high, an interval that holds for all traces together (95 %, Bonferroni); warning, in words where
            low is above 0.52, else empty; kind, `metadata` or `pixels`; n_real, n_fake. The rows `metadata`
            and `pixel traces` are all traces of that kind together. Values are blank where a class has under
            20 images, or a picture's pixels are too few. After equalising, these are the values that remain,
            and auroc_found, low_found and high_found those before.
        left_out: path and reason of the images that could not be used.
        notes: what else is to be known: numbers of images, what is left out.
        equalise: the recipe, empty without one.
    """

    table: pd.DataFrame
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    equalise: str = ""

    @property
    def warnings(self) -> list[str]:
        """A sentence for each warning, data set by data set, the surest first."""
        return warnings(self.table)


class _Trace(NamedTuple):
    """One trace of one data set, scored."""

    name: str
    dataset: str
    kind: str
    label: Labels
    scores: Floats | None  # None: nothing to be judged on
    values: Any = None


def audit(
    manifest: pd.DataFrame,
    *,
    equalise: Equalise | str | None = None,
    samples: int = SAMPLES,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    workers: int = 2,
) -> Audit:
    """How well file metadata, and traces of compression and resampling, tell fakes from reals.

    The header of every file is read, and the pixels of at most `samples` of each class of each data set. A
    category's AUROC, and that of several numbers together, is of scores that were fitted on other images
    (five-fold); a single number's is that of its better direction. Intervals are DeLong's at a level that
    holds for every trace of every data set at once.

    Args:
        manifest: columns path, label (0 real, 1 fake) and dataset.
        equalise: also what remains once pictures share a history: a recipe, its text, or `auto`, the largest
            centre crop that 99 % of the images hold, halved, at quality 75.
        samples: images of each class whose pixels are looked at, at most.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        seed: which are sampled, and the folds.
        workers: threads.

    Returns:
        The audit. An image under both labels, where it is known or seen to be one, is left out.

    Raises:
        InputError: a data set lacks a class, samples or workers is below 1, or the recipe is none.
    """
    for name, number in (("samples", samples), ("workers", workers)):
        if number < 1:
            raise InputError(f"{name} must be 1 or more; got {number}.")
    recipe = Equalise.parse(equalise) if isinstance(equalise, str) and equalise != AUTO else equalise
    table, left_out = _one_label(manifest)
    metadata, broken = _metadata(table, workers)
    left_out |= broken
    table = table.loc[metadata.index]
    _check_classes(table, left_out)
    shorter = metadata["dimensions"].map(_shorter)
    if recipe == AUTO:
        recipe = Equalise.common(shorter.to_numpy())
    rows = sampled(table, samples, seed)
    side = rows["dataset"].map({name: _side(shorter[of.index]) for name, of in rows.groupby("dataset")})
    seen, broken = _seen(
        rows,
        pictures(
            rows["path"].tolist(),
            side.tolist(),
            recipe if isinstance(recipe, Equalise) else None,
            background=background,
            max_pixels=max_pixels,
            workers=workers,
        ),
    )
    left_out |= broken
    table = table[~table["path"].isin(list(broken))]
    found = _judged(table, metadata, {at: of.traces for at, of in seen.items()}, seed)
    notes = _notes(table, {at: of.traces for at, of in seen.items()})
    if not isinstance(recipe, Equalise):
        return Audit(found, left_out, notes)
    equal = {at: of for at, of in seen.items() if of.equal_header is not None}
    left_out |= {table.loc[at, "path"]: of.too_small for at, of in seen.items() if of.too_small}
    if not equal:
        raise InputError(
            f"no image could be equalised by {recipe}; the first: {next(iter(left_out.values()))}."
        )
    remaining = _judged(
        table.loc[list(equal)],
        pd.DataFrame({at: of.equal_header for at, of in equal.items()}).T.infer_objects(),
        {at: of.equal_traces for at, of in equal.items()},
        seed,
    )
    before = found.rename(columns=dict(zip(("auroc", "low", "high"), FOUND, strict=True)))
    both = remaining.merge(before[["trace", "dataset", *FOUND]], on=["trace", "dataset"], how="left")
    return Audit(both, left_out, notes, str(recipe))


def _one_label(manifest: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows less the files that are listed under both labels, each file of a data set once."""
    # Folds go by place: whatever the order of the rows, an image gets the same.
    table = manifest.sort_values(["dataset", "path", "label"], kind="stable")
    table = table.drop_duplicates(["path", "label", "dataset"], ignore_index=True)
    both = table.groupby("path")["label"].transform("nunique") > 1
    return table[~both], dict.fromkeys(table.loc[both, "path"], "the same file is real and fake")


def _metadata(table: pd.DataFrame, workers: int) -> tuple[pd.DataFrame, dict[str, str]]:
    """Metadata traces by the table's index, and why files are left out."""
    paths = table["path"].tolist()
    read = headers(paths, workers)
    good = {at: values for at, values in zip(table.index, read, strict=True) if not isinstance(values, str)}
    broken = {path: why for path, why in zip(paths, read, strict=True) if isinstance(why, str)}
    columns = {name: [values[name] for values in good.values()] for name in METADATA}
    return pd.DataFrame(columns, index=list(good)), broken


def _check_classes(table: pd.DataFrame, left_out: Mapping[str, str]) -> None:
    if table.empty:
        why = next(iter(left_out.items()), ("", "there is none"))
        raise InputError(f"no image can be audited; the first: {': '.join(filter(None, why))}.")
    for dataset, label in table.groupby("dataset")["label"]:
        if label.nunique() < 2:
            raise InputError(
                f"dataset {dataset!r} has {'fakes' if label.iloc[0] else 'reals'} only; an audit sets the two "
                "side by side. Give the folder that holds both."
            )


def _shorter(dimensions: str) -> int:
    return min(map(int, dimensions.split("x")))


def _side(shorter: pd.Series[int]) -> int:
    """The crop that 95 % of a data set's sampled pictures hold, so that size itself is no trace of pixels."""
    fits = int(np.sort(shorter.to_numpy())[int(0.05 * (len(shorter) - 1))])
    return max(LEAST, min(LARGEST, fits // 8 * 8))


def _seen(rows: pd.DataFrame, looked: Sequence[Picture | str]) -> tuple[dict[Any, Picture], dict[str, str]]:
    """Sampled pictures by the table's index, less the broken ones and those seen under both labels."""
    broken = {path: why for path, why in zip(rows["path"], looked, strict=True) if isinstance(why, str)}
    seen = {at: of for at, of in zip(rows.index, looked, strict=True) if isinstance(of, Picture)}
    identity = pd.Series({at: of.identity for at, of in seen.items()}, dtype=object)
    both = rows.loc[identity.index].groupby(identity)["label"].transform("nunique") > 1
    for at in both.index[both]:
        broken[rows.loc[at, "path"]] = "the same image is real and fake"
        del seen[at]
    return seen, broken


def _judged(
    table: pd.DataFrame,
    metadata: pd.DataFrame,
    traces: Mapping[Any, Mapping[tuple[str, str], float]],
    seed: int,
) -> pd.DataFrame:
    """The rows of an audit, from the traces by the table's index."""
    pixels = pd.DataFrame({at: values for at, values in traces.items() if values}).T
    scored: list[_Trace] = []
    for dataset, rows in table.groupby("dataset", sort=True):
        scored += _scored_metadata(str(dataset), rows, metadata, seed)
        scored += _scored_pixels(str(dataset), rows.loc[rows.index.intersection(pixels.index)], pixels, seed)
    tried = sum(trace.scores is not None and np.ptp(trace.scores) > 0 for trace in scored)
    level = 1 - (1 - LEVEL) / max(tried, 1)
    values = [_interval(trace, level) for trace in scored]
    rows_found = []
    for trace, (value, low, high) in zip(scored, values, strict=True):
        telling = sorted(
            (
                (-other_low, place, other.name)
                for place, (other, (_, other_low, _)) in enumerate(zip(scored, values, strict=True))
                if (other.dataset, other.kind) == (trace.dataset, trace.kind)
                and other.name not in (ALL_METADATA, ALL_PIXELS)
                and other_low > 0.5 + MARGIN
            )
        )
        words = ""
        if low > 0.5 + MARGIN:
            words = warning(trace.name, trace.values, trace.label, [name for *_, name in telling[:3]])
        counts = int((trace.label == 0).sum()), int((trace.label == 1).sum())
        rows_found.append((trace.name, trace.dataset, value, low, high, words, trace.kind, *counts))
    return pd.DataFrame(rows_found, columns=list(COLUMNS))


def _scored_metadata(dataset: str, rows: pd.DataFrame, metadata: pd.DataFrame, seed: int) -> list[_Trace]:
    label, mine = rows["label"].to_numpy(np.int8), metadata.loc[rows.index]
    if not _enough(label):
        return [_Trace(name, dataset, "metadata", label, None) for name in (*METADATA, ALL_METADATA)]
    fold = folds(label, generator(seed, "audit folds", dataset))
    found = []
    for name in CATEGORIES:
        values = mine[name].to_numpy(object)
        found.append(_Trace(name, dataset, "metadata", label, by_category(values, label, fold), values))
    for name in NUMBERS:
        numbers = mine[name].to_numpy(np.float64)
        found.append(_Trace(name, dataset, "metadata", label, by_number(numbers, label), numbers))
    few = sampled(rows, _COMBINED, seed).index
    at = rows.index.get_indexer(few)
    varied = mine.loc[few, mine.loc[few].nunique() > 1]
    scores = combined(varied, label[at], fold[at]) if varied.shape[1] else np.zeros(len(few))
    return [*found, _Trace(ALL_METADATA, dataset, "metadata", label[at], scores)]


def _scored_pixels(dataset: str, rows: pd.DataFrame, pixels: pd.DataFrame, seed: int) -> list[_Trace]:
    label = rows["label"].to_numpy(np.int8)
    if not _enough(label):
        return [_Trace(name, dataset, "pixels", label, None) for name in (*PIXELS, ALL_PIXELS)]
    fold = folds(label, generator(seed, "audit folds of pixels", dataset))
    mine = pixels.loc[rows.index]
    of_all = mine.set_axis([" ".join(name) for name in mine.columns], axis=1)
    return [
        *(
            _Trace(name, dataset, "pixels", label, combined(pd.DataFrame(mine[name]), label, fold))
            for name in PIXELS
        ),
        _Trace(ALL_PIXELS, dataset, "pixels", label, combined(of_all, label, fold)),
    ]


def _enough(label: Labels) -> bool:
    return bool(min(np.count_nonzero(label == 0), np.count_nonzero(label == 1)) >= FEWEST)


def _interval(trace: _Trace, level: float) -> tuple[float, float, float]:
    """AUROC, low and high; NaN where there is too little to judge."""
    if trace.scores is None:
        return np.nan, np.nan, np.nan
    found = delong(trace.label, trace.scores, level)
    return float(found.value), float(found.low), float(found.high)


def _notes(table: pd.DataFrame, traces: Mapping[Any, Mapping[tuple[str, str], float]]) -> list[str]:
    notes = []
    for dataset, rows in table.groupby("dataset", sort=True):
        mine = rows.loc[[at for at in rows.index if at in traces]]
        small = sum(not traces[at] for at in mine.index)
        counts = [f"{int((of['label'] == 0).sum()):,} reals and {int((of['label'] == 1).sum()):,} fakes"
                  for of in (rows, mine)]  # fmt: skip
        note = f"{dataset}: headers of {counts[0]}, pixels of {counts[1]}"
        if small:
            note += f", of which {small:,} are smaller than {LEAST} px and show no traces of pixels"
        if not _enough(rows["label"].to_numpy(np.int8)):
            note += f"; too few to judge, {FEWEST} of each are needed"
        notes.append(note)
    return notes
