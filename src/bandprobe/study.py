"""A whole study: the one file that wires the stages, from images to a report."""

from __future__ import annotations

import contextlib
import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe import config, progress, record
from bandprobe.encoders import distinct, expand_names, resolve
from bandprobe.errors import InputError
from bandprobe.files import output_folder, replacing, write_json
from bandprobe.filters import check, expand
from bandprobe.images.geometry import Geometry
from bandprobe.machine import cores
from bandprobe.protocol import SWITCHES, Protocol
from bandprobe.run import Run, write_results, write_table

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.config import Config
    from bandprobe.encoders import Encoder, Table
    from bandprobe.images import Manifest
    from bandprobe.probes import ProbeFile, Relabel
    from bandprobe.store import EmbeddingStore

_NEEDED = ("results.parquet", "results.csv", "confusion.csv", "scores.parquet", "report.html")


@dataclass(frozen=True)
class Study:
    """A study that can be run, stopped, and run again."""

    config: Config
    name: str = "study"
    caveats: tuple[str, ...] = ()  # what the report must warn of and cannot see
    folder: Path = Path()  # where relative paths of reference images are taken from

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """The study a TOML file describes; paths in it are taken from its own folder.

        Raises:
            InputError: the file cannot be read, holds an unknown key, or a value that does not fit.
        """
        return cls(config.read(path), Path(path).stem, folder=Path(path).parent)

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], name: str = "study", caveats: tuple[str, ...] = ()
    ) -> Study:
        """The study a mapping describes, with the keys of a study file, and warnings for its report."""
        return cls(config.parse(dict(content), name), name, caveats)

    def with_options(self, **options: Any) -> Study:
        """The study with options replaced where not None.

        `limit`, `strict`, `device`, `batch_size`, `workers`, `seed`, `protocol`.
        """
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        data: dict[str, Any] = {name: given.pop(name) for name in ("limit", "strict") if name in given}
        if "protocol" in given:
            given["protocol"] = str(Protocol.parse(given["protocol"]))
        settings = self.config
        changed = settings.model_copy(
            update={
                "data": settings.data.model_copy(update=data),
                "run": settings.run.model_copy(update=given),
            }
        )
        return replace(self, config=changed)

    def run(self, out: str | Path | None = None) -> Run:
        """Do what is not done yet: index, embed, train, evaluate, analyse, report.

        Args:
            out: the run's folder; `runs/<name>` by default. A run that lies there is gone on with.

        Returns:
            The run. Nothing is computed a second time: embeddings, probes and results that were made from
            the same inputs are kept.

        Raises:
            BandprobeError: wrong use, unusable input, or a disk that failed; what was finished is kept.
        """
        return _Runner(self, output_folder(out or Path("runs") / self.name)).run()

    def ablate(self, out: str | Path | None = None) -> Run:
        """Run the study, and again with each switch of the published protocol on its own, and with all.

        Args:
            out: as for `run`. The further runs lie in its folder `ablation/`, and share the embeddings that
                a switch leaves as they are.

        Returns:
            The run, its `ablation.csv` and its report with how far each switch moves every headline number.

        Raises:
            BandprobeError: as `run`.
        """
        import pandas as pd

        from bandprobe import report
        from bandprobe.analysis.ablation import moved, unmoved

        run = self.with_options(protocol="corrected").run(out)
        tables = []
        for words in (*SWITCHES, "thesis"):
            reason = unmoved(words, run.manifest, self.config.filters.test)
            if reason:
                tables.append(moved(words, run.folder, None, reason=reason))
                continue
            progress.say(f"protocol {words}")
            folder = output_folder(run.folder / "ablation" / words)
            _Runner(self.with_options(protocol=words), folder, base=run.folder).run()
            tables.append(moved(words, run.folder, folder, seed=self.config.run.seed))
        write_table(pd.concat(tables, ignore_index=True), run.folder / "ablation.csv")
        report.build(run.folder)
        return run


