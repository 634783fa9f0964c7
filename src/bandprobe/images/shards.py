"""Data sets in tar files whose members themselves say what each picture is (WebDataset): `.json`, `.cls`, `.txt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bandprobe.images.archive import contents_of_all, key_of
from bandprobe.images.column_roles import roles
from bandprobe.images.decode import image_extensions
from bandprobe.images.families import is_known
from bandprobe.images.found import Group
from bandprobe.images.table_rows import groups_of, is_label
from bandprobe.images.tables import rows_of

Fields = Mapping[str, str]


def read_tars(shards: Sequence[tuple[str, str]], folder: str, place: Sequence[str]) -> list[Group] | None:
    """The groups of several tar files that are one data set.

    A picture belongs to the other members of its name up to the first full stop. A `.json` there names label,
    generator, split, data set and family as a table's columns do; where it names neither label nor generator, a
    `.cls` or a `.txt` may: 0 or 1, real or fake, or a generator. Texts and classes that say what is to be seen say
    nothing here.

    Args:
        shards: (split, file) pairs; an empty split where none is known.
        folder: the data set's folder, which names it.
        place: the parts of its path.

    Returns:
        None where no member says which pictures are real.

    Raises:
        InputError: some pictures are said to be real or fake and others are not.
    """
    archives = contents_of_all([file for _, file in shards])
    pictures = [archive.pictures(image_extensions()) for archive in archives]
    told = _with_labels(
        [
            [archive.fields.get(key_of(name)[0], {}) for name in names]
            for archive, names in zip(archives, pictures, strict=True)
        ]
    )
    columns = list(dict.fromkeys(name for of in told for fields in of for name in fields))
    role = {what: name for what, name in roles(columns).items() if what != "path"}
    if "label" not in role and "generator" not in role:
        return None
    groups: list[Group] = []
    for split in dict.fromkeys(split for split, _ in shards):
        rows = []
        lost = []
        for (of, file), archive, names, fields in zip(shards, archives, pictures, told, strict=True):
            if of != split:
                continue
            cells = {name: [each.get(name, "") for each in fields] for name in columns}
            rows += rows_of(file, [f"{file}::{name}" for name in names], cells, role)
            lost += [file] if archive.damage else []
        if rows:
            found = groups_of(rows, folder, folder.rpartition("/")[2], place, split)
            # A damaged file is left out with its reason, as a picture is.
            groups += [*found[:-1], replace(found[-1], paths=(*found[-1].paths, *lost))]
    return groups or None


def _with_labels(told: Sequence[Sequence[Fields]]) -> list[list[Fields]]:
    """The fields with `cls` or `txt` as the label where these tell real from fake, and without them where not."""
    every = [fields for of in told for fields in of]
    label = next((name for name in ("cls", "txt") if _are_labels([f[name] for f in every if name in f])), "")

    def labelled(fields: Fields) -> Fields:
        plain = {name: text for name, text in fields.items() if name not in {"cls", "txt"}}
        if label in fields and not {"label", "generator"} & set(roles(list(plain))):
            plain["label"] = fields[label]
        return plain

    return [[labelled(fields) for fields in of] for of in told]


def _are_labels(texts: Sequence[str]) -> bool:
    return bool(texts) and all(is_label(text) or is_known(text) for text in set(texts))
