"""What a probe's run says of it, for whoever is to use it: how far it carries, on what it lives, where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bandprobe.metrics.intervals import wilson
from bandprobe.probes import ProbeFile
from bandprobe.report.measures import choose_pd
from bandprobe.report.run_directory import Run

KINDS = ("own", "same family", "other family")
_KEPT = 0.95  # of the unfiltered AUROC
_CUTS = 3  # that make a curve
_WARNINGS = 8  # of the audit
_DEGRADATIONS = ("jpeg", "webp", "blur", "noise", "resize", "crop")


@dataclass(frozen=True)
class Cell:
    """A probe on one test set: value and 95 % interval of each measure, in the order of `Facts.measures`."""

    tested_on: str
    dataset: str
    family: str
    kind: str  # of `KINDS`
    values: tuple[tuple[float, float, float], ...]
    n_real: int
    n_fake: int


@dataclass(frozen=True)
class Band:
    """A band that a probe was found to use, in fractions of Nyquist, on a generator."""

    tested_on: str
    low_nyq: float
    high_nyq: float
    p_value: float


@dataclass(frozen=True)
class Cut:
    """AUROC at a cut-off in fractions of Nyquist, with its interval."""

    cutoff_nyq: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """How AUROC falls under a low-pass on one generator.

    Attributes:
        tested_on: the generator.
        whole: unfiltered AUROC.
        cuts: from the lowest cut-off to the highest.
        keeps: the lowest cut-off from which on every AUROC is 95 % of the unfiltered one; None where none is.
    """

    tested_on: str
    whole: float
    cuts: tuple[Cut, ...]
    keeps: Cut | None


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval, and out of how many."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Facts:
    """What is known of a probe besides the probe itself.

    Attributes:
        condition: the filter that test images were under: the probe's own.
        measures: the names of the measures shown, e.g. `auroc`, `balanced_accuracy`, `pd@1%`.
        cells: own generators first, then those of the same family, then the others.
        curve: on the own generator that it knows best; None of a filtered probe, or where the run has fewer than
            three low-passes.
        bands: those claimed.
        bands_asked: why none is claimed, where none is.
        false_alarms: on the test reals of the own generators' data set, at the probe's threshold.
        warnings: of the audit: what tells the classes apart besides the picture, and the AUROC it has by itself.
        degradations: the kinds of damage that test images were also put to.
        n_left_out: images that could not be used.
    """

    condition: str = "none"
    measures: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    curve: Curve | None = None
    bands: tuple[Band, ...] = ()
    bands_asked: str = ""
    false_alarms: Rate | None = None
    warnings: tuple[tuple[str, str, float], ...] = ()
    degradations: tuple[str, ...] = ()
    n_left_out: int = 0

    def of_kind(self, kind: str) -> list[Cell]:
        """The test sets of one of `KINDS`."""
        return [cell for cell in self.cells if cell.kind == kind]


def held_out_alarms(file: ProbeFile) -> Rate | None:
    """The false-alarm rate on validation reals that the probe was not fitted on; None where it is not known."""
    judged = file.probe.judged
    if judged is None or not judged.n_real:
        return None
    return _rate(judged.alarms(file.probe.threshold), judged.n_real)


def facts_of(file: ProbeFile, run: Run) -> Facts:
    """What a run says of one of its probes; empty where it holds nothing of it."""
    mine = _of(run.results, file)
    condition = file.train_filter
    rows = mine[mine["filter"] == condition]
    if rows.empty:
        return Facts(condition=condition)
    pd_shown, _ = choose_pd(rows)
    measures = ("auroc", "balanced_accuracy", *((pd_shown.name,) if pd_shown else ()))
    cells = _cells(rows, file, measures)
    own = [cell for cell in cells if cell.kind == "own"]
    best = max(own, key=lambda cell: cell.values[0][0], default=None)
    bands = run.analyses.get("bands", pd.DataFrame())
    tested = _of(run.analyses.get("bands_tested", pd.DataFrame()), file)
    claimed = [
        Band(str(row.tested_on), float(row.low_nyq), float(row.high_nyq), float(row.p_value))  # type: ignore[arg-type]
        for row in _of(bands, file).itertuples()
    ]
    outcomes = [str(text) for text in tested["outcome"].unique()] if len(tested) else []
    kinds = {step.split(":")[0] for name in mine["filter"].unique() for step in str(name).split("+")}
    audit = run.analyses.get("audit", pd.DataFrame(columns=["warning", "trace", "dataset", "auroc"]))
    said = audit[audit["warning"].fillna("").astype(str) != ""].sort_values("auroc", ascending=False)
    left_out = run.record.get("images_left_out")
    return Facts(
        condition=condition,
        measures=measures,
        cells=tuple(cells),
        curve=None if best is None or condition != "none" else _curve(mine, best),
        bands=tuple(claimed),
        bands_asked="" if claimed else "; ".join(outcomes[:3]),
        false_alarms=_false_alarms(run, file, best),
        warnings=tuple(
            (str(row.trace), str(row.dataset), float(row.auroc))  # type: ignore[arg-type]
            for row in said.head(_WARNINGS).itertuples()
        ),
        degradations=tuple(name for name in _DEGRADATIONS if name in kinds),
        n_left_out=len(left_out) if isinstance(left_out, dict) else 0,
    )


def _of(table: pd.DataFrame, file: ProbeFile) -> pd.DataFrame:
    """A table's rows of a probe."""
    keys = {"encoder": file.encoder, "trained_on": file.trained_on, "train_filter": file.train_filter}
    if not set(keys) <= set(table.columns):
        return table.iloc[:0].reindex(columns=[*table.columns, "outcome"])
    for name, value in keys.items():
        table = table[table[name] == value]
    return table


