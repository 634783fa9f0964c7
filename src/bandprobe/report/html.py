"""The page: one HTML file with everything in it, for screen, phone and paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from bandprobe.report.claims_table import ClaimLine
from bandprobe.report.figure_images import EmbeddedImage
from bandprobe.report.figures import FigureGroup
from bandprobe.report.first_screen import Summary
from bandprobe.report.gallery_view import GalleryView
from bandprobe.report.interactive import READINGS, Interactive
from bandprobe.report.methods import Methods
from bandprobe.report.page_tables import Table, table
from bandprobe.report.radius_view import RadiusView
from bandprobe.report.run_directory import Run
from bandprobe.report.summary import Headline


@dataclass(frozen=True)
class EncoderSection:
    """Everything the page shows about one encoder."""

    name: str
    groups: list[FigureGroup]
    tables: list[Table]


@dataclass(frozen=True)
class Section:
    """An analysis on the page: its anchor, heading, a sentence on how to read it, figures and tables.

    With the name of an interactive figure in `figure`, that one is shown and those of `groups` are linked as files.
    """

    anchor: str
    title: str
    note: str = ""
    groups: list[FigureGroup] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    figure: str = ""


@dataclass(frozen=True)
class Page:
    """What the template is filled with."""

    title: str
    question: str
    headlines: list[Headline]
    warnings: list[str]
    audit: tuple[Table, list[str]] | None
    encoders: list[EncoderSection]
    claims: list[ClaimLine]
    analyses: list[Section]
    spectra: list[FigureGroup]
    data_tables: list[Table]
    tables: list[Table]
    provenance: list[tuple[str, str]]
    timings: Table | None
    left_out: Table | None
    interactive: Interactive
    images: Mapping[str, EmbeddedImage] = field(default_factory=dict)
    native: bool = False
    detection: str = ""
    summary: Summary | None = None
    radius: RadiusView | None = None
    gallery: GalleryView | None = None
    methods: Methods | None = None


def render(page: Page) -> str:
    """The whole HTML file as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(page=page, readings=READINGS)


def provenance(run: Run) -> list[tuple[str, str]]:
    """Name and value pairs from `run.json`, those that it holds."""
    record = run.record
    data = _mapping(record.get("data"))
    rows: list[tuple[str, str]] = [("Run directory", run.folder.resolve().name)]
    for key, label in (("command", "Command"), ("protocol", "Protocol"), ("geometry", "Geometry"),
                       ("seed", "Seed"), ("device", "Device"), ("precision", "Precision")):  # fmt: skip
        if record.get(key) not in (None, ""):
            rows.append((label, _plain(record[key])))
    for key, label in (("encoder_passes", "Encoder forward passes"), ("band_passes", "Passes to locate bands"),
                       ("twin_passes", "Passes of random-weight twins")):  # fmt: skip
        if passes := _mapping(record.get(key)):
            done, saved = (
                f"{v:,}" if isinstance(v := passes.get(k), int) else "?" for k in ("done", "saved")
            )
            rows.append((label, f"{done} done, {saved} saved by the store"))
    if data.get("roots"):
        rows.append(("Data read from", _plain(data["roots"])))
    if _mapping(record.get("versions")):
        rows.append(("Versions", ", ".join(f"{k} {v}" for k, v in record["versions"].items())))
    for encoder in record.get("encoders") or []:
        if isinstance(encoder, Mapping) and encoder.get("name"):
            facts = ", ".join(
                f"{k} {_plain(v)}" for k, v in encoder.items() if k != "name" and v not in (None, "")
            )
            rows.append((f"Encoder {encoder['name']}", facts or "–"))
    return rows


def timing_view(record: Mapping[str, Any]) -> Table | None:
    """Seconds by stage; None when the run kept none."""
    timings = _mapping(record.get("timings"))
    rows = [[str(stage), _duration(float(s))] for stage, s in timings.items() if isinstance(s, (int, float))]
    return table("Time by stage", ["stage", "time"], rows) if rows else None


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return str(value)
