"""The probes that an analysis of pictures asks, with their encoders and the grid that they see pictures on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe.errors import InputError

if TYPE_CHECKING:
    from bandprobe.encoders import Encoder
    from bandprobe.images import Geometry
    from bandprobe.probes import ProbeFile

Probes = Annotated[
    list[Path],
    typer.Option(
        "--probes",
        help="Probe files, or folders of them (repeatable); those trained on unfiltered images are used.",
        metavar="FILE",
        show_default=False,
    ),
]
BandEdges = Annotated[
    str | None,
    typer.Option(
        "--bands",
        help="How many bands, evenly wide up to Nyquist; or their edges as fractions of Nyquist, e.g. 0,0.15,0.5,1. "
        "Six by default, wider towards Nyquist.",
        metavar="BANDS",
    ),
]


def asked_probes(
    probes: Sequence[Path], *, geometry: str | None = None, device: str = "auto"
) -> tuple[list[Encoder], list[ProbeFile], Geometry]:
    """Load probes trained on unfiltered images, with their encoders.

    Args:
        probes: files, or folders of them; none is well too.
        geometry: the grid, where it is not the probes' own.
        device: where encoders run.

    Returns:
        The encoders, the probes, and their grid; squash:224 without a probe.

    Raises:
        InputError: probes that see pictures on several grids.
    """
    from bandprobe.detect.scorer import load_scorers, probe_paths
    from bandprobe.images import Geometry

    scorers = load_scorers(probe_paths(probes), device=device) if probes else []
    grids = {str(scorer.geometry) for scorer in scorers}
    if geometry is None and len(grids) > 1:
        raise InputError(
            f"the probes see images on several grids ({', '.join(sorted(grids))}); give probes of one."
        )
    files = [one.file for scorer in scorers for one in scorer.probes if one.file.train_filter == "none"]
    grid = Geometry.parse(geometry or (grids.pop() if grids else "squash:224"))
    return [scorer.model for scorer in scorers], files, grid
