"""What was fetched, kept beside the data: checksums, and how much lies where."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bandprobe.datasets.registry import Part
from bandprobe.datasets.tree_hash import contents, tree_hash
from bandprobe.errors import InputError
from bandprobe.files import write_json

_Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Archive(_Record):
    """A file that was downloaded: `checksum_from` is `published`, or `first use` where no one publishes any."""

    url: str
    bytes: _Count
    checksum: str
    checksum_from: str


class Held(_Record):
    """One part as it was when it was unpacked: what lies in `folder` by the names `entries`."""

    folder: str
    entries: list[str]
    files: _Count
    bytes: _Count
    tree_sha1: str
    archives: dict[str, Archive] = Field(default_factory=dict)


class _Content(_Record):
    data_set: str
    licence: str = ""
    parts: dict[str, Held] = Field(default_factory=dict)


@dataclass
class FetchRecord:
    """The record of one data set's folder.

    Attributes:
        root: the data set's folder. The record lies beside it, where `index` does not find it among the data.
        content: what it holds.
    """

    root: Path
    content: _Content = field(repr=False)

    @classmethod
    def open(cls, root: Path, data_set: str) -> FetchRecord:
        """The record of a folder, empty where there is none.

        Raises:
            InputError: it is damaged, or that of another data set.
        """
        file = _beside(root)
        try:
            content = _Content.model_validate(json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls(root, _Content(data_set=data_set))
        except (OSError, ValueError, RecursionError, ValidationError):
            raise InputError(f"{str(file)!r} is damaged; remove it, or give another --out.") from None
        if content.data_set != data_set:
            raise InputError(
                f"{str(root)!r} holds {content.data_set!r}, not {data_set!r}; give another --out."
            )
        return cls(root, content)

    def part(self, part: Part) -> Held | None:
        """What is known of a part; None where it was not fetched."""
        return self.content.parts.get(part.name)

    def folder(self, part: Part) -> Path:
        """Where a part's files lie."""
        return self.root / part.into if part.into else self.root

    def is_whole(self, part: Part) -> bool:
        """Whether a part lies there with at least the files and bytes that were fetched; nothing is read.

        What is there besides is whoever added it's own matter.
        """
        held = self.part(part)
        if held is None:
            return False
        now = contents(self.folder(part), held.entries)
        return 0 < held.files <= now.files and held.bytes <= now.bytes

    def tree_hash(self, part: Part) -> str:
        """The hash of what a part put there, as it is now."""
        held = self.part(part)
        return tree_hash(self.folder(part), None if held is None else held.entries)

    def foreign(self, part: Part, others: Sequence[Part]) -> list[str]:
        """What lies in a part's folder and was not fetched, by its name."""
        folder = self.folder(part)
        if self.part(part) is not None or not folder.is_dir():
            return []
        own = {
            name
            for other in self.content.parts.values()
            if other.folder == part.into
            for name in other.entries
        }
        below = f"{part.into}/" if part.into else ""
        own |= {
            other.into.removeprefix(below).split("/")[0] for other in others if other.into.startswith(below)
        }
        return sorted(each.name for each in folder.iterdir() if each.name not in own)

    def keep(self, part: Part, held: Held) -> None:
        """Write down a part.

        Raises:
            DiskError: it cannot be written.
        """
        self.content.parts[part.name] = held
        self.save()

    def save(self) -> None:
        """Write the record, whole or not at all.

        Raises:
            DiskError: it cannot be written.
        """
        write_json(_beside(self.root), self.content.model_dump())


def _beside(root: Path) -> Path:
    return root.with_name(f"{root.name}.fetched.json")
