"""A whole study: the one file that wires the stages, from images to a report."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe import config, progress
from bandprobe._version import __version__
from bandprobe.encoders import distinct, resolve
from bandprobe.files import output_folder, replacing, write_json
from bandprobe.filters import check, expand
from bandprobe.images.geometry import Geometry
from bandprobe.machine import cores
from bandprobe.run import Run, write_results

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.config import Config
    from bandprobe.encoders import Encoder
    from bandprobe.images import Manifest
    from bandprobe.probes import ProbeFile

_LIBRARIES = ("torch", "transformers", "scikit-learn", "numpy", "pillow", "pyarrow")


@dataclass(frozen=True)
class Study:
    """A study that can be run, stopped, and run again."""

    config: Config
    name: str = "study"
    caveats: tuple[str, ...] = ()  # what the report must warn of and cannot see

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """The study a TOML file describes; paths in it are taken from its own folder.

        Raises:
            InputError: the file cannot be read, holds an unknown key, or a value that does not fit.
        """
        return cls(config.read(path), Path(path).stem)

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], name: str = "study", caveats: tuple[str, ...] = ()
    ) -> Study:
        """The study a mapping describes, with the keys of a study file, and warnings for its report."""
        return cls(config.parse(dict(content), name), name, caveats)

    def with_options(self, **options: Any) -> Study:
        """The study with `limit`, `strict`, `device`, `batch_size`, `workers`, `seed` replaced where not None."""
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        data: dict[str, Any] = {name: given.pop(name) for name in ("limit", "strict") if name in given}
        settings = self.config
        return Study(
            settings.model_copy(
                update={
                    "data": settings.data.model_copy(update=data),
                    "run": settings.run.model_copy(update=given),
                }
            ),
            self.name,
            self.caveats,
        )

    def run(self, out: str | Path | None = None) -> Run:
        """Do what is not done yet: index, embed, train, evaluate, spectra, report.

        Args:
            out: the run's folder; `runs/<name>` by default. A run that lies there is gone on with.

        Returns:
            The run. Nothing is computed a second time: embeddings, probes and results that were made from
            the same inputs are kept.

        Raises:
            BandprobeError: wrong use, unusable input, or a disk that failed; what was finished is kept.
        """
        return _Runner(self.config, output_folder(out or Path("runs") / self.name), self.caveats).run()


class _Runner:
    """One run in progress."""

    def __init__(self, settings: Config, folder: Path, caveats: tuple[str, ...] = ()) -> None:
        self.settings = settings
        self.folder = folder
        self.timings: dict[str, float] = {}
        self.warnings = list(caveats)
        self.left_out: dict[str, str] = {}
        self.test_filters = [str(spec) for spec in expand(settings.filters.test)]
        self.everywhere = [str(spec) for spec in expand(settings.filters.train)]
        again = self.test_filters if settings.analysis.information else []
        self.train_filters = list(dict.fromkeys([*self.everywhere, *again]))
        self.filters = list(dict.fromkeys([*self.test_filters, *self.train_filters]))
        self.references = [resolve(name) for name in settings.encoders.names]
        self.workers = settings.run.workers or cores()
        # What cannot work is refused before the images are read.
        distinct([reference.name for reference in self.references])
        if settings.encoders.geometry != "native":
            size = Geometry.parse(settings.encoders.geometry).size
            for spec in expand(self.filters):
                check(spec, size)

    def run(self) -> Run:
        settings = self.settings
        if settings.analysis.missing:
            names = ", ".join(settings.analysis.missing)
            self._warn(f"analysis not available in this version and left out: {names}.")
        with self._timed("index"):
            manifest = self._index()
        finished = self._finished(manifest)
        if finished is not None:
            return finished
        self._unfinish()
        from bandprobe import probes, report
        from bandprobe.analysis import evaluate, test_sets
        from bandprobe.store import EmbeddingStore

        # Found before hours of embedding: a set that is none, a class without images.
        probes.training_sets(manifest.table, settings.probes.train_on)
        test_sets(manifest.table)
        store = EmbeddingStore(self.folder / "store", self._sources())
        with self._timed("embed"):
            encoders, passes, lost = self._embed(store, manifest.table)
        manifest = manifest.without(lost)
        table = manifest.table
        if lost:
            manifest.save(self.folder / "manifest.parquet")
        with self._timed("train"):
            trained = probes.train(
                store,
                table,
                self._sources(),
                settings.probes.train_on,
                self.train_filters,
                self.folder / "probes",
                seed=settings.run.seed,
                workers=self.workers,
            )
        self._keep_only(trained)
        with self._timed("evaluate"):
            results = evaluate(
                store,
                table,
                trained,
                self.test_filters,
                everywhere=self.everywhere,
                scores=self.folder / "scores.parquet",
                seed=settings.run.seed,
            )
            write_results(results, self.folder)
        with self._timed("spectrum"):
            self._spectra(table)
        self._judge(results, table)
        self._list_left_out()
        record = self._record(manifest, encoders, passes)
        write_json(self.folder / "run.json", record)
        with self._timed("report"):
            report.build(self.folder)
        record["timings"] = self.timings
        record["finished"] = self._inputs(manifest)
        write_json(self.folder / "run.json", record)
        return Run(self.folder, record)

    def _sources(self) -> dict[str, str]:
        """Encoder names, with what loads each."""
        return {
            reference.name: name
            for reference, name in zip(self.references, self.settings.encoders.names, strict=True)
        }

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

    def _embed(self, store: Any, table: pd.DataFrame) -> tuple[list[Encoder], dict[str, int], dict[str, str]]:
        from bandprobe import encoders
        from bandprobe.extract import extract

        run, geometry = self.settings.run, self.settings.encoders.geometry
        loaded = [
            encoders.load(name, device=run.device, precision=run.precision)
            for name in self.settings.encoders.names
        ]
        done = extract(
            store,
            table,
            loaded,
            expand(self.filters),
            geometry=None if geometry == "native" else Geometry.parse(geometry),
            background=self.settings.data.background,
            max_pixels=self.settings.data.max_pixels,
            batch_size=run.batch_size,
            workers=self.workers,
        )
        self.left_out.update(done.left_out)
        return loaded, {"done": done.passes, "saved": done.saved}, done.left_out

    def _keep_only(self, trained: list[ProbeFile]) -> None:
        """Remove the probes of an earlier study in this folder: `evaluate` takes all that lie there."""
        from bandprobe.probes import file_name

        wanted = {file_name(probe.encoder, probe.trained_on, probe.train_filter) for probe in trained}
        for path in (self.folder / "probes").glob("*.safetensors"):
            if path.name not in wanted:
                path.unlink()

    def _spectra(self, table: pd.DataFrame) -> None:
        path = self.folder / "spectra.npz"
        if not self.settings.analysis.spectrum:
            path.unlink(missing_ok=True)
            return
        from bandprobe.analysis import spectra

        data = self.settings.data
        spectra(table, background=data.background, max_pixels=data.max_pixels, workers=self.workers).save(
            path
        )

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

    def _record(self, manifest: Manifest, encoders: list[Encoder], passes: dict[str, int]) -> dict[str, Any]:
        settings, table = self.settings, manifest.table
        columns = ["dataset", "generator", "family", "split"]
        counts = table.groupby(columns, sort=True).size().rename("n").reset_index()
        return {
            "name": self.folder.name,
            "versions": {
                "bandprobe": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "seed": settings.run.seed,
            "device": str(encoders[0].device),
            "precision": settings.run.precision,
            "protocol": settings.run.protocol,
            "geometry": settings.encoders.geometry,
            "config": settings.model_dump(mode="json"),
            "filters": {
                "test": self.test_filters,
                "train": self.train_filters,
                "everywhere": self.everywhere,
            },
            "data": {
                "roots": settings.data.sources
                or [*settings.data.reals, *(settings.data.fakes or {}).values()],
                "n_images": len(table),
                "counts": counts.to_dict("records"),
                "notes": list(manifest.notes),
            },
            "encoders": [
                {"name": encoder.name, "source": name, "dim": encoder.dim, **encoder.fingerprint}
                for encoder, name in zip(encoders, settings.encoders.names, strict=True)
            ],
            "encoder_passes": passes,
            "timings": self.timings,
            "warnings": self.warnings,
            "left_out": len(self.left_out),
            "images_left_out": self.left_out,
        }

    def _finished(self, manifest: Manifest) -> Run | None:
        """The run that lies here already, when it was made from the same inputs and is whole."""
        needed = ("results.parquet", "results.csv", "scores.parquet", "report.html")
        try:
            record = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = all((self.folder / name).is_file() for name in needed)
        if not whole or record.get("finished") != self._inputs(manifest):
            return None
        passes = record["encoder_passes"]
        record["encoder_passes"] = {"done": 0, "saved": passes["done"] + passes["saved"]}
        write_json(self.folder / "run.json", record)
        progress.say(f"{self.folder} is finished and its inputs are unchanged: nothing to do.")
        return Run(self.folder, record)

    def _unfinish(self) -> None:
        """From here on the folder's results may be those of other inputs than its record says."""
        path = self.folder / "run.json"
        with contextlib.suppress(OSError, ValueError):
            write_json(path, {**json.loads(path.read_text(encoding="utf-8")), "finished": None})

    def _inputs(self, manifest: Manifest) -> str:
        """A hash of everything the run is made from, found without loading an encoder."""
        images = manifest.table[["image_id", "label", "generator", "family", "dataset", "split"]]
        weights = []
        for reference in self.references:
            target = Path(reference.target)
            files = sorted(target.iterdir()) if reference.kind == "folder" else [target]
            stats = [
                (str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()
            ]
            weights.append([reference.name, reference.kind, reference.target, stats])
        settings = self.settings.model_dump(mode="json", exclude={"run": {"workers"}})
        facts = json.dumps([__version__, settings, weights, list(images.columns)])
        digest = hashlib.sha256(facts.encode())
        digest.update(images.to_csv(index=False).encode())
        return digest.hexdigest()

    def _warn(self, message: str) -> None:
        self.warnings.append(message)
        progress.say(f"warning: {message}")

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.timings[stage] = round(time.perf_counter() - start, 3)
