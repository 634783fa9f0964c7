"""The page's interactive figures: which of them a run gets, and the packed numbers that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bandprobe.report.arrangement import Arrangement
from bandprobe.report.interactive_results import results_payload, shown_measures
from bandprobe.report.interactive_tables import bands_payload, entropy_payload, matrix_payload, mmd_payload
from bandprobe.report.measures import Measure
from bandprobe.report.payload import Payload, plotly_script
from bandprobe.report.run_directory import ANALYSES, Run

READINGS = {
    "grid": "Read a column downwards to see how one probe does on every generator. Framed cells are generators it was "
    "trained on, lines part the families, a dash is a blank. Each cell tells its interval and the images behind it.",
    "curves": "Where a line falls away from its identity point, the probe has lost frequencies it uses; of re-trained "
    "probes, where a line stays near it, what is left of the image still gives the generator away. none and identity "
    "have no cut-off and stand right of the break, joined to nothing.",
    "matrix": "Along a row one training meets every filter; framed is where both are alike, and a row that stays "
    "bright holds where others fail.",
    "bands": "Colour: AUROC with one band of frequencies kept alone, or taken out. Line and dot: the band claimed at "
    "5 %, with its interval. A row without a line claims none. Dotted: where low, middle and high frequencies meet, "
    "and Nyquist.",
    "mmd": "Of fakes against reals: where a line falls to zero, the filter has taken what told the generator from "
    "reals. Of filtered against unfiltered images: a line above zero at a cut-off has moved there.",
    "entropy": "Where an encoder's line stays level, embeddings of the filtered images still spread in as many "
    "directions as those of the identity; where its random-weight twin's does too, that is the architecture and the "
    "images, not the training. Correspondence is high where the low and the high frequencies of an image, parted at "
    "the cut-off, are embedded alike.",
}
"""How each interactive figure is read."""


@dataclass(frozen=True)
class Interactive:
    """The interactive figures of a page.

    Attributes:
        names: of the figures that the run has numbers for.
        data: what they read, packed.
        library: plotly.js, packed.
        absent: metrics that found no room in the page.
    """

    names: frozenset[str]
    data: str
    library: str
    absent: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Characters that they take in the page."""
        return len(self.data) + len(self.library)


def interactive(
    run: Run,
    arrangement: Arrangement,
    measures: Sequence[Measure],
    matrices: Mapping[str, pd.DataFrame],
    family_of: Mapping[str, str],
) -> Interactive:
    """Pack what a run's interactive figures read.

    Args:
        run: the run.
        arrangement: its reading order.
        measures: the metrics that come first.
        matrices: `tables.matrix_table` by metric.
        family_of: family of each generator.
    """
    payload = Payload()
    found: dict[str, dict[str, Any] | None] = {
        "grid": results_payload(
            payload, run.results, arrangement, shown_measures(run.results, list(measures))
        ),
        "matrix": matrix_payload(payload, matrices, measures),
    }
    tables = run.analyses
    if "bands_tested" in tables:
        tested = tables["bands_tested"]
        claimed = tables.get("bands", tested.reindex(columns=list(ANALYSES["bands"])).iloc[:0])
        found["bands"] = bands_payload(payload, claimed, tested)
    if "mmd" in tables and tables["mmd"]["mmd2"].notna().any():
        found["mmd"] = mmd_payload(payload, tables["mmd"])
    if "entropy" in tables:
        found["entropy"] = entropy_payload(payload, tables["entropy"], family_of)
    header = {name: part for name, part in found.items() if part is not None}
    grid = header["grid"]
    names = set(header) | ({"curves"} if grid["sweeps"] else set())
    return Interactive(frozenset(names), payload.encode(header), plotly_script(), tuple(grid["absent"]))