class _Runner:
    """One run in progress.

    Args:
        study: what to run.
        folder: where.
        base: the run that this one is compared with: its embeddings are taken where they are the same, and
            no report is made.
    """

    def __init__(self, study: Study, folder: Path, base: Path | None = None) -> None:
        settings = study.config
        self.settings = settings
        self.protocol = settings.run.switches
        self.folder = folder
        self.base = base
        self.reference_folder = study.folder
        self.timings: dict[str, float] = {}
        self.warnings = list(study.caveats)
        self.left_out: dict[str, str] = {}
        self.names = expand_names(settings.encoders.names)
        if settings.probes.head == "attention":
            self.names = [name if name.endswith("#tokens") else f"{name}#tokens" for name in self.names]
        self.encoders = [resolve(name) for name in self.names]
        self.test_filters = [str(spec) for spec in expand(settings.filters.test)]
        self.everywhere = [str(spec) for spec in expand(settings.filters.train)]
        again = self.test_filters if settings.analysis.information else []
        self.train_filters = list(dict.fromkeys([*self.everywhere, *again]))
        self.workers = settings.run.workers or cores()
        self.passes = {"done": 0, "saved": 0}  # of the study's encoders
        self.twin_passes = {"done": 0, "saved": 0}  # of the same with random weights, for `entropy`
        # What cannot work is refused before the images are read.
        distinct([encoder.name for encoder in self.encoders])
        if settings.encoders.geometry != "native":
            size = Geometry.parse(settings.encoders.geometry).size
            for spec in expand([*self.test_filters, *self.train_filters]):
                check(spec, size)

    def run(self) -> Run:
        settings, analysis = self.settings, self.settings.analysis
        if analysis.missing:
            self._warn(f"analysis not available in this version and left out: {', '.join(analysis.missing)}.")
        with self._timed("index"):
            manifest = self._index()
        key = record.inputs(settings, self.encoders, self._reference_files(), manifest.table)
        needed = _NEEDED if self.base is None else tuple(name for name in _NEEDED if name != "report.html")
        found = record.finished(self.folder, key, needed)
        if found is not None:
            return self._again(found)
        self._unfinish()
        from bandprobe import probes
        from bandprobe.analysis import evaluate, test_sets
        from bandprobe.store import EmbeddingStore

        # Found before hours of embedding: a set that is none, a class without images.
        if not all(encoder.is_detector for encoder in self.encoders):
            probes.training_sets(manifest.table, settings.probes.train_on)
        test_sets(manifest.table)
        store = EmbeddingStore(self.folder / "store", self._sources())
        with self._timed("embed"):
            loaded, lost = self._embed(store, manifest.table)
        manifest = manifest.without(lost)
        if lost:
            manifest.save(self.folder / "manifest.parquet")
        table = manifest.table
        with self._timed("train"):
            trained = self._train(store, table, self.train_filters)
            self._keep_only(trained)
        with self._timed("evaluate"):
            results = evaluate(
                store,
                table,
                trained,
                self.test_filters,
                everywhere=self.everywhere,
                scores=self.folder / "scores.parquet",
                confusion=self.folder / "confusion.csv",
                seed=settings.run.seed,
                protocol=self.protocol,
                relabel=self._relabel(table),
            )
            write_results(results, self.folder)
        self._analyse(store, table, trained)
        self._judge(results, table)
        self._list_left_out()
        content = record.describe(
            settings,
            manifest,
            list(zip(self.names, loaded, strict=True)),
            name=self.folder.name,
            device=next((str(model.device) for model in loaded if hasattr(model, "device")), "cpu"),
            filters={
                "test": self.test_filters,
                "train": self.train_filters,
                "everywhere": self.everywhere,
            },
            encoder_passes=self.passes,
            twin_passes=self.twin_passes,
            timings=self.timings,
            warnings=self.warnings,
            left_out=len(self.left_out),
            images_left_out=self.left_out,
        )
        write_json(self.folder / "run.json", content)
        if self.base is None:
            from bandprobe import report

            with self._timed("report"):
                report.build(self.folder)
        write_json(self.folder / "run.json", {**content, "timings": self.timings, "finished": key})
        return Run(self.folder, content)

    def _sources(self) -> dict[str, str]:
        """Encoder names, with what loads each."""
        return {encoder.name: name for encoder, name in zip(self.encoders, self.names, strict=True)}

    def _index(self) -> Manifest:
        from bandprobe.images import build

        data = self.settings.data
        path = self.folder / "manifest.parquet"
        manifest = build(
            data.sources,
            layout=data.layout,
            real=data.reals,
            fakes=data.fakes,
            splits=data.splits,
            families=self.settings.families,
            background=data.background,
            max_pixels=data.max_pixels,
            limit=data.limit,
            workers=self.workers,
            seed=self.settings.run.seed,
            strict=data.strict,
            previous=path if path.exists() else None,
        )
        manifest.save(path)
        self.left_out.update(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True))
        return manifest

    def _embed(
        self, store: EmbeddingStore, table: pd.DataFrame
    ) -> tuple[list[Encoder | Table], dict[str, str]]:
        """Fill the store: training images under the training filters, test images under the test filters.

        Returns:
            What was loaded, in the study's order, and the images that could not be read.
        """
        from bandprobe import encoders
        from bandprobe.extract import import_table

        run = self.settings.run
        computed = [name for name, one in zip(self.names, self.encoders, strict=True) if one.kind != "table"]
        models = encoders.load_all(
            computed, device=run.device, precision=run.precision, protocol=self.protocol
        )
        loaded: dict[str, Encoder | Table] = dict(zip(computed, models, strict=True))
        probed = [one for name, one in zip(computed, models, strict=True) if not resolve(name).is_detector]
        finished = [one for one in models if one not in probed]
        test = table["split"] == "test"
        test_filters = list(
            dict.fromkeys([*self.test_filters, *(["none"] if self.settings.analysis.mmd else [])])
        )
        train_filters = list(self.train_filters)
        if self.protocol.thesis_optimiser:
            train_filters += [flipped(spec) for spec in self.train_filters]
        if set(test_filters) == set(train_filters):
            lost = self._extract(store, table, table, probed, test_filters, self.passes)
        else:
            lost = self._extract(store, table, table[~test], probed, train_filters, self.passes)
            lost |= self._extract(store, table, table[test], probed, test_filters, self.passes)
        lost |= self._extract(store, table, table[test], finished, test_filters, self.passes)
        for name, reference in zip(self.names, self.encoders, strict=True):
            if reference.kind == "table":
                loaded[name] = foreign = encoders.load_table(name)
                filters = dict.fromkeys([*test_filters, *train_filters])
                held = [spec for spec in filters if spec in foreign.filters]
                if len(held) < len(filters):
                    self._warn(f"{foreign.name} has embeddings at {len(held)} of {len(filters)} filters.")
                kept = table[~table["path"].isin(lost)]
                import_table(store, foreign, kept, held or ["none"], geometry=self.settings.encoders.grid)
        return [loaded[name] for name in self.names], lost

    def _extract(
        self,
        store: EmbeddingStore,
        table: pd.DataFrame,
        rows: pd.DataFrame,
        loaded: Sequence[Encoder],
        filters: Sequence[str],
        passes: dict[str, int],
    ) -> dict[str, str]:
        """Embed some images; the paths of those that could not be read, with reasons."""
        from bandprobe.extract import extract

        if not loaded or rows.empty:
            return {}
        geometry = self.settings.encoders.geometry
        done = extract(
            store,
            rows,
            loaded,
            expand(filters),
            geometry=None if geometry == "native" else Geometry.parse(geometry),
            background=self.settings.data.background,
            max_pixels=self.settings.data.max_pixels,
            batch_size=self.settings.run.batch_size,
            workers=self.workers,
            protocol=self.protocol,
            reference_folder=self.reference_folder,
            sources=table,
            shared=None if self.base is None else self.base / "store",
        )
        self.left_out.update(done.left_out)
        passes["done"] += done.passes
        passes["saved"] += done.saved
        return done.left_out

    def _train(
        self, store: EmbeddingStore, table: pd.DataFrame, filters: Sequence[str], replicate: int = 0
    ) -> list[ProbeFile]:
        """Probes of every encoder on every training set under filters; a detector's own logit is its probe."""
        from bandprobe import probes

        held = set(store.conditions())
        folder = self.folder / (f"replicates/{replicate}" if replicate else "probes")
        trained: list[ProbeFile] = []
        groups: dict[tuple[str, ...], dict[str, str]] = {}
        for encoder, name in zip(self.encoders, self.names, strict=True):
            if encoder.is_detector:
                trained += [] if replicate else probes.finished(store, {encoder.name: name}, folder)
                continue
            given = tuple(spec for spec in filters if encoder.kind != "table" or (encoder.name, spec) in held)
            groups.setdefault(given, {})[encoder.name] = name
        settings, run = self.settings.probes, self.settings.run
        for given, sources in groups.items():
            if given:
                trained += probes.train(
                    store,
                    table,
                    sources,
                    settings.train_on,
                    given,
                    folder,
                    seed=run.seed,
                    workers=self.workers,
                    head=settings.head,
                    loss=settings.loss,
                    protocol=self.protocol,
                    replicate=replicate,
                    relabel=self._relabel(table),
                    device=run.device,
                )
        return trained

    def _relabel(self, table: pd.DataFrame) -> Relabel | None:
        """Under `fda_relabel`: a real image that got a fake's amplitude counts as fake."""
        if not self.protocol.fda_relabel:
            return None
        from bandprobe.analysis.relabelling import relabelled

        return relabelled(table)

    def _analyse(self, store: EmbeddingStore, table: pd.DataFrame, trained: list[ProbeFile]) -> None:
        """What is worked out besides the grid. What cannot be is said, and costs the rest of the run nothing."""
        analysis, compared = self.settings.analysis, self.base is not None
        for stage, name, wanted, make in (
            ("mmd", "mmd.csv", analysis.mmd, self._mmd),
            ("entropy", "entropy.csv", analysis.entropy and not compared, self._entropy),
            ("claims", "claims.csv", analysis.claims and not compared, self._claims),
            ("spectrum", "spectra.npz", analysis.spectrum, self._spectra),
        ):
            path = self.folder / name
            path.unlink(missing_ok=True)
            if wanted:
                with self._timed(stage):
                    try:
                        make(store, table, trained, path)
                    except InputError as error:
                        self._warn(f"{name} could not be made: {error}")

    def _mmd(self, store: EmbeddingStore, table: pd.DataFrame, trained: list[ProbeFile], path: Path) -> None:
        from bandprobe.analysis.shift import shift

        found = shift(
            store,
            table,
            trained,
            list(dict.fromkeys([*self.test_filters, "none"])),
            encoders=[encoder.name for encoder in self.encoders],
            samples=self.settings.analysis.samples,
            seed=self.settings.run.seed,
            biased=self.protocol.biased_mmd,
        )
        write_table(found, path)

    def _entropy(
        self, store: EmbeddingStore, table: pd.DataFrame, trained: list[ProbeFile], path: Path
    ) -> None:
        from bandprobe.analysis.entropy import entropy

        encoders = [one.name for one in self.encoders if not one.is_detector and one.kind != "table"]
        if encoders:
            found = entropy(
                store,
                table,
                encoders=[*encoders, *self._twins(store, table)],
                filters=self.test_filters,
                images=table,
                samples=self.settings.analysis.samples,
                seed=self.settings.run.seed,
                workers=self.workers,
            )
            write_table(found, path)

    def _twins(self, store: EmbeddingStore, table: pd.DataFrame) -> list[str]:
        """Embed the images of the entropy analysis with every encoder's random-weight twin; the twins' names."""
        if not self.settings.analysis.twin:
            return []
        from bandprobe import encoders
        from bandprobe.analysis.entropy import LEAST
        from bandprobe.analysis.equal_sources import sampled

        run = self.settings.run
        names = [name for name in map(encoders.twin, self.names) if name and name not in self.names]
        loaded = encoders.load_all(names, device=run.device, precision=run.precision, protocol=self.protocol)
        images = sampled(table, self.settings.analysis.samples, run.seed, LEAST)
        self._extract(store, table, images, loaded, self.test_filters, self.twin_passes)
        return [one.name for one in loaded]

    def _claims(
        self, store: EmbeddingStore, table: pd.DataFrame, trained: list[ProbeFile], path: Path
    ) -> None:
        from bandprobe.analysis.claims import claims

        replicates = [
            self._train(store, table, self.train_filters, number)
            for number in range(1, self.settings.probes.seeds)
        ]
        found = claims(
            store, table, trained, replicates, filters=self.test_filters, seed=self.settings.run.seed
        )
        write_table(found, path)

    def _spectra(
        self, store: EmbeddingStore, table: pd.DataFrame, trained: list[ProbeFile], path: Path
    ) -> None:
        from bandprobe.analysis import spectra

        data = self.settings.data
        found = spectra(
            table,
            samples=self.settings.analysis.samples,
            filter="lowpass:5px" if self.protocol.spectrum_lowpass else "none",
            background=data.background,
            max_pixels=data.max_pixels,
            seed=self.settings.run.seed,
            workers=self.workers,
        )
        found.save(path)
        self.left_out.update(found.left_out)

    def _keep_only(self, trained: list[ProbeFile]) -> None:
        """Remove the probes of an earlier study in this folder: `evaluate` takes all that lie there."""
        wanted = {probe.file_name for probe in trained}
        for path in (self.folder / "probes").glob("*.safetensors"):
            if path.name not in wanted:
                path.unlink()

    def _list_left_out(self) -> None:
        path = self.folder / "left-out.csv"
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
            for name in ("encoder_passes", "twin_passes")
        }
        content = {**found, **saved}
        write_json(self.folder / "run.json", content)
        progress.say(f"{self.folder} is finished and its inputs are unchanged: nothing to do.")
        return Run(self.folder, content)

    def _unfinish(self) -> None:
        """From here on the folder's results may be those of other inputs than its record says."""
        path = self.folder / "run.json"
        with contextlib.suppress(OSError, ValueError):
            write_json(path, {**json.loads(path.read_text(encoding="utf-8")), "finished": None})

    def _reference_files(self) -> list[Path]:
        """Where filters may take reference images from; those that are files."""
        steps = [step for spec in expand([*self.test_filters, *self.train_filters]) for step in spec.steps]
        return [self.reference_folder / step.reference for step in steps if step.reference is not None]

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        progress.say(f"warning: {message}")

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.timings[stage] = round(time.perf_counter() - start, 3)


def flipped(spec: str) -> str:
    """The mirrored version of a condition."""
    return "flip" if spec == "none" else f"flip+{spec}"
