"""One run in progress: the stages in order, each doing only what is not done yet."""

from __future__ import annotations

import contextlib
import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe import progress, record
from bandprobe.errors import InputError
from bandprobe.files import replacing, write_json
from bandprobe.run import Run, write_results
from bandprobe.study.stages import stages

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.images import Manifest
    from bandprobe.study.plan import Plan
    from bandprobe.trackers import Tracking

_NEEDED = ("results.parquet", "results.csv", "confusion.csv", "scores.parquet")


class Runner:
    """One run in progress.

    Args:
        plan: what to run.
        caveats: what the report must warn of and cannot see.
    """

    def __init__(self, plan: Plan, caveats: Sequence[str] = ()) -> None:
        self.plan = plan
        self.timings: dict[str, float] = {}
        self.warnings = list(caveats)
        self.left_out: dict[str, str] = {}
        self._stages = stages(plan)
        self._tracking: Tracking | None = None

    def run(self) -> Run:
        """Index, embed, train, evaluate, analyse, report."""
        plan, folder = self.plan, self.plan.folder
        with self._timed("index"):
            manifest = self._index()
        key = record.inputs(plan.settings, plan.encoders, plan.reference_files, manifest.table)
        needed = (*_NEEDED, "report.html") if plan.base is None else _NEEDED
        found = record.finished(folder, key, needed)
        if found is not None:
            return self._again(found)
        self._begin()
        with self._tracked(key):
            return self._work(manifest, key)

    def _work(self, manifest: Manifest, key: str) -> Run:
        """Everything after the images are known, into a folder that may hold parts of it."""
        plan, folder = self.plan, self.plan.folder
        from bandprobe import probes
        from bandprobe.analysis import evaluate, test_sets
        from bandprobe.store import EmbeddingStore
        from bandprobe.study.analyses import analyses, audit
        from bandprobe.study.embedding import Embedding
        from bandprobe.study.training import keep_only, relabel, train

        plan = plan.for_images(manifest.table)
        # Found before hours of embedding: a set that is none, a class without images, a confound.
        if not all(encoder.is_detector for encoder in plan.encoders):
            sets = probes.training_sets(manifest.table, plan.settings.probes.train_on)
            if plan.protocol.adm_validation:
                probes.validated_on(next(iter(sets.values())), manifest.table, "ADM")
        test_sets(manifest.table)
        self._analyse(audit(plan, manifest.table))
        store = EmbeddingStore(plan.store, plan.sources)
        embedding = Embedding(plan, store, self._warn)
        with self._timed("embed"):
            loaded = embedding.fill(manifest.table)
        if embedding.left_out:
            manifest = manifest.without(embedding.left_out)
            manifest.save(folder / "manifest.parquet")
        table = manifest.table
        with self._timed("train"):
            trained = train(plan, store, table, plan.train_filters)
            keep_only(plan, trained)
        with self._timed("evaluate"):
            results = evaluate(
                store,
                table,
                trained,
                plan.test_filters,
                everywhere=plan.everywhere,
                scores=folder / "scores.parquet",
                confusion=folder / "confusion.csv",
                seed=plan.settings.run.seed,
                protocol=plan.protocol,
                relabel=relabel(plan, table),
            )
            write_results(results, folder)
        self._analyse(analyses(plan, store, embedding, table, trained))
        self.left_out.update(embedding.left_out)
        self._judge(results, table)
        self._list_left_out()
        content = record.describe(
            plan.settings,
            manifest,
            list(zip(plan.names, loaded, strict=True)),
            name=folder.name,
            device=next((str(model.device) for model in loaded if hasattr(model, "device")), "cpu"),
            filters={
                "test": list(plan.test_filters),
                "train": list(plan.train_filters),
                "everywhere": list(plan.everywhere),
            },
            encoder_passes=embedding.passes,
            band_passes=embedding.band_passes,
            twin_passes=embedding.twin_passes,
            timings=self.timings,
            warnings=self.warnings,
            left_out=len(self.left_out),
            images_left_out=self.left_out,
        )
        write_json(folder / "run.json", content)
        if plan.base is None:
            from bandprobe import report

            with self._timed("report"):
                report.build(folder)
        write_json(folder / "run.json", {**content, "timings": self.timings, "finished": key})
        run = Run(folder, content)
        if self._tracking is not None:
            self._tracking.finish(run)
        return run

    @contextlib.contextmanager
    def _tracked(self, key: str) -> Iterator[None]:
        """Log what happens here to the trackers asked for. A run that is only compared with another is not."""
        names = self.plan.settings.run.track
        if not names or self.plan.base is not None:
            yield
            return
        from bandprobe.trackers import tracked

        with tracked(
            names, self.plan.folder, key, self.plan.settings.model_dump(mode="json")
        ) as self._tracking:
            for stage, seconds in self.timings.items():
                self._tracking.stage(stage, seconds)
            yield

    def _index(self) -> Manifest:
        from bandprobe.images import build

        settings = self.plan.settings
        data = settings.data
        path = self.plan.folder / "manifest.parquet"
        manifest = build(
            data.sources,
            layout=data.layout,
            real=data.reals,
            fakes=data.fakes,
            splits=data.splits,
            families=settings.families,
            background=data.background,
            max_pixels=data.max_pixels,
            limit=data.limit,
            workers=self.plan.workers,
            seed=settings.run.seed,
            strict=data.strict,
            near_duplicates=data.near_duplicates,
            outside=data.outside,
            previous=path if path.exists() else None,
        )
        manifest.save(path)
        self.left_out.update(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True))
        return manifest

    def _analyse(self, asked: Sequence[tuple[str, Path, Callable[[Path], None] | None]]) -> None:
        """Make each analysis's file. What cannot be made is said, and costs the rest of the run nothing."""
        for stage, path, make in asked:
            path.unlink(missing_ok=True)
            if make is not None:
                with self._timed(stage):
                    try:
                        make(path)
                    except InputError as error:
                        self._warn(f"{path.name} could not be made: {error}")

    def _list_left_out(self) -> None:
        path = self.plan.folder / "left-out.csv"
        if not self.left_out:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "reason"), *self.left_out.items()])

    def _judge(self, results: pd.DataFrame, table: pd.DataFrame) -> None:
        """Say what the report cannot see for itself."""
        fakes = table[table["label"] == 1]
        for split, consequence in (("train", "no probe of its own"), ("test", "no row in the grid")):
            there = fakes.loc[fakes["split"] == split, "generator"]
            absent = sorted(set(fakes["generator"]) - set(there))
            if absent:
                self._warn(f"no {split} image of {', '.join(absent)}: {consequence}.")
        tests = results.drop_duplicates(["dataset", "tested_on"])
        unknown = tests[tests["family_to"] == "other"]
        if len(unknown):
            names = ", ".join(sorted(set(unknown["tested_on"])))
            self._warn(f"family 'other' for {names}; name their family under [families] if it is known.")

    def _again(self, found: Mapping[str, Any]) -> Run:
        """The run that lies here already: not a pass is done."""
        saved = {
            name: {"done": 0, "saved": sum(found[name].values())}
            for name in ("encoder_passes", "band_passes", "twin_passes")
            if name in found
        }
        content = {**found, **saved}
        write_json(self.plan.folder / "run.json", content)
        if self.plan.settings.run.track and self.plan.base is None:
            from bandprobe.trackers import log_finished

            log_finished(self.plan.folder, self.plan.settings.run.track)
        progress.say(f"{self.plan.folder} is finished and its inputs are unchanged: nothing to do.")
        return Run(self.plan.folder, content)

    def _begin(self) -> None:
        """From here on the folder's results may be those of other inputs than its record says."""
        if self.plan.cluster is not None:
            self.plan.cluster.ready()
        path = self.plan.folder / "run.json"
        with contextlib.suppress(OSError, ValueError):
            write_json(path, {**json.loads(path.read_text(encoding="utf-8")), "finished": None})

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        progress.say(f"warning: {message}")

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        with self._stages.stage(stage):
            yield
        self.timings[stage] = round(time.perf_counter() - start, 3)
        if self._tracking is not None:
            self._tracking.stage(stage, self.timings[stage])
