"""What a study works out besides the grid: each analysis reads the store and leaves one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bandprobe import progress
from bandprobe.run import write_table
from bandprobe.study.embedding import band_images
from bandprobe.study.picture_analyses import Analyses, of_pictures
from bandprobe.study.stages import names as stage_names
from bandprobe.study.training import train

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.probes import ProbeFile
    from bandprobe.store import EmbeddingStore
    from bandprobe.study.embedding import Embedding
    from bandprobe.study.plan import Plan


def audit(plan: Plan, table: pd.DataFrame) -> Analyses:
    """The one analysis that comes before any embedding, in the form of `analyses`."""

    def audited(path: Path) -> None:
        from bandprobe.audit import audit as found

        data = plan.settings.data
        result = found(
            table,
            equalise=data.equalise or None,
            samples=plan.settings.analysis.samples,
            background=data.background,
            max_pixels=data.max_pixels,
            seed=plan.settings.run.seed,
            workers=plan.workers,
        )
        for warning in result.warnings:
            progress.say(f"audit: {warning}")
        write_table(result.table, path)

    wanted = plan.settings.analysis.audit and plan.base is None
    return [("audit", plan.folder / "audit.csv", audited if wanted else None)]


def analyses(
    plan: Plan, store: EmbeddingStore, embedding: Embedding, table: pd.DataFrame, trained: Sequence[ProbeFile]
) -> Analyses:
    """The analyses in order: the stage's name, its file, and what makes it; None where it is not wanted.

    A run that is only compared with another needs what switches of the protocol can move.
    """
    asked, compared, seed = plan.settings.analysis, plan.base is not None, plan.settings.run.seed
    # Layers beside their whole encoder have an analysis of their own, and every other would take as many times longer.
    shown = [probe for probe in trained if probe.encoder not in plan.beside]
    named = [name for name in plan.sources if name not in plan.beside]
    layered = any(one.layer for one in plan.encoders)

    def mmd(path: Path) -> None:
        from bandprobe.analysis.shift import shift

        found = shift(
            store,
            table,
            shown,
            list(dict.fromkeys([*plan.test_filters, "none"])),
            encoders=named,
            samples=asked.samples,
            seed=seed,
            biased=plan.protocol.biased_mmd,
        )
        write_table(found, path)

    def entropy(path: Path) -> None:
        from bandprobe.analysis.entropy import entropy as measured

        names = [
            one.name
            for one in plan.encoders
            if not one.is_detector and one.kind != "table" and one.name not in plan.beside
        ]
        if not names:
            return
        twins = embedding.twins(table) if asked.twin else []
        found = measured(
            store,
            table,
            encoders=[*names, *twins],
            filters=plan.test_filters,
            images=table,
            samples=asked.samples,
            seed=seed,
            workers=plan.workers,
        )
        write_table(found, path)

    def claims(path: Path) -> None:
        from bandprobe.analysis.claims import claims as judged

        replicates = [
            train(plan, store, table, plan.train_filters, replicate=number)
            for number in range(1, plan.settings.probes.seeds)
        ]
        found = judged(store, table, shown, replicates, filters=plan.test_filters, seed=seed)
        write_table(found, path)

    def layers(path: Path) -> None:
        from bandprobe.analysis.layers import by_layer

        write_table(by_layer(store, table, trained, filters=plan.test_filters, seed=seed), path)

    def calibration(path: Path) -> None:
        from bandprobe.analysis.calibration_transfer import calibration_transfer

        plain = next(
            (spec for spec in ("none", "identity") if spec in plan.test_filters), plan.test_filters[0]
        )
        found = calibration_transfer(
            store, table, shown, filters=[plain], everywhere=plan.everywhere, seed=seed
        )
        write_table(found, path)

    def robustness(path: Path) -> None:
        from bandprobe.analysis.robustness import robustness as held

        found = held(plan.folder / "scores.parquet", table, without=plan.beside, seed=seed)
        for name, part in found.files.items():
            write_table(part, path.with_name(name))

    def bands(path: Path) -> None:
        from bandprobe.analysis.bands import bands as located

        found = located(store, band_images(plan, table), shown, train_filters=plan.everywhere, seed=seed)
        write_table(found.claimed, path)
        write_table(found.tested, path.with_name("bands_tested.csv"))

    def spectrum(path: Path) -> None:
        from bandprobe.analysis import spectra

        data = plan.settings.data
        found = spectra(
            table,
            samples=asked.samples,
            filter="lowpass:5px" if plan.protocol.spectrum_lowpass else "none",
            background=data.background,
            max_pixels=data.max_pixels,
            seed=seed,
            workers=plan.workers,
        )
        found.save(path)
        embedding.left_out.update(found.left_out)

    return [
        ("mmd", plan.folder / "mmd.csv", mmd if asked.mmd else None),
        ("entropy", plan.folder / "entropy.csv", entropy if asked.entropy and not compared else None),
        ("claims", plan.folder / "claims.csv", claims if asked.claims and not compared else None),
        ("layers", plan.folder / "layers.csv", layers if layered and not compared else None),
        (
            "calibration",
            plan.folder / "calibration.csv",
            calibration if asked.calibration and not compared else None,
        ),
        # Made with the next one.
        *(("robustness", plan.folder / f"robustness_{part}.csv", None) for part in ("means", "ranks")),
        (
            "robustness",
            plan.folder / "robustness.csv",
            robustness if "robustness" in stage_names(plan) else None,
        ),
        ("bands", plan.folder / "bands.csv", bands if asked.bands and not compared else None),
        ("spectrum", plan.folder / "spectra.npz", spectrum if asked.spectrum else None),
        *of_pictures(plan, embedding, table, shown),
    ]
