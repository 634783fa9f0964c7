"""`score`: what probes say of new images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bandprobe import progress
from bandprobe.cli.options import BatchSize, Device, Json, Quiet, Workers, listed, show
from bandprobe.columns import shown
from bandprobe.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandprobe.detect.detector import Detector
    from bandprobe.detect.explanation import Explanation, Why
    from bandprobe.detect.inputs import Input
    from bandprobe.detect.row_file import RowFile

STANDARD_INPUT = "-"


def score(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Image files, folders, URLs with --allow-urls; - reads a list of them, or one image, from standard "
            "input.",
            metavar="IMAGE",
            show_default=False,
        ),
    ],
    probe: Annotated[
        list[Path],
        typer.Option(
            help="A probe's safetensors file, a folder of them or a published model folder (repeatable).",
            metavar="FILE",
            show_default=False,
        ),
    ],
    encoder: Annotated[
        str | None, typer.Option(help="Where the probe's encoder is now, if it has moved.", metavar="NAME")
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            help="Share of fakes among the images to come, e.g. 0.01 or 1%; without it probabilities are those for as "
            "many fakes as reals.",
            metavar="SHARE",
        ),
    ] = None,
    false_alarms: Annotated[
        str | None,
        typer.Option(
            help="Put the threshold where at most so many of the held-out reals are alarms, e.g. 1%; the probe's own "
            "threshold by default.",
            metavar="SHARE",
        ),
    ] = None,
    abstain: Annotated[
        str,
        typer.Option(
            help="No verdict between two probabilities: LOW..HIGH, auto (where 5 % of held-out fakes and reals "
            "overlap) or none.",
            metavar="BAND",
        ),
    ] = "auto",
    bands: Annotated[
        bool, typer.Option("--bands", help="Add what each band of frequencies contributes to the logit.")
    ] = False,
    consensus: Annotated[
        bool,
        typer.Option("--consensus", help="Add how far the verdict holds over low-pass radii."),
    ] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Draw of each image the curve over radii, the bands and where the decision comes from, into this "
            "folder.",
            metavar="DIR",
        ),
    ] = None,
    form: Annotated[
        Literal["text", "json", "jsonl", "csv"],
        typer.Option(
            "--format", help="text, json, jsonl (a row a line, as they come) or csv.", metavar="NAME"
        ),
    ] = "text",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Add rows to this .jsonl or .csv file; images that it holds already are left alone.",
            metavar="FILE",
        ),
    ] = None,
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="Fetch http and https URLs.")] = False,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell how probable it is that each image is generated.

    The probability is calibrated on validation images. The verdict is fake at or above the threshold, real below it,
    and abstain in the band between. An image unlike the probe's training images is marked as outside: no probability
    means much there.

    Examples:
        bandprobe score picture.jpg --probe runs/photos/probes/dinov2-small__all__none.safetensors
        bandprobe score pictures/ --probe probe.safetensors --prior 1% --out scores.jsonl
        find pictures -name "*.jpg" | bandprobe score - --probe probe.safetensors --format jsonl
        bandprobe score picture.jpg --probe probe.safetensors --explain why
    """
    from bandprobe.detect.decision import share
    from bandprobe.detect.detector import COLUMNS, Detector, warn
    from bandprobe.detect.inputs import inputs_of
    from bandprobe.detect.scorer import probe_paths
    from bandprobe.files import check_output
    from bandprobe.machine import cores
    from bandprobe.probes import load

    streamed = STANDARD_INPUT in images
    if streamed and len(images) > 1:
        raise InputError("- (standard input) stands alone; put the other names into the list.")
    # Before anything else that may be wrong: what is no probe costs nothing to find.
    for path in probe_paths(probe):
        load(path)
    items = [] if streamed else inputs_of(images, allow_urls=allow_urls)
    rate = None if false_alarms is None else share(false_alarms, "--false-alarms")
    with progress.quiet(quiet):
        if explain is not None:
            check_output(explain)
        detector = Detector.load(
            probe,
            encoder=encoder,
            device=device,
            prior=None if prior is None else share(prior, "--prior"),
            false_alarms=rate,
            abstain=abstain,
        )
        warn(detector, rate)
        extras = _Extras(detector, bands=bands, consensus=consensus, explain=explain)
        rules = {
            one.name: {"prior": detector.prior, "threshold": detector.decisions[one.name].threshold}
            for scorer in detector.scorers
            for one in scorer.probes
        }
        output = _Output("json" if json else form, [*COLUMNS, *extras.columns], rules, out)
        left_out: dict[str, str] = {}
        batches = _wanted(items, streamed, batch_size, output.file, allow_urls)
        with output, progress.bar("score", None if streamed else len(items), "images") as step:
            for done in detector.stream(batches, workers=workers or cores(), ahead=not streamed):
                output.add([row | extras.of(row, done.pictures[row["path"]]) for row in done.rows])
                left_out |= done.left_out
                step(len(done.pictures) + len(done.left_out))
    if left_out and output.empty:
        first, reason = next(iter(left_out.items()))
        raise InputError(
            f"none of {len(left_out)} images could be read; the first, {shown(first)!r}: {shown(reason)}."
        )
    output.end(left_out)
    raise typer.Exit(listed(left_out))