def _cells(rows: pd.DataFrame, file: ProbeFile, measures: Sequence[str]) -> list[Cell]:
    known = set(map(str, file.training.get("generators", [])))
    datasets = set(map(str, file.training.get("datasets", [])))
    cells = []
    for (tested, dataset), of in rows.groupby(["tested_on", "dataset"], sort=True):
        first = of.iloc[0]
        family = str(first["family_to"])
        own = str(tested) in known and (not datasets or str(dataset) in datasets)
        near = file.family in ("all", family)
        values = []
        for name in measures:
            row = of[of["metric"] == name]
            values.append(
                tuple(float(row[end].iloc[0]) for end in ("value", "low", "high"))
                if len(row)
                else (float("nan"),) * 3
            )
        kind = "own" if own else "same family" if near else "other family"
        counts = int(first["n_real"]), int(first["n_fake"])
        cells.append(Cell(str(tested), str(dataset), family, kind, tuple(values), *counts))  # type: ignore[arg-type]
    return sorted(cells, key=lambda cell: KINDS.index(cell.kind))


def _curve(mine: pd.DataFrame, cell: Cell) -> Curve | None:
    rows = mine[
        (mine["tested_on"] == cell.tested_on)
        & (mine["dataset"] == cell.dataset)
        & (mine["metric"] == "auroc")
    ]
    plain = rows[rows["filter"].str.fullmatch(r"lowpass:[0-9.]+(px|nyq|cpp)").fillna(False)]
    plain = plain[plain["value"].notna() & plain["cutoff_nyq"].notna()].sort_values("cutoff_nyq")
    cuts = tuple(
        Cut(*(float(row[name]) for name in ("cutoff_nyq", "value", "low", "high")))
        for _, row in plain.iterrows()
    )
    if len(cuts) < _CUTS:
        return None
    whole = cell.values[0][0]
    keeps = None
    for cut in reversed(cuts):
        if cut.value < _KEPT * whole:
            break
        keeps = cut
    return Curve(cell.tested_on, whole, cuts, keeps)


def _false_alarms(run: Run, file: ProbeFile, cell: Cell | None) -> Rate | None:
    rows = _of(run.analyses.get("calibration", pd.DataFrame()), file)
    if cell is None or rows.empty or "filter" not in rows:
        return None
    found = rows[
        (rows["measure"] == "false_alarm")
        & rows["promised"].isna()
        & (rows["filter"] == file.train_filter)
        & (rows["tested_on"] == cell.tested_on)
        & (rows["dataset"] == cell.dataset)
        & rows["value"].notna()
    ]
    if found.empty:
        return None
    first = found.iloc[0]
    return Rate(float(first["value"]), float(first["low"]), float(first["high"]), int(first["n_real"]))


def _rate(count: int, n: int) -> Rate:
    low, high = wilson(count, n)
    return Rate(count / n, float(low), float(high), n)
