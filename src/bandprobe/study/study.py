"""A whole study: what it asks for, and the word to run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe import config, parallel, progress
from bandprobe.files import output_folder
from bandprobe.protocol import SWITCHES, THESIS, Protocol
from bandprobe.run import Run, write_table
from bandprobe.study.plan import Plan
from bandprobe.study.runner import Runner

if TYPE_CHECKING:
    from bandprobe.config import Config


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

        `limit`, `strict`, `equalise`, `device`, `batch_size`, `compile`, `workers`, `engine`, `address`,
        `actors`, `seed`, `protocol`, `track`.
        """
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        data: dict[str, Any] = {
            name: given.pop(name) for name in ("limit", "strict", "equalise") if name in given
        }
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
        if self.config.run.track:
            from bandprobe.trackers import require

            require(self.config.run.track)  # before anything is computed
        folder = output_folder(out or Path("runs") / self.name)
        plan = Plan.of(self.config, folder, self.folder)
        with parallel.on(plan.cluster):
            return Runner(plan, self.caveats).run()

    def ablate(self, out: str | Path | None = None) -> Run:
        """Run the study, and again with each switch of the published protocol on its own, and with the thesis's.

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
        reasons = {switch: unmoved(switch, run.manifest, self.config.filters.test) for switch in SWITCHES}
        applicable = [switch for switch in THESIS.on if not reasons[switch]]
        tables = []
        for name, words in {
            **{switch: switch for switch in SWITCHES},
            "thesis": ",".join(applicable),
        }.items():
            if reason := reasons.get(name):
                tables.append(moved(name, run.folder, None, reason=reason))
                continue
            progress.say(f"protocol {words}")
            folder = output_folder(run.folder / "ablation" / name)
            switched = self.with_options(protocol=words).config
            Runner(Plan.of(switched, folder, self.folder, base=run.folder), self.caveats).run()
            tables.append(moved(name, run.folder, folder, seed=self.config.run.seed))
        write_table(pd.concat(tables, ignore_index=True), run.folder / "ablation.csv")
        report.build(run.folder)
        return run