class _Output:
    """Where rows go as they are made: standard output in one of its forms, or a file."""

    def __init__(
        self, form: str, columns: list[str], probes: dict[str, dict[str, Any]], out: Path | None
    ) -> None:
        from bandprobe.detect.row_file import RowFile, header

        self._form, self._columns, self._several = form, columns, len(probes) > 1
        self._out, self.file = out, None if out is None else RowFile(out, columns, probes)
        self._rows: list[dict[str, Any]] = []
        self._count = 0
        if self.file is None and (first := header(form, columns)):
            typer.echo(first)

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    @property
    def empty(self) -> bool:
        """Whether there is no row, of now or of before."""
        return not self._count and not (self.file and self.file.done)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Rows of a batch."""
        from bandprobe.detect.row_file import line

        self._count += len(rows)
        if self.file is not None:
            self.file.add(rows)
        elif self._form == "json":
            self._rows += rows
        else:
            for row in rows:
                text = _text(row, several=self._several) if self._form == "text" else None
                typer.echo(text or line(row, self._form, self._columns))

    def end(self, left_out: dict[str, str]) -> None:
        """What is said after the last row."""
        if self.file is None:
            if self._form == "json":
                show(self._rows)
            return
        kept = len(self.file.done)
        if self._form == "json":
            show({"out": str(self._out), "rows": self._count, "kept": kept, "left_out": left_out})
        else:
            there = f", {kept:,} images were there already" if kept else ""
            typer.echo(f"{self._count:,} rows added to {self._out}{there}")


def _wanted(
    items: list[Input], streamed: bool, batch_size: int, file: RowFile | None, allow_urls: bool
) -> Iterator[list[Input]]:
    """Batches of what is still to be scored."""
    import sys

    from bandprobe.detect.inputs import batches_of, standard_input

    if streamed:
        for batch in standard_input(sys.stdin.buffer, batch_size, allow_urls=allow_urls):
            left = [item for item in batch if file is None or not file.has(item.name)]
            if left:
                yield left
    else:
        yield from batches_of([item for item in items if file is None or not file.has(item.name)], batch_size)


def _text(row: dict[str, Any], *, several: bool) -> str:
    """A row for people."""
    outside = "  (outside what the probe was trained on)" if row["outside"] else ""
    name = f"{shown(row['probe'])}  " if several else ""
    lines = [f"{row['probability']:.3f}  {row['verdict']:7}  {name}{shown(row['path'])}{outside}"]
    if bands := {key.removeprefix("band "): row[key] for key in row if key.startswith("band ")}:
        lines.append("       bands  " + "  ".join(f"{band}: {value:+.2f}" for band, value in bands.items()))
    if row.get("consensus") is not None:
        lines.append(
            f"       {row['consensus']:.0%} of radii agree, {row['consensus_probability']:.3f} in the mean"
        )
    return "\n".join(lines)


class _Extras:
    """What is worked out of each image when it is asked for: columns of its rows, and figures."""

    def __init__(self, detector: Detector, *, bands: bool, consensus: bool, explain: Path | None) -> None:
        from bandprobe.analysis.coalitions import Bands

        self._detector, self._bands, self._consensus, self._explain = detector, bands, consensus, explain
        self._places = {
            probe.name: (scorer, number)
            for scorer in detector.scorers
            for number, probe in enumerate(scorer.probes)
        }
        names = dict.fromkeys(
            name for scorer in detector.scorers if bands for name in Bands.of(scorer.geometry.size).names
        )
        self.columns = [f"band {name}" for name in names]
        self.columns += ["consensus", "consensus_probability"] if consensus else []
        self._latest: dict[tuple[str, int], Why] = {}
        self._stems: dict[str, int] = {}

    def of(self, row: dict[str, Any], pictures: dict[Any, Any]) -> dict[str, Any]:
        """The columns of one row; its figure is drawn."""
        import numpy as np

        from bandprobe.detect.explanation import Why

        if not (self._bands or self._consensus or self._explain):
            return {}
        scorer, number = self._places[row["probe"]]
        key = (row["path"], id(scorer))
        if key not in self._latest:  # of an image that came before nothing is asked any more
            self._latest = {k: v for k, v in self._latest.items() if k[0] == row["path"]}
            self._latest[key] = Why(pictures[scorer.colour], scorer)
        why, rule = self._latest[key], self._detector.decisions[row["probe"]]
        found: dict[str, Any] = dict.fromkeys(self.columns)
        if self._bands:
            named = zip(why.contributions.bands, why.contributions.values[number], strict=True)
            found |= {f"band {name}": float(value) for name, value in named}
        if self._consensus:
            asked = why.consensus
            thresholds = np.array([self._detector.decisions[probe.name].threshold for probe in scorer.probes])
            verdicts = np.full(len(thresholds), row["logit"] >= rule.threshold)
            found["consensus"] = float(asked.agreement(thresholds, verdicts)[number])
            found["consensus_probability"] = float(rule.probability(asked.mean[[number]])[0])
        if self._explain is not None:
            self._draw(why.explanation(row["path"], number, row["logit"], rule), self._explain)
        return found

    def _draw(self, explanation: Explanation, folder: Path) -> None:
        from bandprobe.files import write_json
        from bandprobe.report.explain_figure import explain_figure
        from bandprobe.report.slugs import slug
        from bandprobe.report.style import drawing, save

        stem = slug(Path(explanation.name).stem) or "image"
        if len(self._places) > 1:
            stem += f"__{slug(explanation.probe)}"
        again = self._stems[stem] = self._stems.get(stem, 0) + 1
        stem += f"-{again}" if again > 1 else ""
        folder.mkdir(parents=True, exist_ok=True)
        with drawing():
            save(explain_figure(explanation), folder / f"{stem}__explain")
        write_json(folder / f"{stem}__explain.json", explanation.facts())
