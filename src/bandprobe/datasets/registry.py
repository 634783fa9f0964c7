"""Data sets of the field: where each is published, under which terms, and how it is laid out."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bandprobe.errors import InputError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).parent / "registries"
_LARGEST = 1 << 20  # bytes of a registry
_PLAIN = re.compile(r"(?!\.+\Z)[^/\\\0-\x1f:]{1,200}")
_CHECKSUM = re.compile(r"md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def plain(name: str) -> str:
    """A name that leads nowhere: of one file or folder.

    Raises:
        ValueError: another.
    """
    if not _PLAIN.fullmatch(name):
        raise ValueError(f"expected the name of a file or folder; got {name!r}")
    return name


def _below(path: str) -> str:
    for part in path.split("/") if path else []:
        plain(part)
    return path


def web_url(url: str) -> str:
    """A URL that a file can be fetched from.

    Raises:
        ValueError: another.
    """
    if not re.match(r"https?://[^\s/]+", url):
        raise ValueError(f"expected a URL that begins with https:// or http://; got {url!r}")
    return url.rstrip("/")


def checksum(text: str) -> str:
    """`md5:`, `sha1:`, `sha256:` or `sha512:` and as many hexadecimal digits, lower case; empty where unknown.

    Raises:
        ValueError: another.
    """
    lower = text.lower()
    if lower and not _CHECKSUM.fullmatch(lower):
        raise ValueError(f"expected a checksum such as md5:0123...; got {text!r}")
    return lower


_Plain = Annotated[str, AfterValidator(plain)]
_Below = Annotated[str, AfterValidator(_below)]
_Url = Annotated[str, AfterValidator(web_url)]
_Checksum = Annotated[str, AfterValidator(checksum)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Record):
    """One file to download.

    Attributes:
        name: what it is called on this disk.
        url: where it is.
        checksum: see `checksum`; empty where it is not known.
        size: bytes, where that is known.
    """

    name: _Plain = ""
    url: _Url
    checksum: _Checksum = ""
    size: int | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: dict[str, object]) -> dict[str, object]:
        url = str(content.get("url", ""))
        return {"name": url.partition("?")[0].rstrip("/").rpartition("/")[2], **content}


class Part(_Record):
    """One part of a data set that can be had alone, such as its test set.

    Attributes:
        name: what `--subset` calls it.
        about: in a sentence.
        zenodo: the record on Zenodo that has its files.
        huggingface: the data set on Hugging Face (`owner/name`) that has them.
        match: patterns of the files that are meant among those of a record; `*` and `?`, in any case.
        files: the files themselves, where no record lists them.
        by_hand: how to get it where it cannot be fetched.
        into: the folder below the data set's that it is unpacked into.
        strip: folders at the top of an archive that are left out: what is below them goes into `into`.
        tree_sha1: the authors' hash of the folder `into`, see `tree_hash`.
        tree_needs: what must be added before that hash holds; empty where the files are all there is.
    """

    name: _Plain
    about: str = ""
    zenodo: int | None = Field(default=None, gt=0)
    huggingface: str = Field(default="", pattern=r"^([\w.-]+/[\w.-]+)?$")
    match: tuple[str, ...] = ("*",)
    files: tuple[File, ...] = ()
    by_hand: str = ""
    into: _Below = ""
    strip: tuple[_Plain, ...] = ()
    tree_sha1: str = Field(default="", pattern=r"^([0-9a-f]{40})?$")
    tree_needs: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Part:
        given = [name for name in ("zenodo", "huggingface", "files", "by_hand") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                f"expected one of zenodo, huggingface, files or by_hand; got {' and '.join(given) or 'none'}"
            )
        return self


class Servers(_Record):
    """Where records are looked up."""

    zenodo: _Url = "https://zenodo.org"
    huggingface: _Url = "https://huggingface.co"


class DataSet(_Record):
    """A data set of a registry.

    Attributes:
        name: what `fetch` calls it.
        title: in a line.
        folder: what its folder is called.
        homepage: where its authors present it.
        licence: as its authors give it; empty where only the record says.
        citation: BibTeX.
        notes: what whoever uses it should know.
        parts: what it consists of.
        servers: where records are looked up.
    """

    name: _Plain
    title: str
    folder: _Plain
    homepage: _Url
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = Field(min_length=1)
    servers: Servers = Servers()

    def chosen(self, names: list[str] | None) -> tuple[Part, ...]:
        """The parts of some names; all where none are given.

        Raises:
            InputError: there is no such part, or none of them can be fetched.
        """
        known = {part.name: part for part in self.parts}
        for name in names or []:
            if name not in known:
                raise InputError(
                    f"{self.name} has no part {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
                )
        parts = [known[name] for name in dict.fromkeys(names or known)]
        if all(part.by_hand for part in parts):
            raise InputError(
                f"{self.name}'s part {parts[0].name!r} cannot be fetched by a program: {parts[0].by_hand}"
            )
        return tuple(parts)


def names() -> list[str]:
    """The data sets that the package knows."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str | Path) -> DataSet:
    """A data set by its name, or from a registry file of one's own.

    Args:
        name: one of `names()`, or a path that ends in `.toml`.

    Raises:
        InputError: an unknown name, no such file, or a file that is no registry.
    """
    given = str(name)
    path = Path(given) if given.endswith(".toml") else _FOLDER / f"{given}.toml"
    if not given.endswith(".toml") and given not in names():
        raise InputError(
            f"no data set is called {given!r}.{did_you_mean(given, names())} Known: {', '.join(names())}; "
            "a registry of your own is a path that ends in .toml."
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{given!r} is too large for a registry; expected a short TOML file.")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return DataSet.model_validate({"name": path.stem, "folder": path.stem, **content})
    except FileNotFoundError:
        raise InputError(
            f"no registry at {given!r}; give a TOML file, or one of {', '.join(names())}."
        ) from None
    except ValidationError as error:
        raise InputError(f"{given!r} is no registry of a data set: {_first(error)}.") from None
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{given!r} cannot be read as TOML: {reason}.") from None


def _first(error: ValidationError) -> str:
    complaint = error.errors(include_url=False)[0]
    where = ".".join(map(str, complaint["loc"])) or "it"
    if complaint["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    return f"{where}: {complaint['msg'].removeprefix('Value error, ')}"
