"""The page's sections on analyses: what each shows, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping

from bandprobe.analysis.layers import where_lost
from bandprobe.report import html
from bandprobe.report import page_tables as views
from bandprobe.report.arrangement import Arrangement
from bandprobe.report.band_figures import bands_groups, bands_table
from bandprobe.report.calibration_view import calibration_view
from bandprobe.report.compare import Comparison, averages
from bandprobe.report.compare_figure import compare_group
from bandprobe.report.entropy_figures import entropy_groups
from bandprobe.report.figures import FigureGroup
from bandprobe.report.layer_figures import layer_groups, layer_table
from bandprobe.report.mmd_figures import mmd_groups
from bandprobe.report.robustness_figures import robustness_groups
from bandprobe.report.robustness_view import fall_tables, note, rank_summary, rank_table
from bandprobe.report.run_directory import ANALYSES, Run


def analysis_sections(
    run: Run,
    compared: Comparison | None,
    arrangement: Arrangement,
    matrices: list[FigureGroup],
    family_of: Mapping[str, str],
) -> list[html.Section]:
    """The sections between the transfer and the spectra, those that the run has.

    Args:
        run: the run.
        compared: its grid beside published numbers, where asked for.
        arrangement: its reading order.
        matrices: the groups of a train-time sweep; empty without one.
        family_of: family of each generator.
    """
    found = []
    if compared:
        found.append(
            html.Section(
                "compared",
                f"Beside the published numbers: {compared.name}",
                "Unfiltered accuracy, cell by cell. Before a difference is read as a difference of method:",
                [compare_group(compared, arrangement)],
                [views.comparison_view(averages(compared)), views.cell_comparison_view(compared.cells)],
                compared.remarks,
            )
        )
    if matrices:
        found.append(
            html.Section(
                "matrix",
                "Trained under one filter, tested under another",
                "Means over probes of one generator, on their own generator and for every pair of families.",
                matrices,
                figure="matrix",
            )
        )
    if "bands_tested" in run.analyses:
        tested = run.analyses["bands_tested"]
        claimed = run.analyses.get("bands", tested.reindex(columns=list(ANALYSES["bands"])).iloc[:0])
        found.append(
            html.Section(
                "bands",
                "Which frequencies each probe uses",
                "Located by keeping one band alone and by taking one out, on probes whose own AUROC is at least 0.75; "
                "claimed at 5 % over all bands tried. The share is that of the AUROC above one half which the band "
                "alone keeps, or which goes with it.",
                bands_groups(claimed, tested),
                [bands_table(claimed, tested)],
                figure="bands",
            )
        )
    if "layers" in run.analyses:
        layers = run.analyses["layers"]
        found.append(
            html.Section(
                "layers",
                "Layer by layer",
                "Probes on the vector behind every block, before any norm that follows the last: where in each "
                "encoder what they live on is gained and lost. Every number is in layers.csv.",
                layer_groups(layers),
                [layer_table(layers)],
                where_lost(layers),
            )
        )
    if "calibration" in run.analyses:
        found.append(
            html.Section(
                "calibration",
                "Do thresholds and probabilities hold elsewhere?",
                "Each probe's threshold promises at most so many false alarms on its own validation reals; here it "
                "meets the test reals of every data set, and its calibrated probabilities every generator.",
                tables=calibration_view(run.analyses["calibration"]),
            )
        )
    if "robustness_means" in run.analyses:
        means, ranks = run.analyses["robustness_means"], run.analyses.get("robustness_ranks")
        ranked = [] if ranks is None else [rank_summary(ranks), rank_table(ranks)]
        found.append(
            html.Section(
                "robustness",
                "What pictures go through on their way",
                note(means),
                robustness_groups(means),
                [*ranked, *(found for _, found in fall_tables(means))],
            )
        )
    if "mmd" in run.analyses:
        found.append(
            html.Section(
                "mmd",
                "Distances between distributions (MMD)",
                groups=mmd_groups(run.analyses["mmd"]),
                figure="mmd",
            )
        )
    if "entropy" in run.analyses:
        groups = entropy_groups(run.analyses["entropy"], family_of)
        found.append(html.Section("entropy", "Entropy and correspondence", groups=groups, figure="entropy"))
    if "ablation" in run.analyses:
        found.append(
            html.Section(
                "ablation",
                "What the published protocol changes",
                "The same data with one switch flipped at a time. Beyond chance: the interval leaves zero out.",
                tables=[views.ablation_view(run.analyses["ablation"])],
            )
        )
    return found
