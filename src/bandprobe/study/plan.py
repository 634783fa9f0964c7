"""What a study asks for, once it is seen that it can be had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bandprobe.cluster import Cluster
from bandprobe.encoders import distinct, expand_names, resolve
from bandprobe.errors import EncoderError, InputError
from bandprobe.filters import check, expand
from bandprobe.images.equalise import AUTO, Equalise
from bandprobe.images.geometry import Geometry
from bandprobe.machine import cores

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.config import Config
    from bandprobe.encoders import Reference
    from bandprobe.protocol import Protocol


@dataclass(frozen=True)
class Plan:
    """A study file with everything in it spelt out.

    Attributes:
        settings: the study file.
        folder: the run's.
        reference_folder: where relative paths of reference images start.
        base: folder of the run that this one is compared with: its embeddings are taken where they are the
            same, and no report is made.
        names: the encoders as the study names them, sweeps expanded.
        encoders: what these names stand for.
        test_filters: canonical specs.
        everywhere: the train filters whose probes meet every test filter.
        train_filters: these, and those that probes are re-trained under.
        workers: threads and processes.
    """

    settings: Config
    folder: Path
    reference_folder: Path
    base: Path | None
    names: tuple[str, ...]
    encoders: tuple[Reference, ...]
    test_filters: tuple[str, ...]
    everywhere: tuple[str, ...]
    train_filters: tuple[str, ...]
    workers: int

    @classmethod
    def of(cls, settings: Config, folder: Path, reference_folder: Path, base: Path | None = None) -> Plan:
        """Spell a study out.

        Raises:
            EncoderError: an unknown encoder, or two of one name.
            FilterError: an unknown filter, or one that removes everything on the study's grid.
            InputError: images are to be equalised, and each encoder has a grid of its own.
        """
        if settings.data.equalise and settings.encoders.geometry == "native":
            raise InputError(
                "[data] equalise needs one grid for all encoders; got geometry = 'native'. Name one, e.g. squash:224."
            )
        names = expand_names(settings.encoders.names)
        if settings.encoders.layers:
            if settings.probes.head == "attention":
                raise InputError("[encoders] layers gives one vector a layer; head 'attention' needs tokens.")
            from bandprobe.encoders import with_layers  # needs PyTorch

            names = with_layers(names, settings.encoders.layers)
        if settings.probes.head == "attention":
            names = [_with_tokens(name) for name in names]
        encoders = [resolve(name) for name in names]
        distinct([encoder.name for encoder in encoders])
        test = expand(settings.filters.test)
        everywhere = expand(settings.filters.train)
        asked = settings.analysis.information
        again = expand(asked) if isinstance(asked, list) else test if asked else []
        train = list(dict.fromkeys([*everywhere, *again]))
        if settings.encoders.geometry != "native":
            size = Geometry.parse(settings.encoders.geometry).size
            for spec in (*test, *train):
                check(spec, size)
        return cls(
            settings=settings,
            folder=folder,
            reference_folder=reference_folder,
            base=base,
            names=tuple(names),
            encoders=tuple(encoders),
            test_filters=tuple(map(str, test)),
            everywhere=tuple(map(str, everywhere)),
            train_filters=tuple(map(str, train)),
            workers=settings.run.workers or cores(),
        )

    @property
    def store(self) -> str | Path:
        """Where embeddings go; those of a run that is only compared with another into its own folder."""
        return (self.base is None and self.settings.run.store) or self.folder / "store"

    @property
    def shared(self) -> str | Path | None:
        """The store of the run that this one is compared with."""
        return None if self.base is None else self.settings.run.store or self.base / "store"

    @property
    def cluster(self) -> Cluster | None:
        """Where the work is done; None for this process."""
        run = self.settings.run
        return Cluster.asked(run.engine, run.address, device=run.device, actors=run.actors)

    @property
    def protocol(self) -> Protocol:
        """The switches that are on."""
        return self.settings.run.switches

    @property
    def beside(self) -> frozenset[str]:
        """The layers whose whole encoder is in the study too: they are shown layer by layer, not one by one."""
        there = {encoder.name for encoder in self.encoders}
        return frozenset(
            encoder.name for encoder in self.encoders if encoder.layer and encoder.whole.name in there
        )

    @property
    def alone(self) -> list[str]:
        """The encoders as the study names them, less the layers beside them."""
        return [
            name for name, one in zip(self.names, self.encoders, strict=True) if one.name not in self.beside
        ]

    @property
    def sources(self) -> dict[str, str]:
        """Encoder names in tables, with what loads each."""
        return {encoder.name: name for encoder, name in zip(self.encoders, self.names, strict=True)}

    @property
    def geometry(self) -> Geometry | None:
        """The grid all encoders share, and what pictures go through before; None where each has its own."""
        text, recipe = self.settings.encoders.geometry, self.settings.data.equalise
        if text == "native":
            return None
        grid = Geometry.parse(text)
        return Equalise.parse(recipe).before(grid) if recipe else grid

    def for_images(self, table: pd.DataFrame) -> Plan:
        """The plan with `equalise = "auto"` spelt out for a manifest's images.

        Raises:
            InputError: they have no common crop.
        """
        data = self.settings.data
        if data.equalise != AUTO:
            return self
        recipe = Equalise.common(table[["width", "height"]].min(axis=1).to_numpy())
        data = data.model_copy(update={"equalise": str(recipe)})
        return replace(self, settings=self.settings.model_copy(update={"data": data}))

    @property
    def reference_files(self) -> list[Path]:
        """Where filters may take reference images from, if these are files."""
        specs = expand([*self.test_filters, *self.train_filters])
        steps = [step for spec in specs for step in spec.steps]
        return [self.reference_folder / step.reference for step in steps if step.reference is not None]


def _with_tokens(name: str) -> str:
    """An encoder that gives its tokens; a detector as it is, since no head is trained on it."""
    if resolve(name).is_detector or name.endswith("#tokens"):
        return name
    try:
        resolve(f"{name}#tokens")
    except EncoderError:
        raise EncoderError(
            f"head 'attention' needs patch tokens, and {name!r} gives none; take head linear or mlp, or leave that "
            "encoder out."
        ) from None
    return f"{name}#tokens"
