"""A forecast on the terminal: what was counted, measured and projected, each apart and each with how it was got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bandprobe.cli.quantities import amount, duration, seconds, summary
from bandprobe.columns import shown
from bandprobe.images import SPLITS
from bandprobe.machine import cores
from bandprobe.study.costs import conditions
from bandprobe.study.devices import PRECISIONS
from bandprobe.study.forecast import LEFT_OUT

if TYPE_CHECKING:
    from bandprobe.study.costs import Costs
    from bandprobe.study.forecast import Forecast

_STAGES = {"study": "probes", "bands": "bands", "twins": "twins"}
_NOTHING = "-"
_SOURCES = 20  # lines of the table of sources


def page(found: Forecast, name: str) -> None:
    """Print a forecast to standard output."""
    console = Console(highlight=False, markup=False, emoji=False)
    plan, costs = found.plan, found.costs
    tested, trained = conditions(plan)
    many = len(set(tested) | set(trained))
    console.print(Text(shown(name), "bold"), end="")
    console.print(
        f": {found.people.images:,} images x {many} conditions x {len(plan.encoders)} "
        f"encoder{'s' if len(plan.encoders) > 1 else ''}"
    )
    _counted(console, found, tested, trained)
    if not costs.to_do:
        _line(console, "Nothing is left to do: the run's store holds all of it.")
        return
    _measured(console, found)
    _projected(console, found)
    _what_if(console, found)
    if costs.imported:
        _line(console, f"{costs.imported:,} rows come from tables, without a pass.")
    console.print()
    _line(console, f"Not in the hours: {LEFT_OUT}.", indent=0)


def _counted(console: Console, found: Forecast, tested: Sequence[str], trained: Sequence[str]) -> None:
    _title(console, "Counted")
    costs, counts = found.costs, found.people.counts
    wide = counts.pivot_table(
        index=["dataset", "label", "generator"], columns="split", values="n", aggfunc="sum", fill_value=0
    ).reindex(columns=list(SPLITS), fill_value=0)
    rows: list[list[str]] = [
        [shown(dataset), shown(generator), *(f"{int(n):,}" for n in row), f"{int(sum(row)):,}"]
        for (dataset, _, generator), row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    if len(rows) > _SOURCES:
        others = wide.iloc[_SOURCES - 1 :]
        rows[_SOURCES - 1 :] = [
            [
                "",
                f"{len(others)} more",
                *(f"{int(n):,}" for n in others.sum()),
                f"{int(others.to_numpy().sum()):,}",
            ]
        ]
    rows.append(["all", "", *(f"{int(n):,}" for n in wide.sum()), f"{found.people.images:,}"])
    _table(console, ["data set", "source", *SPLITS, "images"], rows, left=2, total=True)
    _line(console, f"Images: {found.people.how}.")
    console.print()
    _line(console, f"Test images under {len(tested)} conditions: {summary(tested)}.")
    same = set(tested) == set(trained)
    _line(
        console,
        "Training images under the same."
        if same
        else f"Training images under {len(trained)}: {summary(trained)}.",
    )
    console.print()
    rows = [
        [
            _STAGES[share.stage],
            shown(share.reference.name),
            f"{share.images:,}",
            str(share.conditions),
            f"{share.to_do:,}",
            f"{share.saved:,}",
        ]
        for share in costs.shares
    ]
    rows.append(["all", "", "", "", f"{costs.to_do:,}", f"{costs.saved:,}"])
    _table(
        console, ["for", "encoder", "images", "conditions", "passes to do", "saved"], rows, left=2, total=True
    )
    if costs.saved:
        made = "the run's store, or an earlier stage," if found.resumed else "an earlier stage"
        _line(console, f"Saved: {made} has made them.")
    _line(console, f"Pictures are opened once a stage, for all its conditions: {costs.reads:,} times.")
    console.print()
    rows = []
    for share in costs.shares:
        if not share.to_do:
            continue
        cost = share.cost
        rows.append(
            [
                _STAGES[share.stage],
                shown(share.reference.name),
                _NOTHING if cost is None else f"{cost.parameters / 1e6:,.1f} M",
                _NOTHING if cost is None else amount(cost.flops, "FLOP"),
                _NOTHING if share.flops is None else amount(share.flops, "FLOP"),
                f"{share.values:,}",
                amount(share.stored_bytes, "B"),
            ]
        )
    rows.append(["all", "", "", "", _operations(costs), "", amount(costs.stored_bytes, "B")])
    _table(
        console,
        ["for", "encoder", "weights", "a pass", "in all", "vector", "stored"],
        rows,
        left=2,
        total=True,
    )
    _line(
        console,
        f"FLOP: counted on the architecture, 2 a multiply-add. Stored: {costs.vector_bytes:,} bytes of vectors, "
        "the rest estimated.",
    )
    if costs.uncounted:
        names = ", ".join(map(shown, costs.uncounted))
        _line(console, f"No model of PyTorch to count on, known by time alone: {names}.")


def _measured(console: Console, found: Forecast) -> None:
    _title(console, "Measured here")
    measured = found.calibration
    if measured is None:
        _line(
            console, "Nothing, so that there are no hours; `bandprobe plan` without --no-calibrate measures."
        )
        return
    flops = {share.reference.name: share.cost.flops for share in found.costs.shares if share.cost}
    flops |= {share.reference.target: share.cost.flops for share in found.costs.shares if share.cost}
    names = {share.reference.target: share.reference.name for share in reversed(found.costs.shares)}
    rows = []
    if measured.read is not None:
        rows.append(
            ["reading a picture", seconds(measured.read), "", f"{measured.files} of the study's files"]
        )
    for name, timing in measured.timings.items():
        rate = _NOTHING
        if timing.seconds and name in flops:
            rate = f"{flops[name] / timing.seconds / 1e9:,.0f} GFLOP/s"
        said = [f"{timing.passes} passes"] if timing.seconds else []
        rows.append(
            [
                shown(names.get(name, name)),
                _NOTHING if timing.seconds is None else seconds(timing.seconds),
                rate,
                ", ".join(filter(None, [*said, timing.note])),
            ]
        )
    _table(console, ["", "each", "", "from"], rows, left=1, last_left=True)
    place = f"{cores()} cores" if measured.device.type == "cpu" else str(measured.device)
    precision = found.plan.settings.run.precision
    _line(console, f"On {place}, {measured.lanes} batches at once, {precision}; filters included.")
    if measured.read is None:
        _line(console, "Reading was not measured: the files are not here.")
    total = found.hours_here
    console.print()
    if total is None:
        _line(console, "Hours here are not known: an encoder was not timed.")
    else:
        console.print(
            Text("  Embedding here: ").append(duration(total), "bold").append(", measured x counted")
        )


def _projected(console: Console, found: Forecast) -> None:
    fleet, costs = found.fleet, found.costs
    if fleet is None:
        return
    _title(console, "Projected")
    priced = fleet.usd_per_gpu_hour is not None
    asked = found.plan.settings.run.precision
    rows = []
    for precision in PRECISIONS:
        alone, together = fleet.gpu_hours(costs, precision), fleet.hours(costs, precision)
        if alone is None or together is None:
            continue
        rows.append(
            [
                f"{precision}{', as the study asks' if precision == asked else ''}",
                f"{fleet.device.peak(precision):g}",
                f"{alone:,.1f}" if alone >= 1 else f"{alone:.2g}",
                duration(together),
                *([_usd(fleet.usd(costs, precision))] if priced else []),
            ]
        )
    header = ["arithmetic", "peak TFLOP/s", "GPU-hours", f"on {fleet.gpus}", *(["cost"] if priced else [])]
    _table(console, header, rows, left=1)
    _line(
        console,
        f"{fleet.gpus} x {fleet.device.title}. Dense peaks: {fleet.device.source}; {fleet.utilisation:.0%} of them "
        f"assumed (--utilisation){f'; {_usd(fleet.usd_per_gpu_hour)} a GPU-hour' if priced else ''}.",
    )
    if costs.uncounted:
        _line(
            console, f"Without the passes of {', '.join(map(shown, costs.uncounted))}, which are not counted."
        )
    if fleet.device.bandwidth is not None:
        _line(console, f"Filters included: their bytes through memory at {fleet.device.bandwidth:,g} GB/s.")
    if asked == "fp32" and fleet.device.peak("tf32") not in (None, fleet.device.peak("fp32")):
        _line(
            console,
            "PyTorch multiplies fp32 without tensor cores; TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 gives tf32.",
        )
    if found.calibration is not None and found.calibration.read is not None:
        each = found.calibration.read * (
            found.calibration.lanes if found.calibration.device.type == "cpu" else 1
        )
        feeding = fleet.readers(costs, asked, each)
        if feeding and feeding >= 0.1:
            _line(console, f"Reading keeps {feeding:,.1f} processor cores like these busy meanwhile.")


def _what_if(console: Console, found: Forecast) -> None:
    fleet = found.fleet
    _title(console, "What if")
    here = found.calibration is not None
    priced = fleet is not None and fleet.usd_per_gpu_hour is not None
    rows = []
    for row in found.instead:
        cells = [
            shown(row.change),
            amount(row.costs.to_do, ""),
            _operations(row.costs),
            amount(row.costs.stored_bytes, "B"),
        ]
        if here:
            cells.append(_NOTHING if row.hours_here is None else duration(row.hours_here))
        if fleet is not None:
            hours = fleet.hours(row.costs, row.precision)
            cells.append(_NOTHING if hours is None else duration(hours))
        if fleet is not None and priced:
            cells.append(_usd(fleet.usd(row.costs, row.precision)))
        rows.append(cells)
    header = ["", "passes", "in all", "stored"]
    header += (["here"] if here else []) + (
        [f"{fleet.gpus} GPU{'s' if fleet.gpus > 1 else ''}"] if fleet else []
    )
    _table(console, [*header, *(["cost"] if priced else [])], rows, left=1)
    if any(row.change == "no re-training" for row in found.instead):
        _line(console, "No re-training: probes of the training filters alone, no curves of information.")


def _operations(costs: Costs) -> str:
    return _NOTHING if costs.uncounted and not costs.flops else amount(costs.flops, "FLOP")


def _usd(number: float | None) -> str:
    if number is None:
        return _NOTHING
    return f"${number:,.0f}" if number >= 99.5 else f"${number:,.2f}"


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, "bold underline"))


def _line(console: Console, text: str, number: str = "", behind: str = "", indent: int = 2) -> None:
    line = Text(text)
    if number:
        line.append(": ").append(number, "bold").append(behind)
    console.print(Padding(line, (0, 0, 0, indent), expand=False))


def _table(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: int,
    total: bool = False,
    last_left: bool = False,
) -> None:
    """Columns of text, then of numbers; `left` of them hold names, and the last row may be a sum."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for at, title in enumerate(header):
        names = at < left or (last_left and at == len(header) - 1)
        table.add_column(title, justify="left" if names else "right", no_wrap=not names, overflow="fold")
    for at, row in enumerate(rows):
        table.add_row(*map(Text, row), style="bold" if total and at == len(rows) - 1 else None)
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
