"""From a run directory to its figures, tables and page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.files import write_whole
from bandprobe.machine import cores
from bandprobe.metrics.spectrum_kinds import Kinds
from bandprobe.report import html, tables
from bandprobe.report import page_tables as views
from bandprobe.report.analysis_sections import analysis_sections
from bandprobe.report.arrangement import arrange
from bandprobe.report.audit_view import audit_view
from bandprobe.report.calibration_view import calibration_warnings
from bandprobe.report.claims_table import claim_lines
from bandprobe.report.compare import compare as compare_with
from bandprobe.report.figure_images import embed_images
from bandprobe.report.figures import (
    FigureGroup,
    PlannedFigure,
    curve_groups,
    heatmap_group,
    spectra_groups,
)
from bandprobe.report.first_screen import audit_cautions, summary
from bandprobe.report.gallery_view import gallery_view
from bandprobe.report.interactive import interactive
from bandprobe.report.matrix_figure import matrix_groups
from bandprobe.report.measures import ACCURACY, AUROC, choose_pd
from bandprobe.report.methods import layouts_of, methods
from bandprobe.report.radius_view import radius_view
from bandprobe.report.robustness_view import degraded
from bandprobe.report.run_directory import Run, read_run, read_spectra
from bandprobe.report.run_pictures import make_pictures
from bandprobe.report.slugs import slug
from bandprobe.report.spectrum_figures import DEFAULT_VIEW, SpectrumView
from bandprobe.report.summary import headlines, is_native, question, warnings

FIGURES = (
    "heatmap", "curves", "spectrum", "matrix", "compare", "mmd", "entropy", "correspondence", "bands", "layers",
    "robustness",
)  # fmt: skip
"""How the names of a report's figures begin."""
IMAGES = 7_500_000  # characters that figures and pictures may take; the page stays below 10 MB
_WORTH_A_WORKER = 8  # figures; a worker starts in the time of two


def build(run_dir: Path, compare: str | None = None) -> Path:
    """Make the figures, the tables and `report.html` of a run.

    Figures go to `figures/` (PNG at 200 dpi and vector PDF), tables to `tables/` (CSV); each file is
    written whole or not at all. Nothing outside the run directory is read but small copies of some of its images, where
    it does not hold them and they are still where they were indexed on this disk.

    Args:
        run_dir: a run directory with `results.parquet`; `run.json`, `spectra.npz`, `left-out.csv` and the
            tables of other analyses are used where they are.
        compare: `thesis`, or a CSV file: published numbers to set the unfiltered accuracies beside.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: the results are missing or damaged, or have nothing in common with what they are to be
            compared with.
        DiskError: a file cannot be written.
    """
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    compared = compare_with(run, compare) if compare else None
    results, arrangement = run.results, arrange(run.results)
    asked = str(((run.record.get("config") or {}).get("analysis") or {}).get("pd", "auto"))
    pd_chosen, pd_sentence = choose_pd(results, asked)
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
    matrices = {m.name: tables.matrix_table(results, m.name) for m in measures}
    analyses = analysis_sections(
        run, compared, arrangement, matrix_groups(matrices, measures, encoders), family_of
    )
    shown = [*chain.from_iterable(groups.values()), *spectra, *chain(*(part.groups for part in analyses))]
    planned = [figure for group in shown for figure in group.figures]
    paths = _draw(planned, run_dir / "figures")
    _remove_stale(run_dir / "figures", [figure.stem for figure in planned])
    numbers = interactive(run, arrangement, measures, matrices, family_of)
    if _asks_for_pictures(run):
        make_pictures(run)
    radius, gallery = radius_view(run, family_of), gallery_view(run_dir)
    taken = numbers.size + sum(view.characters for view in (radius, gallery) if view)
    still = [group for part in analyses if not part.figure for group in part.groups]
    embedded = {figure.stem for group in (*spectra, *still) for figure in group.figures}
    pictures = {
        figure.stem: path for figure, path in zip(planned, paths, strict=True) if figure.stem in embedded
    }
    images = dict(zip(pictures, embed_images(list(pictures.values()), IMAGES - taken), strict=True))

    transfer = {m.name: tables.transfer_table(results, m.name, arrangement) for m in (AUROC, ACCURACY)}
    families = {m.name: tables.family_table(results, m.name) for m in (AUROC, ACCURACY)}
    cutoffs = tables.cutoff_table(results, arrangement)
    counts = tables.count_table(results, run.record)
    energy = tables.energy_table(results)
    conditions = tables.condition_table(results, arrangement)
    # Degradations have a section of their own.
    conditions = conditions[~conditions["filter"].isin(set(degraded(run)["filter"]))]
    _write_tables(
        run_dir / "tables",
        {f"transfer-{name}": frame for name, frame in transfer.items()}
        | {f"families-{name}": frame for name, frame in families.items()}
        | {f"matrix-{name}": frame for name, frame in matrices.items() if len(frame)}
        | ({f"compare-{slug(compared.name)}": compared.cells.drop(columns="test")} if compared else {})
        | {"cutoffs": cutoffs, "counts": counts, "energy": energy, "conditions": conditions},
    )

    sections = [
        html.EncoderSection(
            name=encoder,
            groups=groups[encoder],
            tables=[
                table
                for table in (
                    views.cutoff_view(cutoffs, encoder, arrangement),
                    views.transfer_view(transfer["auroc"], encoder, "AUROC", percent=False),
                    views.transfer_view(transfer["accuracy"], encoder, "Accuracy", percent=True),
                    views.confusion_view(run.analyses["confusion"], encoder)
                    if "confusion" in run.analyses
                    else None,
                )
                if table is not None and table.rows
            ],
        )
        for encoder in encoders
    ]
    lines = headlines(
        results,
        families["auroc"],
        cutoffs,
        tables.family_table(results, pd_chosen.name) if pd_chosen else None,
    )
    detection = pd_chosen.label if pd_chosen else ""
    cautions = [*calibration_warnings(run), *warnings(run, families["auroc"], pd_sentence)]
    traces, together = audit_cautions(run.analyses.get("audit"))
    page = html.Page(
        title=_title(run),
        question=question(run, arrangement),
        headlines=lines,
        detection=detection,
        warnings=cautions,
        summary=summary(run, arrangement, lines, families["auroc"], detection, together, traces, cautions),
        radius=radius,
        gallery=gallery,
        methods=methods(run, layouts_of(run_dir)),
        audit=audit_view(run.analyses["audit"], _recipe(run)) if "audit" in run.analyses else None,
        encoders=sections,
        claims=claim_lines(run.analyses["claims"]) if "claims" in run.analyses else [],
        analyses=analyses,
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
        interactive=numbers,
        images=images,
        native=is_native(run.record),
    )
    return write_whole(run_dir / "report.html", html.render(page).encode("utf-8"))


