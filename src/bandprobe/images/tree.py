"""The tree of folders that the layouts are told from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bandprobe.images.found import clean_name

TABLE_EXTENSIONS = frozenset({".csv", ".tsv", ".txt", ".parquet", ".arrow"})
ARCHIVE_EXTENSION = ".tar"
DEEPEST = 100  # folders in folders

_IGNORED_FOLDERS = frozenset({"__MACOSX", "@eaDir"})


@dataclass
class Folder:
    """One folder of a tree.

    Attributes:
        path: absolute and POSIX, or a URL.
        images: the image files directly in it, sorted: their names, or, of pictures in a tar file whose place in
            the tree this is, whole paths `FILE.tar::MEMBER`.
        tables: names of the CSV, Parquet and Arrow files directly in it, sorted.
        archives: names of the tar files directly in it, sorted; the whole path of one that stands for the folder.
        others: how many other files there are directly in it.
        folders: its sub-folders, sorted by name.
        count: images in it and in everything below.
    """

    path: str
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    others: int = 0
    folders: list[Folder] = field(default_factory=list)
    count: int = 0

    @property
    def name(self) -> str:
        """The folder's own name."""
        return clean_name(self.path.rsplit("/", 1)[-1]) or self.path

    @property
    def filled(self) -> list[Folder]:
        """The sub-folders with at least one image in or below them."""
        return [folder for folder in self.folders if folder.count]

    def paths(self) -> tuple[str, ...]:
        """Every image in it and below, folder after folder."""
        return tuple(folder.path_of(name) for folder in self.walk() for name in folder.images)

    def path_of(self, name: str) -> str:
        """The whole path of one of its images, tables or archives."""
        return name if "/" in name else f"{self.path}/{name}"  # a file's own name holds no slash

    def walk(self) -> Iterator[Folder]:
        """The folder itself and everything below, parents first."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def put(self, name: str, images: frozenset[str]) -> None:
        """Take a file that lies directly in the folder for what its ending says.

        Args:
            name: its name.
            images: the endings of image files.
        """
        ending = extension(name)
        if ending in images:
            self.images.append(name)
        elif ending in TABLE_EXTENSIONS:
            self.tables.append(name)
        elif ending == ARCHIVE_EXTENSION:
            self.archives.append(name)
        else:
            self.others += 1

    def below(self, names: Sequence[str]) -> Folder:
        """The folder that some names, one in the other, lead to; made where it is missing."""
        here = self
        for name in names:
            path = f"{here.path.rstrip('/')}/{name}"
            found = next((each for each in here.folders if each.path == path), None)
            if found is None:
                found = Folder(path)
                here.folders.append(found)
            here = found
        return here

    def settle(self) -> int:
        """Sort what is in it and everything below, and count the images."""
        self.images.sort()
        self.tables.sort()
        self.archives.sort()
        self.folders.sort(key=lambda each: each.path)
        self.count = len(self.images) + sum(each.settle() for each in self.folders)
        return self.count


def extension(name: str) -> str:
    """`.png` of `A.PNG`; empty when a name has no full stop."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def is_passed_over(name: str) -> bool:
    """Whether a file or folder is none of the data: hidden, or an operating system's own."""
    return name.startswith(".") or name in _IGNORED_FOLDERS
