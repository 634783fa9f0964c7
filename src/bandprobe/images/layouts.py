"""From the paths a user gives to groups of images: finds the layout, opens no picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bandprobe.errors import InputError, did_you_mean
from bandprobe.images import folder_layouts, tables
from bandprobe.images.archive import is_archive
from bandprobe.images.decode import image_extensions
from bandprobe.images.families import is_real
from bandprobe.images.found import Found, Group, clean_name, with_distinct_datasets, with_one_spelling
from bandprobe.images.path_lists import STANDARD_INPUT, listed, standard_input, tree_of
from bandprobe.images.places import absolute, is_folder, is_there, missing
from bandprobe.images.roots import are_classes, named_root, root, separate_roots
from bandprobe.images.shards import read_tars
from bandprobe.images.splits import split_word
from bandprobe.images.tree import TABLE_EXTENSIONS, Folder, extension
from bandprobe.images.walk import scan
from bandprobe.remote import is_remote

LAYOUTS = ("auto", "ricker", "forensynths", "genimage", "folders", "table", "roots")

Source = str | Path

_EXPECTED = {
    "ricker": "<root>/test/{Real,<generator>...}, and perhaps <root>/{train,val}/<generator>/{0_real,1_fake}",
    "forensynths": "<root>/[{train,val,test}/]<generator>/[<class>/]{0_real,1_fake}",
    "genimage": "<root>/[<generator>/]imagenet_ai_<mmdd>_<generator>/{train,val}/{ai,nature}",
    "folders": "<root>/[{train,val,test}/]{Real,<generator>...}",
    "table": "a CSV, Parquet or Arrow file, a tar file whose members say what each picture is, or a folder of them",
    "roots": "a folder of reals and one folder for each generator",
}
_Reader = Callable[[Folder], "list[Group] | None"]
_AUTO: tuple[_Reader, ...] = (
    folder_layouts.genimage,
    folder_layouts.forensynths,
    folder_layouts.ricker,
    folder_layouts.image_folders,
)
_EXPLICIT: dict[str, _Reader] = {
    "ricker": lambda folder: folder_layouts.ricker(folder, exact=True),
    "forensynths": lambda folder: folder_layouts.forensynths(folder, exact=False),
    "genimage": folder_layouts.genimage,
    "folders": folder_layouts.image_folders,
}


def find(
    data: Source | Sequence[Source] = (),
    layout: str = "auto",
    real: Source | Sequence[Source] | None = None,
    fakes: Mapping[str, Source | Sequence[Source]] | None = None,
) -> Found:
    """The groups of images in a study's data.

    Args:
        data: folders, tar files, tables (CSV, TSV, Parquet, Arrow, a manifest), or `NAME=FOLDER` for one
            generator's fakes (`Real=FOLDER` for reals); paths or URLs (`s3://bucket/folder`). `-` is a list on
            standard input, as a text file of paths is: their folders tell what is what.
        layout: `auto`, or the one layout that everything in `data` has: `ricker`, `forensynths`,
            `genimage`, `folders`, `table`, `roots`.
        real: folders of real images, for the layout `roots`.
        fakes: generator to its folders, for the layout `roots`.

    Raises:
        InputError: a path does not exist, holds no image, fits no layout or not the one asked for, or a
            data set lacks its reals or its fakes.
        DiskError: a folder cannot be read.
    """
    if layout not in LAYOUTS:
        raise InputError(
            f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}.{did_you_mean(layout, LAYOUTS)}"
        )
    sources = _as_list(data)
    if not sources and not real and not fakes:
        raise InputError("no data given; name a folder, a table, or NAME=FOLDER for each generator.")
    named = [pair for pair in map(named_root, sources) if pair]
    plain = list(dict.fromkeys(_existing(source) for source in sources if named_root(source) is None))
    folders = {path: scan(path) for path in plain if path != STANDARD_INPUT and _is_tree(path)}
    texts = {path: _text(path) for path in plain if _is_text(path) and path not in folders}
    lists = {path: paths for path, text in texts.items() if (paths := listed(text, path)) is not None}
    folders |= {path: tree_of(paths) for path, paths in lists.items()}
    for folder in folders.values():
        _check_holds_something(folder)
    by_root = (
        layout == "roots" or bool(named) or bool(real) or bool(fakes) or are_classes(list(folders.values()))
    )
    if by_root and layout not in {"auto", "roots"}:
        raise InputError(f"separate roots are the layout 'roots'; got layout {layout!r}. Leave it out.")
    if by_root:
        groups = _separate(plain, folders, named, _as_list(real), fakes or {})
    else:
        groups = [group for source in _merged(plain, folders) for group in _read(source, layout, texts)]
    groups, notes = with_one_spelling(with_distinct_datasets([group for group in groups if group.paths]))
    _check_classes(groups, list(folders.values()))
    return Found(
        tuple(groups),
        (*_ignored(list(folders.values()), groups), *notes),
        tuple(path for path in plain if tables.is_manifest(path)),
        {path: tuple(paths) for path, paths in lists.items() if path != STANDARD_INPUT},
    )


def _as_list(sources: Source | Sequence[Source] | None) -> list[str]:
    if sources is None:
        return []
    if isinstance(sources, (str, Path)):
        return [str(sources)]
    return [str(source) for source in sources]


def _is_tree(path: str) -> bool:
    return is_archive(path) or is_folder(path)


def _is_text(path: str) -> bool:
    return path == STANDARD_INPUT or extension(path) in tables.TEXT_EXTENSIONS


def _text(path: str) -> str:
    return standard_input() if path == STANDARD_INPUT else tables.read_text(path)


def _existing(source: str) -> str:
    if source == STANDARD_INPUT:
        return source
    path = absolute(source)
    if not is_there(path):
        if is_remote(path):
            raise InputError(f"{missing(path)}; see that the URL is right and that you may read it.")
        raise InputError(f"no such file or folder: {source!r} (looked for {path}).")
    return path


def _check_holds_something(folder: Folder) -> None:
    if folder.count or any(each.tables for each in folder.walk()):
        return
    others = sum(each.others for each in folder.walk())
    beside = f"; its {others} files have endings that no image format uses" if others else ""
    raise InputError(f"no image found in {folder.path!r}{beside}. Is it the right folder?")


# --- one source -------------------------------------------------------------------------------------


def _merged(plain: Sequence[str], folders: Mapping[str, Folder]) -> list[str | Folder]:
    """`x/train x/test` given as two folders are the one folder `x` with these two splits."""
    by_parent: dict[str, list[Folder]] = {}
    for folder in folders.values():
        if split_word(folder.name):
            by_parent.setdefault(_above(folder.path), []).append(folder)
    together = {parent: parts for parent, parts in by_parent.items() if len(parts) > 1}
    result: list[str | Folder] = []
    for path in plain:
        parts = together.get(_above(path), []) if path in folders else []
        if folders.get(path) not in parts:
            result.append(folders.get(path, path))
        elif parts[0].path == path:
            count = sum(part.count for part in parts)
            result.append(Folder(_above(path), folders=parts, count=count))
    return result


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _read(source: str | Folder, layout: str, texts: Mapping[str, str]) -> list[Group]:
    if isinstance(source, str):
        return _read_file(source, layout, texts.get(source))
    if layout == "auto":
        groups = _saved(source)
        for reader in _AUTO:
            groups = groups or reader(source)
        groups = groups or _tables_in(source)
    elif layout == "table":
        groups = _saved(source) or _tables_in(source)
    else:
        groups = _EXPLICIT[layout](source)
    if groups:
        return groups
    what = "no layout fits" if layout == "auto" else f"layout {layout!r} does not fit"
    expected = _EXPECTED["folders"] if layout == "auto" else _EXPECTED[layout]
    way_out = "" if layout == "auto" else "layout 'auto', "
    raise InputError(
        f"{what} {source.path!r}: it holds {_contents(source)}; expected {expected} "
        f"(Real may also be called real, 0_real or nature). Or use {way_out}a CSV of paths and labels, or "
        "separate roots: --real FOLDER NAME=FOLDER."
    )


def _contents(folder: Folder) -> str:
    names = [each.name for each in folder.folders]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    pictures = f"{len(folder.images)} images directly" if folder.images else ""
    return " and ".join(filter(None, [pictures, f"the folders {shown}" if names else ""])) or "no folder"


def _read_file(path: str, layout: str, text: str | None) -> list[Group]:
    if layout not in {"auto", "table"}:
        raise InputError(
            f"layout {layout!r} is one of folders; got the file {path!r}. Expected {_EXPECTED[layout]}."
        )
    ending = extension(path)
    if text is not None or ending in TABLE_EXTENSIONS:
        return tables.read_table(path, text)
    if ending in image_extensions():
        raise InputError(f"{path!r} is one image; give the folder that holds its class folders, or a table.")
    raise InputError(
        f"{path!r} is neither a folder nor a table; tables end in .csv, .tsv, .parquet or .arrow, and tar files "
        "must not be compressed (.tar)."
    )


def _saved(folder: Folder) -> list[Group] | None:
    shards = tables.saved_dataset(folder.path)
    return tables.read_shards(shards, folder.path) if shards else None


def _tables_in(folder: Folder) -> list[Group] | None:
    """Parquet or Arrow files anywhere below, else tar files that say what they hold, else the text tables in it."""
    inside = [each.path_of(name) for each in folder.walk() for name in each.tables]
    shards = [path for path in inside if path.endswith((".parquet", ".arrow")) and not tables.is_cached(path)]
    if shards:
        return tables.read_shards(
            [(tables.split_of_shard(path, folder.path), path) for path in shards], folder.path
        )
    archives = [each.path_of(name) for each in folder.walk() for name in each.archives]
    tars = [(tables.split_of_shard(path, folder.path), path) for path in archives]
    told = read_tars(tars, folder.path, folder_layouts.parts(folder.path)) if tars else None
    if told:
        return told
    texts = [name for name in folder.tables if not name.endswith(".txt")] or folder.tables
    groups = [group for name in texts for group in tables.read_table(f"{folder.path}/{name}")]
    if len(texts) == 1:  # metadata.csv beside its images: the folder names the data set
        place = folder_layouts.parts(folder.path)
        groups = [replace(each, dataset=folder.name, place=place) if each.place else each for each in groups]
    return groups or None


# --- separate roots -----------------------------------------------------------------------------------


def _separate(
    plain: Sequence[str],
    folders: Mapping[str, Folder],
    named: Sequence[tuple[str, str]],
    real: Sequence[str],
    fakes: Mapping[str, Source | Sequence[Source]],
) -> list[Group]:
    for path in plain:
        if path not in folders:
            raise InputError(f"separate roots must be folders; got the file {path!r}.")
    for name in fakes:
        if is_real(name):
            raise InputError(f"fakes names {name!r}, a word for real images; give that folder as real.")
    reals = [root(each) for each in [*real, *(each for name, each in named if is_real(name))]]
    by_name: dict[str, list[Folder]] = {}
    for name, each in [*named, *((name, each) for name, group in fakes.items() for each in _as_list(group))]:
        if not is_real(name):
            by_name.setdefault(clean_name(name), []).append(root(each))
    return separate_roots(list(folders.values()), reals, by_name)


# --- what the groups must hold, and what was passed over ----------------------------------------------


def _check_classes(groups: Sequence[Group], folders: Sequence[Folder]) -> None:
    if not groups:
        raise InputError("no image found; every class folder is empty.")
    for dataset in dict.fromkeys(group.dataset for group in groups):
        for label, kind in ((0, "real"), (1, "generated")):
            if any(group.label == label for group in groups if group.dataset == dataset):
                continue
            empty = _empty_class(folders, label)
            where = f"; the folder {empty!r} holds none" if empty else ""
            raise InputError(
                f"dataset {dataset!r} has no {kind} image{where}. "
                "Every dataset needs reals and fakes: add them, or leave the dataset out."
            )


def _empty_class(folders: Sequence[Folder], label: int) -> str | None:
    for folder in folders:
        for each in folder.walk():
            if not each.count and not each.folders and is_real(each.name) == (label == 0):
                return each.path
    return None


def _ignored(folders: Sequence[Folder], groups: Sequence[Group]) -> list[str]:
    if any(group.layout == "table" for group in groups):
        return []
    notes = []
    others = sum(each.others + len(each.tables) for folder in folders for each in folder.walk())
    if others:
        notes.append(f"{_files(others)} with endings that no image format uses were passed over")
    unused = sum(folder.count for folder in folders) - sum(len(group.paths) for group in groups)
    if unused > 0:
        notes.append(f"{_files(unused)} with images beside the class folders belong to no class: not used")
    empty = [each.path for folder in folders for each in folder.walk() if not each.count and not each.folders]
    if empty:
        more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        notes.append(f"no image in {', '.join(empty[:3])}{more}")
    return notes


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"
