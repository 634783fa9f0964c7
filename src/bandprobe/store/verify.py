"""Looking for damage in a store, and setting damaged parts aside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from bandprobe.errors import DiskError, StoreError
from bandprobe.progress import Step
from bandprobe.store.bucket import Bucket, Place
from bandprobe.store.fingerprint import Fingerprint, difference
from bandprobe.store.parts import check_seal, fingerprint_of, matrix, read_part


def damage(parts: Sequence[Place], spec: str, step: Step) -> Iterator[tuple[Place, str]]:
    """What is wrong with the parts of one condition.

    Args:
        parts: every part of the condition.
        spec: the filter that they lie under.
        step: told of each part that was read.

    Yields:
        Each damaged part with what is wrong: other bytes than it was written with, pages that fail their
        checksum, another fingerprint than most of its neighbours' rows have, values that are not finite, or
        images that an earlier part holds.
    """
    sound: dict[Place, tuple[Fingerprint, list[str]]] = {}
    weights: Counter[str] = Counter()
    for part in parts:
        step()
        try:
            check_seal(part)
            mine, table = fingerprint_of(part), read_part(part)
            vectors = matrix(table)
        except StoreError as error:
            yield part, str(error)
            continue
        if mine["filter"] != spec:
            yield part, f"lies under {spec!r} but was made with {mine['filter']!r}"
        elif not np.isfinite(vectors).all():
            yield part, "holds values that are not finite"
        else:
            sound[part] = mine, table.column("image_id").to_pylist()
            weights[json.dumps(mine)] += len(table)
    if not sound:
        return
    usual: Fingerprint = json.loads(weights.most_common(1)[0][0])
    held: set[str] = set()
    for part, (mine, ids) in sound.items():
        twice = len(ids) - len(set(ids) - held)
        if mine != usual:
            yield part, f"made otherwise than its neighbours ({difference(usual, mine)})"
        elif twice:
            yield part, f"holds {twice} images that stand in another part, or twice in it"
        else:
            held.update(ids)


def set_aside(root: Place, part: Place) -> Place:
    """Move a part out of the store, into a folder beside it.

    Args:
        root: the store's folder.
        part: one of its parts.

    Returns:
        Where it lies now.

    Raises:
        DiskError: it cannot be moved.
    """
    below = str(part).removeprefix(str(root)).lstrip("/\\")
    target = root.with_name(f"{root.name}.damaged") / below
    try:
        if isinstance(part, Bucket):
            part.move(Bucket(str(target)))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(str(target))
    except OSError as error:
        raise DiskError(
            f"{str(part)!r} cannot be set aside: {error.strerror or error}. Remove it by hand."
        ) from error
    return target
