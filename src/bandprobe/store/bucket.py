"""A store's folder on object storage, with as much of `pathlib.Path` as a store needs."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from bandprobe.remote import failures, filesystem, is_remote, listing, normal, open_file

Place: TypeAlias = "Path | Bucket"


def place(root: str | Path | Bucket) -> Place:
    """A folder on a disk, or on object storage where the text is a URL."""
    if isinstance(root, str) and is_remote(root):
        return Bucket(normal(root))
    return root if isinstance(root, Bucket) else Path(root)


def opened(part: Place) -> Any:
    """What pyarrow reads a part from."""
    return part if isinstance(part, Path) else open_file(str(part))


@dataclass(frozen=True, order=True)
class Bucket:
    """A URL such as `s3://bucket/store`, or of something below one. There are no folders, only objects' names."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Bucket:
        return Bucket(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> Bucket:
        """What stands before the last slash."""
        return Bucket(self.url.rpartition("/")[0])

    @property
    def parents(self) -> list[Bucket]:
        """The parent, its parent, and so on up to the bucket."""
        found = [self.parent]
        while "://" in found[-1].parent.url and not found[-1].parent.url.endswith("/"):
            found.append(found[-1].parent)
        return found

    def with_name(self, name: str) -> Bucket:
        """Its neighbour of that name."""
        return self.parent / name

    def glob(self, pattern: str) -> Iterator[Bucket]:
        """The objects below that match a pattern, slash by slash; one listing.

        Raises:
            DiskError: it cannot be listed.
        """
        wanted = pattern.split("/")
        try:
            names = listing(self.url)
        except FileNotFoundError:
            return
        for name in names:
            words = name.split("/")
            if len(words) == len(wanted) and all(map(fnmatch.fnmatchcase, words, wanted)):
                yield self / name

    def is_dir(self) -> bool:
        """Object storage has no folders that could be missing."""
        return True

    def mkdir(self, **_: Any) -> None:
        """Nothing: see `is_dir`."""

    def open(self, _: str = "rb") -> Any:
        """The object, for reading."""
        return open_file(self.url)

    def put(self, content: bytes) -> None:
        """Store an object, whole or not at all: it appears when its upload is complete.

        Raises:
            OSError: it could not be stored.
        """
        system, path = filesystem(self.url)
        with failures(self.url):
            stream = system.open_output_stream(path)
            # All in one write, and no `with`: closing completes an upload, and so does forgetting a stream, whatever
            # was written to it. Where a piece fails within the write, pyarrow itself refuses to complete.
            stream.write(content)
            stream.close()
            if (held := system.get_file_info(path).size) != len(content):
                system.delete_file(path)
                raise OSError(f"{held} of {len(content)} bytes arrived")

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        system, path = filesystem(self.url)
        try:
            with failures(self.url):
                system.delete_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def copy_from(self, other: Place) -> None:
        """The bytes of another place."""
        with other.open("rb") as stream:
            self.put(stream.read())

    def move(self, target: Bucket) -> None:
        """Give the object another name."""
        target.copy_from(self)
        self.unlink()
