"""Pictures in tar files take their place in the tree of folders, as if the files had been unpacked there."""

from __future__ import annotations

from functools import cache

from bandprobe.images.archive import contents_of_all, folders_of
from bandprobe.images.decode import image_extensions
from bandprobe.images.splits import shard_split
from bandprobe.images.tree import Folder


def with_archives(root: Folder) -> Folder:
    """The tree with the pictures of its tar files in it.

    The members' own folders become sub-folders. A split that the file's name tells (`train-000.tar`) is one too.
    A tar file beside loose pictures, or above them, is taken for what they were unpacked from: passed over, like
    one without a picture. A damaged one stands for a picture itself, which is then left out with the reason.
    """
    open_ones: list[tuple[Folder, str]] = []
    for folder in root.walk():
        if folder.count:
            folder.others += len(folder.archives)
            folder.archives = []
        open_ones += [(folder, name) for name in folder.archives]
    if not open_ones:
        return root
    files = [folder.path_of(name) for folder, name in open_ones]
    for (folder, name), file, archive in zip(open_ones, files, contents_of_all(files), strict=True):
        members = archive.pictures(image_extensions())
        if not members and not archive.damage:
            folder.archives.remove(name)
            folder.others += 1
            continue
        split = shard_split(name[: -len(".tar")])
        place = cache(lambda parts, top=folder: top.below(parts))
        at = folder
        for member in members:
            at = place((*filter(None, [split]), *folders_of(member)))
            at.images.append(f"{file}::{member}")
        if archive.damage:
            at.images.append(file)
    root.settle()
    return root
