"""A study file: TOML sections with defaults for everything but the data, and no key that is not known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bandprobe.encoders import anchored
from bandprobe.errors import InputError, did_you_mean
from bandprobe.images.equalise import AUTO, Equalise
from bandprobe.protocol import Protocol
from bandprobe.remote import is_remote

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Section):
    """`[data]`: where the images are, and what is done to all of them alike.

    `near_duplicates` keeps copies of a picture (cropped, flipped, recompressed) on one side of every split.
    `equalise` gives every picture one crop, one size and one JPEG quality before anything else: a recipe such
    as `crop:256+jpeg:75`, or `auto`. `outside` lets a table name images outside its own folder.
    """

    root: str | None = None
    roots: list[str] = Field(default_factory=list)
    manifest: str | None = None
    real: str | list[str] | None = None
    fakes: dict[str, str] | None = None
    layout: str = "auto"
    splits: tuple[float, float, float] = (0.7, 0.1, 0.2)
    background: str = "white"
    max_pixels: int = Field(default=64_000_000, gt=0, le=178_956_970)  # Pillow refuses more
    limit: int | None = Field(default=None, gt=0)
    strict: bool = False
    near_duplicates: bool = True
    outside: bool = False
    equalise: str = ""

    @field_validator("equalise")
    @classmethod
    def _recipe(cls, text: str) -> str:
        return text if text in ("", AUTO) else str(Equalise.parse(text))

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        given = [name for name in ("root", "roots", "manifest", "real") if getattr(self, name)]
        if len(given) != 1 or bool(self.real) != bool(self.fakes):
            raise ValueError(
                f"expected one of root, roots, manifest, or real with fakes; got {', '.join(given) or 'none'}"
            )
        return self

    @property
    def sources(self) -> list[str]:
        """The positional data: a root, several, or a manifest."""
        single = [name for name in (self.root, self.manifest) if name]
        return single or list(self.roots)

    @property
    def reals(self) -> list[str]:
        """Roots of real images given on their own."""
        return [self.real] if isinstance(self.real, str) else list(self.real or [])


class Encoders(_Section):
    """`[encoders]`: which, and on what grid.

    `layers` adds the vector behind every block of each encoder (`"all"`), or behind those of a list, all from the
    same passes; probes are trained on each, and `layers.csv` shows them block by block.
    """

    names: list[str] = Field(default_factory=lambda: ["dinov2-giant", "openclip-vit-g-14"], min_length=1)
    geometry: str = "squash:224"
    layers: Literal["all"] | list[int] = Field(default_factory=list)

    @property
    def grid(self) -> str:
        """The grid that all encoders share; that of embeddings computed elsewhere where each has its own."""
        return "squash:224" if self.geometry == "native" else self.geometry


class Filters(_Section):
    """`[filters]`: under which filters probes are tested, and trained to be tested under all of them."""

    test: list[str] = Field(default_factory=lambda: ["none", "thesis"], min_length=1)
    train: list[str] = Field(default_factory=lambda: ["none"], min_length=1)


class Probes(_Section):
    """`[probes]`: what probes are trained on, and how.

    `seeds` is how many times each probe is trained for the claims: once on the training images as they are,
    and then on resamples of them.
    """

    train_on: list[str] = Field(default_factory=lambda: ["each", "families", "all"], min_length=1)
    head: Literal["linear", "mlp", "attention"] = "linear"
    loss: Literal["bce", "focal", "supcon", "triplet"] = "bce"
    seeds: int = Field(default=3, gt=0)


class Analysis(_Section):
    """`[analysis]`: what is worked out besides the grid.

    `information` re-trains every probe at every test filter, or at those of a list, so that each curve is shown
    as reliance and as information. `twin` puts each encoder's own architecture with random weights beside it in
    `entropy`. `audit` asks what tells the classes apart besides the picture, `bands` which frequencies each probe uses,
    `calibration` whether thresholds hold on other generators, `robustness` what degradations cost and whether ranks
    survive them, where the test filters hold such. `samples` images of each source are taken for
    MMD, entropy, spectra, the audit's pixels and the bands. `pd` names the false-alarm rate of the PD@x% shown, by
    default the strictest that the data allow. `sensitivity` maps which frequencies logits and embeddings depend on, by
    a backward pass an image and probe. `pictures` keeps small copies of test images in the run's folder, for the
    report's gallery of mistakes and its slider.
    """

    information: bool | list[str] = True
    spectrum: bool = True
    mmd: bool = True
    entropy: bool = True
    twin: bool = True
    claims: bool = True
    audit: bool = True
    calibration: bool = True
    bands: bool = True
    robustness: bool = True
    samples: int = Field(default=1000, gt=1)
    pd: Literal["auto", "1%", "5%", "10%"] = "auto"
    sensitivity: bool = False
    pictures: bool = True


class Run(_Section):
    """`[run]`: how.

    `engine = "ray"` does the work on a Ray cluster: that at `address`, or this machine's cores. `actors` is how
    many of its workers hold encoders. `store` is where embeddings go: a folder or `s3://bucket/path`, by default
    `store` in the run's folder. `track` logs the study to experiment trackers (extra `trackers`).
    """

    protocol: str | list[str] = "corrected"
    seed: int = Field(default=0, ge=0)
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    device: str = "auto"
    batch_size: int | None = Field(default=None, gt=0)
    compile: bool = False
    workers: int | None = Field(default=None, gt=0)
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    actors: int | None = Field(default=None, gt=0)
    store: str | None = None
    track: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(default_factory=list)

    @field_validator("protocol")
    @classmethod
    def _known(cls, words: str | list[str]) -> str:
        return str(Protocol.parse(words))

    @property
    def switches(self) -> Protocol:
        """The protocol's switches."""
        return Protocol.parse(self.protocol)


