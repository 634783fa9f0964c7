"""What a study works out from the pictures themselves, once probes are trained and tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bandprobe import progress

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.probes import ProbeFile
    from bandprobe.study.embedding import Embedding
    from bandprobe.study.plan import Plan

Analyses = list[tuple[str, Path, Callable[[Path], None] | None]]


def of_pictures(
    plan: Plan, embedding: Embedding, table: pd.DataFrame, trained: Sequence[ProbeFile]
) -> Analyses:
    """Sensitivity, and the pictures of the report's slider and gallery, in the form of `analyses.analyses`."""
    asked, compared, seed = plan.settings.analysis, plan.base is not None, plan.settings.run.seed

    def sensitivity(path: Path) -> None:
        from bandprobe.analysis.grid_pictures import reader
        from bandprobe.analysis.sensitivity import SAMPLES, write
        from bandprobe.analysis.sensitivity import sensitivity as measured
        from bandprobe.report.sensitivity_figures import write_figures

        if plan.geometry is None:
            progress.say("sensitivity is left out: each encoder has a grid of its own.")
            return
        data = plan.settings.data
        found = measured(
            embedding.models(),
            trained,
            table,
            reader(table, plan.geometry, background=data.background, max_pixels=data.max_pixels),
            samples=min(asked.samples, SAMPLES),
            seed=seed,
        )
        write(found, path)
        write_figures(found.profiles, found.maps, plan.folder / "figures")

    def radius(path: Path) -> None:
        from bandprobe.analysis.radius_pictures import SAMPLES, masks_of, write_radius

        if plan.geometry is None or not masks_of(plan.test_filters):
            return  # each encoder has a grid of its own, or there is nothing to show
        data = plan.settings.data
        write_radius(
            path,
            table,
            plan.test_filters,
            plan.geometry,
            samples=min(asked.samples, SAMPLES),
            background=data.background,
            max_pixels=data.max_pixels,
            abs_uint8=plan.protocol.abs_uint8,
            seed=seed,
            workers=plan.workers,
        )

    def mistakes(path: Path) -> None:
        import pandas as pd

        from bandprobe.analysis.mistakes import write_mistakes

        data = plan.settings.data
        conditions = pd.read_parquet(plan.folder / "results.parquet", columns=["filter", "cutoff_nyq"])
        confusion = pd.read_csv(plan.folder / "confusion.csv", keep_default_na=False)
        write_mistakes(
            path,
            plan.folder / "scores.parquet",
            confusion,
            table,
            dict(conditions.drop_duplicates("filter").itertuples(index=False, name=None)),
            background=data.background,
            max_pixels=data.max_pixels,
            workers=plan.workers,
        )

    return [
        (
            "sensitivity",
            plan.folder / "sensitivity.npz",
            sensitivity if asked.sensitivity and not compared else None,
        ),
        ("radius", plan.folder / "radius.npz", radius if asked.pictures and not compared else None),
        ("mistakes", plan.folder / "mistakes.csv", mistakes if asked.pictures and not compared else None),
    ]
