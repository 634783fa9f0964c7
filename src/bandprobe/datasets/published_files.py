"""The files of a record, as its server lists them: names, sizes and checksums need not be guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from bandprobe.datasets import web
from bandprobe.datasets.registry import DataSet, File, Part
from bandprobe.errors import DiskError


@dataclass(frozen=True)
class Published:
    """The files of a part, and the licence that the record names."""

    files: tuple[File, ...]
    licence: str = ""


def published(
    data_set: DataSet, part: Part, *, server: str | None = None, timeout: float = 30.0
) -> Published:
    """The files that a part consists of.

    Args:
        data_set: the part's.
        part: one that can be fetched.
        server: where its record is looked up instead of the registry's server.
        timeout: seconds without an answer.

    Raises:
        DiskError: the server cannot be reached, does not know the record, or lists no such file.
    """
    if part.zenodo is not None:
        record = f"{server or data_set.servers.zenodo}/api/records/{part.zenodo}"
        found = _of_zenodo(record, web.read_json(record, timeout))
    elif part.huggingface:
        record = f"{server or data_set.servers.huggingface}/api/datasets/{part.huggingface}"
        found = _of_hugging_face(record, part.huggingface, timeout)
    else:
        return Published(part.files)
    files = matching(found.files, part.match)
    if not files:
        names = ", ".join(file.name for file in found.files[:20])
        raise DiskError(
            f"{record} lists no file like {' or '.join(part.match)} for {data_set.name}'s part {part.name!r}; "
            f"it has {names or 'none'}. Write a registry of your own with these names."
        )
    return Published(files, found.licence)


def matching(files: Sequence[File], patterns: Sequence[str]) -> tuple[File, ...]:
    """The files whose names fit one of some patterns, in any case."""
    return tuple(
        file for file in files if any(fnmatchcase(file.name.lower(), one.lower()) for one in patterns)
    )


def _of_zenodo(record: str, content: Any) -> Published:
    """Source: Zenodo's REST API, developers.zenodo.org: `files[].{key, size, checksum, links.self}`."""
    try:
        files = tuple(
            File(name=one["key"], url=one["links"]["self"], size=one["size"], checksum=one["checksum"])
            for one in content["files"]
        )
        licence = content.get("metadata", {}).get("license", {})
    except (ValidationError, KeyError, TypeError, AttributeError):
        raise _not_a_listing(record) from None
    return Published(files, str(licence.get("id", "")) if isinstance(licence, dict) else "")


def _of_hugging_face(record: str, name: str, timeout: float) -> Published:
    """Source: the Hub's API, as huggingface_hub's `list_repo_tree` reads it: `[].{type, path, size, lfs.oid}`."""
    host = record[: -len(f"/api/datasets/{name}")]
    listing = web.read_json(f"{record}/tree/main?recursive=true", timeout)
    facts = web.read_json(record, timeout)
    try:
        files = tuple(
            File(
                name=one["path"].rpartition("/")[2],
                url=f"{host}/datasets/{name}/resolve/main/{quote(one['path'])}",
                size=one["size"],
                checksum=f"sha256:{one['lfs']['oid']}" if one.get("lfs") else "",
            )
            for one in listing
            if one["type"] == "file"
        )
        card = facts.get("cardData") or {}
        licence = card.get("license", "")
    except (ValidationError, KeyError, TypeError, AttributeError):
        raise _not_a_listing(record) from None
    return Published(files, licence if isinstance(licence, str) else ", ".join(map(str, licence)))


def _not_a_listing(record: str) -> DiskError:
    return DiskError(f"{record} answers with something other than a listing of files; give another --server.")