class Config(_Section):
    """A whole study file."""

    data: Data
    families: dict[str, list[str]] = Field(default_factory=dict)
    encoders: Encoders = Encoders()
    filters: Filters = Filters()
    probes: Probes = Probes()
    analysis: Analysis = Analysis()
    run: Run = Run()


def parse(content: dict[str, Any], name: str = "the study") -> Config:
    """A configuration from a study file's content.

    Args:
        content: what the TOML holds.
        name: how errors call it.

    Raises:
        InputError: an unknown key, with the nearest known one, or a value that does not fit.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{name}: {_first(error)}") from None


def read(path: str | Path) -> Config:
    """A configuration from a TOML file. Paths in it are taken from the file's own folder.

    Raises:
        InputError: no such file, no TOML, or as `parse`.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"cannot read the study file {str(path)!r}: {reason}.") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets without end
        said = " ".join(str(error).split())
        raise InputError(f"{str(path)!r} is not valid TOML: {said}.") from None
    settings = parse(content, repr(str(path)))
    try:
        return _anchored(settings, file.parent)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} holds a path that cannot be one: {error}.") from None


def _anchored(config: Config, folder: Path) -> Config:
    """The configuration with relative paths taken from `folder`."""

    def anchor(path: str) -> str:
        if is_remote(path):
            return path
        name, equals, rest = path.partition("=")
        if equals and not (folder / path).exists():
            return f"{name}={anchor(rest)}"
        return str((folder / Path(path).expanduser()).resolve())

    data = config.data
    changes: dict[str, Any] = {
        "root": data.root and anchor(data.root),
        "roots": [anchor(path) for path in data.roots],
        "manifest": data.manifest and anchor(data.manifest),
        "real": [anchor(path) for path in data.reals] or None,
        "fakes": {name: anchor(path) for name, path in data.fakes.items()} if data.fakes else None,
    }
    encoders = config.encoders.model_copy(
        update={"names": [anchored(name, folder) for name in config.encoders.names]}
    )
    run = config.run.model_copy(update={"store": config.run.store and anchor(config.run.store)})
    return config.model_copy(
        update={"data": data.model_copy(update=changes), "encoders": encoders, "run": run}
    )


def _first(error: ValidationError) -> str:
    """The first of pydantic's complaints, in one line."""
    # A misspelt section is also a missing one: the spelling is what to mend.
    complaints = error.errors(include_url=False)
    complaint = next((one for one in complaints if one["type"] == "extra_forbidden"), complaints[0])
    where = ".".join(str(part) for part in complaint["loc"])
    if complaint["type"] == "extra_forbidden":
        *sections, key = (str(part) for part in complaint["loc"])
        known = _known(sections)
        place = f"[{'.'.join(sections)}]" if sections else "a study file"
        return f"unknown key {key!r} in {place}.{did_you_mean(key, known)} Known: {', '.join(known)}."
    if complaint["type"] == "missing" and len(complaint["loc"]) == 1:
        return f'[{where}] is missing; it says where the images are, e.g. root = "photos".'
    message = complaint["msg"].removeprefix("Value error, ").rstrip(".")
    given = complaint["input"]
    got = "" if isinstance(given, dict) else f"; got {given!r}"
    return f"[{where}] {message[:1].lower()}{message[1:]}{got}."


def _known(sections: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for section in sections:
        annotation = model.model_fields[section].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)
