"""Filling a study's store: each image through each encoder, once for each condition that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bandprobe import encoders
from bandprobe.analysis import band_bank
from bandprobe.analysis.sources import drawn_sources
from bandprobe.encoders import resolve
from bandprobe.extract import extract, import_table
from bandprobe.filters import expand

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.encoders import Encoder, Table
    from bandprobe.store import EmbeddingStore
    from bandprobe.study.plan import Plan


class Embedding:
    """The embedding stage of one run.

    Args:
        plan: the study's.
        store: what to fill.
        warn: told what the user must know.

    Attributes:
        passes: forward passes done and saved, of the study's encoders.
        band_passes: the same of the conditions that bands are located by.
        twin_passes: the same of their random-weight twins.
        left_out: images that could not be read, by path, with the reason.
    """

    def __init__(self, plan: Plan, store: EmbeddingStore, warn: Callable[[str], None]) -> None:
        self.passes = {"done": 0, "saved": 0}
        self.band_passes = {"done": 0, "saved": 0}
        self.twin_passes = {"done": 0, "saved": 0}
        self.left_out: dict[str, str] = {}
        self._plan = plan
        self._store = store
        self._warn = warn

    def fill(self, table: pd.DataFrame) -> list[Encoder | Table]:
        """Embed training images under the training filters, test images under the test filters.

        Args:
            table: the manifest's.

        Returns:
            What was loaded, in the study's order.
        """
        plan = self._plan
        computed = [name for name, one in zip(plan.names, plan.encoders, strict=True) if one.kind != "table"]
        models = self._load(computed)
        loaded: dict[str, Encoder | Table] = dict(zip(computed, models, strict=True))
        probed = [
            model for name, model in zip(computed, models, strict=True) if not resolve(name).is_detector
        ]
        finished = [model for model in models if model not in probed]
        tested = list(plan.test_filters)
        if plan.settings.analysis.mmd and "none" not in tested:
            tested.append("none")
        trained = list(plan.train_filters)
        if plan.protocol.thesis_optimiser:
            trained += [_flipped(spec) for spec in plan.train_filters]
        test = table["split"] == "test"
        if set(tested) == set(trained):
            self._extract(table, table, probed, tested, self.passes)
        else:
            self._extract(table, table[~test], probed, trained, self.passes)
            self._extract(table, table[test], probed, tested, self.passes)
        self._extract(table, table[test], finished, tested, self.passes)
        if plan.settings.analysis.bands and plan.base is None:
            located = [model for model in models if model.name not in plan.beside]
            self._extract(table, band_images(plan, table), located, band_bank.CONDITIONS, self.band_passes)
        for name, reference in zip(plan.names, plan.encoders, strict=True):
            if reference.kind == "table":
                loaded[name] = self._import(name, table, list(dict.fromkeys([*tested, *trained])))
        return [loaded[name] for name in plan.names]

    def models(self) -> list[Encoder]:
        """The encoders that probes are trained on, loaded anew: no detectors of one's own, no tables, and of an
        encoder with its layers the encoder alone."""
        plan = self._plan
        named = zip(plan.names, plan.encoders, strict=True)
        return self._load(
            [
                name
                for name, one in named
                if one.kind != "table" and not one.is_detector and one.name not in plan.beside
            ]
        )

    def twins(self, table: pd.DataFrame) -> list[str]:
        """Embed the images of the entropy analysis with every encoder's random-weight twin.

        Returns:
            The twins' names in the store.
        """
        from bandprobe.analysis.entropy import LEAST
        from bandprobe.analysis.equal_sources import sampled

        plan = self._plan
        models = self._load(
            [name for name in map(encoders.twin, plan.alone) if name and name not in plan.names]
        )
        images = sampled(table, plan.settings.analysis.samples, plan.settings.run.seed, LEAST)
        self._extract(table, images, models, plan.test_filters, self.twin_passes)
        return [model.name for model in models]

    def _load(self, names: Sequence[str]) -> list[Encoder]:
        run = self._plan.settings.run
        return encoders.load_all(
            names,
            device="cpu" if self._plan.cluster else run.device,  # here only to know what workers load
            precision=run.precision,
            protocol=self._plan.protocol,
            compiled=run.compile,
        )

    def _extract(
        self,
        table: pd.DataFrame,
        images: pd.DataFrame,
        models: Sequence[Encoder],
        filters: Sequence[str],
        passes: dict[str, int],
    ) -> None:
        """Embed some of a manifest's images; what references are drawn from is the whole of it."""
        if not models or images.empty:
            return
        plan = self._plan
        done = extract(
            self._store,
            images,
            models,
            expand(filters),
            geometry=plan.geometry,
            background=plan.settings.data.background,
            max_pixels=plan.settings.data.max_pixels,
            batch_size=plan.settings.run.batch_size,
            workers=plan.workers,
            protocol=plan.protocol,
            reference_folder=plan.reference_folder,
            sources=table,
            shared=plan.shared,
            cluster=plan.cluster,
        )
        self.left_out.update(done.left_out)
        passes["done"] += done.passes
        passes["saved"] += done.saved

    def _import(self, name: str, table: pd.DataFrame, filters: Sequence[str]) -> Table:
        """Take over the embeddings of a table, at those of the filters that it holds."""
        foreign = encoders.load_table(name)
        held = [spec for spec in filters if spec in foreign.filters]
        if len(held) < len(filters):
            self._warn(f"{foreign.name} has embeddings at {len(held)} of {len(filters)} filters.")
        kept = table[~table["path"].isin(self.left_out)]
        settings = self._plan.settings
        import_table(
            self._store,
            foreign,
            kept,
            held or ["none"],  # which fails, with what the table holds
            geometry=settings.encoders.grid,
            background=settings.data.background,
        )
        return foreign


def band_images(plan: Plan, table: pd.DataFrame) -> pd.DataFrame:
    """The test images that bands are located on: of each source as many as analyses take."""
    drawn = drawn_sources(table, plan.settings.analysis.samples, plan.settings.run.seed, "bands")
    ids = set().union(*(source.image_id for source in drawn))
    return table[table["image_id"].isin(ids) & (table["split"] == "test")]


def _flipped(spec: str) -> str:
    """The mirrored version of a condition."""
    return "flip" if spec == "none" else f"flip+{spec}"
