"""Figures for papers: at a venue's column widths, without titles, with their captions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.files import write_whole
from bandprobe.machine import cores
from bandprobe.report.arrangement import arrange
from bandprobe.report.band_figures import bands_groups
from bandprobe.report.figures import (
    FigureGroup,
    PlannedFigure,
    curve_groups,
    heatmap_group,
    spectra_groups,
)
from bandprobe.report.latex import MARK, latex_text
from bandprobe.report.measures import ACCURACY, AUROC, choose_pd
from bandprobe.report.mmd_figures import mmd_groups
from bandprobe.report.robustness_figures import robustness_groups
from bandprobe.report.run_directory import Run, read_run
from bandprobe.report.spectrum_figures import SpectrumView
from bandprobe.report.style import Page, drawing, on_page, save

CAPTIONS = "captions.tex"
WIDE = "-wide"  # ends the names of figures across two columns
_TYPE = 7.0  # points: the smallest that is read in print


@dataclass(frozen=True)
class Venue:
    """The room that figures have.

    Attributes:
        column: width of a column of text, inches.
        page: width of the whole text, inches; equal where there is one column.
        height: of the text, inches.
    """

    column: float
    page: float
    height: float

    @property
    def pages(self) -> dict[str, Page]:
        """By what is put behind a figure's name: what it is drawn for."""
        widths = {"": self.column, **({WIDE: self.page} if self.page > self.column else {})}
        return {
            ending: Page(width, _TYPE, _TYPE, _TYPE, self.height, fixed=True)
            for ending, width in widths.items()
        }


VENUES: dict[str, Venue] = {
    "cvpr": Venue(3.25, 6.875, 8.875),
    "iclr": Venue(5.5, 5.5, 9.0),
    "ieee": Venue(3.5, 7.16, 9.0),
}
"""Source: the CVPR author guidelines (text 6 7/8 by 8 7/8 inches, columns of 3 1/4), the ICLR formatting
instructions (text 5.5 by 9 inches), and IEEE's size requirements for graphics (3.5 and 7.16 inches; at most 9 high)."""


def paper_figures(run_dir: Path, venue: str) -> list[Path]:
    """Draw a run's heat maps, curves, spectra, MMD in embedding space, bands and falls
    under degradations for a venue.

    Each is exactly as wide as a column, and a second time, its name ending in `-wide`, as the text where that has
    two columns. Type is 7 points, fonts are embedded as TrueType (Type 42). Titles and notes are left to the
    caption: `captions.tex` holds a float for each.

    Args:
        run_dir: a run directory with `results.parquet`.
        venue: of `VENUES`.

    Returns:
        The paths in `figures/VENUE/`: of the captions, and of each figure's PDF; a PNG lies beside each.

    Raises:
        InputError: an unknown venue, or results that are missing or damaged.
        DiskError: a figure cannot be written.
    """
    from joblib import Parallel, delayed

    if venue not in VENUES:
        raise InputError(f"figures are drawn for {', '.join(VENUES)}; got {venue!r}.")
    folder = Path(run_dir) / "figures" / venue
    run = read_run(Path(run_dir))
    asked = [
        (figure, ending, page)
        for ending, page in VENUES[venue].pages.items()
        for figure in planned(run, page)
    ]
    workers = max(1, min(cores(), len(asked) // 8))  # a worker starts in the time of a few figures
    whole = folder.resolve()  # worker processes that live on may stand in another folder
    labels = []
    with progress.bar(f"figures for {venue}", len(asked), "figures") as step:
        for label in Parallel(workers, return_as="generator")(
            delayed(_write)(figure, page, whole / f"{figure.stem}{ending}") for figure, ending, page in asked
        ):
            labels.append(label)
            step()
    stems = [f"{figure.stem}{ending}" for figure, ending, _ in asked]
    _remove_stale(folder, stems)
    floats = [
        _float(stem, label, wide=ending == WIDE)
        for stem, label, (_, ending, _) in zip(stems, labels, asked, strict=True)
    ]
    captions = write_whole(folder / CAPTIONS, "\n".join([MARK, *floats]).encode())
    return [captions, *(folder / f"{stem}.pdf" for stem in stems)]


def planned(run: Run, page: Page) -> list[PlannedFigure]:
    """The figures that a paper may show, to be drawn on a page."""
    results, arrangement = run.results, arrange(run.results)
    wanted = str(((run.record.get("config") or {}).get("analysis") or {}).get("pd", "auto"))
    pd_measure = choose_pd(results, wanted)[0]
    measures = [AUROC, ACCURACY, *([pd_measure] if pd_measure else [])]
    encoders = [str(name) for name in results["encoder"].unique()]
    family_of = dict(zip(results["tested_on"], results["family_to"], strict=True))
    groups: list[FigureGroup] = []
    for encoder in encoders:
        groups.append(heatmap_group(results, encoder, measures, arrangement))
        groups += curve_groups(results, encoder, measures, arrangement)
    if run.spectra:
        groups += spectra_groups(run.spectra, family_of, view=SpectrumView(width=page.width))
    if "mmd" in run.analyses:
        table = run.analyses["mmd"]
        groups += mmd_groups(table[table["space"] == "embedding"])
    if "bands_tested" in run.analyses:
        tested = run.analyses["bands_tested"]
        groups += bands_groups(run.analyses.get("bands", tested.iloc[:0]), tested)
    if "robustness_means" in run.analyses:
        groups += robustness_groups(run.analyses["robustness_means"])
    return list(chain.from_iterable(group.figures for group in groups))


def _write(figure: PlannedFigure, page: Page, stem: Path) -> str:
    """Draw one figure on a page and save it; returns what it leaves to its caption."""
    with on_page(page), drawing():
        drawn = figure.draw()
        save(drawn, stem)
        return str(drawn.get_label())


def _float(stem: str, caption: str, *, wide: bool) -> str:
    name = "figure*" if wide else "figure"
    return (
        f"\\begin{{{name}}}\n\\centering\n\\includegraphics{{{stem}}}\n\\caption{{{latex_text(caption)}}}\n"
        f"\\label{{fig:bandprobe-{stem}}}\n\\end{{{name}}}\n"
    )


def _remove_stale(folder: Path, stems: Sequence[str]) -> None:
    """Remove figures of an earlier report that this one does not have."""
    for path in folder.glob("*"):
        if path.suffix in (".png", ".pdf") and path.stem not in stems:
            path.unlink()