def spectra_figures(
    folder: Path,
    family_of: Mapping[str, str],
    kinds: Kinds | None = None,
    view: SpectrumView = DEFAULT_VIEW,
) -> list[Path]:
    """Draw the figures of `spectra.npz` alone, into the same folder.

    Args:
        folder: holds `spectra.npz`; figures of earlier spectra there are removed.
        family_of: each generator's family, which gives its colour.
        kinds: what is shown; as in a report by default.
        view: how it is drawn.

    Returns:
        The PNGs' paths; a PDF lies beside each.

    Raises:
        InputError: the file is missing or damaged.
        DiskError: a figure cannot be written.
    """
    spectra = read_spectra(folder / "spectra.npz")
    if spectra is None:
        raise InputError(f"{folder / 'spectra.npz'} is missing or empty; `bandprobe spectrum` makes it.")
    planned = [
        figure for group in spectra_groups(spectra, family_of, kinds, view) for figure in group.figures
    ]
    paths = _draw(planned, folder)
    _remove_stale(folder, [figure.stem for figure in planned], ["spectrum"])
    return paths


def _remove_stale(folder: Path, stems: Collection[str], kinds: Sequence[str] = FIGURES) -> None:
    """Remove figures of an earlier report that this one does not have."""
    for kind in kinds:
        for path in folder.glob(f"{kind}-*"):
            if path.suffix in (".png", ".pdf") and path.stem not in stems:
                path.unlink()


def _draw(planned: Sequence[PlannedFigure], folder: Path) -> list[Path]:
    """Draw figures, many of them on all cores: matplotlib holds one, and a figure takes a second."""
    from joblib import Parallel, delayed

    workers = max(1, min(cores(), len(planned) // _WORTH_A_WORKER))
    whole = folder.resolve()  # worker processes that live on may stand in another folder
    with progress.bar("figures", len(planned), "figures") as step:
        for _ in Parallel(workers, return_as="generator")(delayed(figure.write)(whole) for figure in planned):
            step()
    return [folder / f"{figure.stem}.png" for figure in planned]


def _write_tables(folder: Path, frames: dict[str, pd.DataFrame]) -> None:
    for name, frame in frames.items():
        write_whole(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n").encode("utf-8"))


def _asks_for_pictures(run: Run) -> bool:
    """Whether the run may keep small copies of images."""
    config = run.record.get("config") or {}
    return (config.get("analysis") or {}).get("pictures", True) is not False


def _recipe(run: Run) -> str:
    """What the pictures were equalised by; empty where they were not."""
    config = run.record.get("config") or {}
    return str((config.get("data") or {}).get("equalise") or "")


def _title(run: Run) -> str:
    datasets = [str(name) for name in run.results["dataset"].unique() if name]
    shown = ", ".join(datasets[:4]) + (f" and {len(datasets) - 4} more" if len(datasets) > 4 else "")
    return f"Frequency report: {shown}" if shown else "Frequency report"
