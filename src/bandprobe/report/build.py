"""From a run directory to its figures, tables and page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.files import write_whole
from bandprobe.report import html, tables
from bandprobe.report import page_tables as views
from bandprobe.report.arrangement import arrange
from bandprobe.report.figure_images import embed_images
from bandprobe.report.figures import FigureGroup, PlannedFigure, curve_groups, heatmap_group, spectra_groups
from bandprobe.report.measures import ACCURACY, AUROC, choose_pd
from bandprobe.report.run_directory import Run, read_run, read_spectra
from bandprobe.report.summary import headlines, is_native, question, warnings


def build(run_dir: Path) -> Path:
    """Make the figures, the tables and `report.html` of a run.

    Figures go to `figures/` (PNG at 200 dpi and vector PDF), tables to `tables/` (CSV); each file is
    written whole or not at all. Nothing outside the run directory is read.

    Args:
        run_dir: a run directory with `results.parquet`; `run.json`, `spectra.npz` and `left-out.csv`
            are used where they are.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: the results are missing or damaged.
        DiskError: a file cannot be written.
    """
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    results, arrangement = run.results, arrange(run.results)
    pd_chosen, pd_sentence = choose_pd(results)
    measures = [AUROC, ACCURACY, *([pd_chosen] if pd_chosen else [])]
    encoders = [str(name) for name in results["encoder"].unique()]
    pd_missing = [] if pd_chosen else [FigureGroup("Probability of detection", sentences=[pd_sentence])]

    groups = {
        encoder: [
            heatmap_group(results, encoder, measures, arrangement),
            *curve_groups(results, encoder, measures, arrangement),
            *pd_missing,
        ]
        for encoder in encoders
    }
    family_of = dict(zip(results["tested_on"], results["family_to"], strict=True))
    spectra = spectra_groups(run.spectra, family_of) if run.spectra else []
    planned = [
        figure for group in [*chain.from_iterable(groups.values()), *spectra] for figure in group.figures
    ]
    paths = []
    with progress.bar("figures", len(planned), "figures") as step:
        for figure in planned:
            paths.append(figure.write(run_dir / "figures"))
            step()
    images = dict(zip((figure.stem for figure in planned), embed_images(paths), strict=True))

    transfer = {m.name: tables.transfer_table(results, m.name, arrangement) for m in (AUROC, ACCURACY)}
    families = {m.name: tables.family_table(results, m.name) for m in (AUROC, ACCURACY)}
    cutoffs = tables.cutoff_table(results, arrangement)
    counts = tables.count_table(results, run.record)
    energy = tables.energy_table(results)
    conditions = tables.condition_table(results, arrangement)
    _write_tables(
        run_dir / "tables",
        {f"transfer-{name}": frame for name, frame in transfer.items()}
        | {f"families-{name}": frame for name, frame in families.items()}
        | {"cutoffs": cutoffs, "counts": counts, "energy": energy, "conditions": conditions},
    )

    sections = [
        html.EncoderSection(
            name=encoder,
            note=_undrawn(results[results["encoder"] == encoder]),
            groups=groups[encoder],
            tables=[
                table
                for table in (
                    views.cutoff_view(cutoffs, encoder, arrangement),
                    views.transfer_view(transfer["auroc"], encoder, "AUROC", percent=False),
                    views.transfer_view(transfer["accuracy"], encoder, "Accuracy", percent=True),
                )
                if table is not None and table.rows
            ],
        )
        for encoder in encoders
    ]
    page = html.Page(
        title=_title(run),
        question=question(run, arrangement),
        headlines=headlines(results, families["auroc"], cutoffs),
        warnings=warnings(run, families["auroc"], pd_sentence),
        encoders=sections,
        spectra=spectra,
        data_tables=[views.count_view(counts)],
        tables=[
            table
            for table in (
                views.family_view(families["auroc"], "AUROC", percent=False, encoders=encoders),
                views.family_view(families["accuracy"], "accuracy", percent=True, encoders=encoders),
                views.condition_view(conditions),
                views.energy_view(energy),
            )
            if table is not None and table.rows
        ],
        provenance=html.provenance(run),
        timings=html.timing_view(run.record),
        left_out=views.left_out_view(run),
        images=images,
        native=is_native(run.record),
    )
    return write_whole(run_dir / "report.html", html.render(page).encode("utf-8"))


def spectra_figures(folder: Path, family_of: Mapping[str, str]) -> list[Path]:
    """Draw the figures of `spectra.npz` alone, into the same folder.

    Args:
        folder: holds `spectra.npz`.
        family_of: each generator's family, which gives its colour.

    Returns:
        The PNGs' paths; a PDF lies beside each.

    Raises:
        InputError: the file is missing or damaged.
        DiskError: a figure cannot be written.
    """
    spectra = read_spectra(folder / "spectra.npz")
    if spectra is None:
        raise InputError(f"{folder / 'spectra.npz'} is missing or empty; `bandprobe spectrum` makes it.")
    return _draw([figure for group in spectra_groups(spectra, family_of) for figure in group.figures], folder)


def _remove_stale(folder: Path, stems: Collection[str]) -> None:
    """Remove figures of an earlier report that this one does not have."""
    for kind in ("heatmap", "curves", "spectrum"):
        for path in folder.glob(f"{kind}-*"):
            if path.suffix in (".png", ".pdf") and path.stem not in stems:
                path.unlink()


def _draw(planned: Sequence[PlannedFigure], folder: Path) -> list[Path]:
    paths = []
    with progress.bar("figures", len(planned), "figures") as step:
        for figure in planned:
            paths.append(figure.write(folder))
            step()
    return paths


def _write_tables(folder: Path, frames: dict[str, pd.DataFrame]) -> None:
    for name, frame in frames.items():
        write_whole(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n").encode("utf-8"))


def _title(run: Run) -> str:
    datasets = [str(name) for name in run.results["dataset"].unique() if name]
    shown = ", ".join(datasets[:4]) + (f" and {len(datasets) - 4} more" if len(datasets) > 4 else "")
    return f"Frequency report: {shown}" if shown else "Frequency report"


def _undrawn(results: pd.DataFrame) -> str:
    """A sentence on rows that no figure shows: probes trained under one filter and tested under another."""
    train, test = results["train_filter"], results["filter"]
    other = results[(train != "none") & (train != test)]
    if other.empty:
        return ""
    names = ", ".join(sorted(other["train_filter"].unique())[:4])
    more = other["train_filter"].nunique() - 4
    shown = f"{names} and {more} more filters" if more > 0 else names
    return (
        f"Probes trained under {shown} were also tested under "
        "other filters; those values stand in results.csv and in no figure."
    )
