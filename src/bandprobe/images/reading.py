"""Identity and size of many pictures: decoded side by side, or known from an earlier manifest."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from bandprobe import progress, remote
from bandprobe.errors import ImageError
from bandprobe.images import embedded
from bandprobe.images.decode import Colour, image_id, read
from bandprobe.images.places import missing, status
from bandprobe.images.thumbnails import SMALLEST, Grey, thumbnail

_FAR = 16  # threads at least, where files come over the network


@dataclass(frozen=True)
class Facts:
    """What a manifest keeps of a picture: its identity, its size after orientation, its file.

    `mtime_ns` is the file's, for a picture in a table or a tar file that one's; `file_bytes` is the encoded picture's.
    """

    image_id: str
    width: int
    height: int
    format: str
    file_bytes: int
    mtime_ns: int


def facts_of(
    path: str,
    background: Colour,
    max_pixels: int,
    greys: MutableMapping[str, Grey] | None = None,
    changed: int | None = None,
) -> Facts | str:
    """A picture's facts, or the reason why it cannot be used; its thumbnail goes into `greys`.

    `changed` is its file's time of change where that is known already.
    """
    try:
        if changed is None:
            changed = status(embedded.holder(path)).mtime_ns
        decoded = read(path, background=background, max_pixels=max_pixels)
    except ImageError as error:
        return str(error)
    except FileNotFoundError:
        return missing(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    height, width = decoded.rgb.shape[:2]
    identity = image_id(decoded.rgb)
    if greys is not None and min(height, width) >= SMALLEST:
        greys[identity] = thumbnail(decoded.rgb)
    return Facts(identity, width, height, decoded.format, decoded.file_bytes, changed)


def facts_of_all(
    paths: Sequence[str],
    *,
    background: Colour,
    max_pixels: int,
    workers: int | None = None,
    known: Mapping[str, Facts] | None = None,
    greys: MutableMapping[str, Grey] | None = None,
) -> list[Facts | str]:
    """`facts_of` for many pictures, in the order given.

    Args:
        paths: files or URLs, `FILE::ROW` or `FILE::MEMBER`.
        background: see `decode`.
        max_pixels: see `decode`.
        workers: threads; one per core (32 at most) when None.
        known: facts by path, taken over for files that have not changed since.
        greys: gets the thumbnail of each picture that is read, by image id.
    """
    far = remote.statuses([file for file in map(embedded.holder, paths) if remote.is_remote(file)])
    results: list[Facts | str] = [""] * len(paths)
    to_read = []
    for at, path in enumerate(paths):
        facts = (known or {}).get(path)
        if facts is not None and facts.width * facts.height <= max_pixels and _unchanged(path, facts, far):
            results[at] = facts
        else:
            to_read.append(at)
    threads = workers or min(32, os.cpu_count() or 1)
    if far:
        threads = max(threads, _FAR)  # they wait for the network more than they compute
    waiting: deque[tuple[int, Future[Facts | str]]] = deque()
    with warnings.catch_warnings(), progress.bar("index", len(to_read)) as step:
        # Pillow warns of odd metadata and large sizes; what matters is in each picture's reason.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:

            def take() -> None:
                at, future = waiting.popleft()
                results[at] = future.result()
                step()

            for at in to_read:
                known_change = far.get(embedded.holder(paths[at]))
                changed = known_change.mtime_ns if known_change else None
                waiting.append((at, pool.submit(facts_of, paths[at], background, max_pixels, greys, changed)))
                if len(waiting) > 8 * threads:
                    take()
            while waiting:
                take()
    return results


def _unchanged(path: str, facts: Facts, far: Mapping[str, remote.Status]) -> bool:
    file = embedded.holder(path)
    try:
        found = far.get(file) if remote.is_remote(file) else status(file)
    except OSError:
        return False
    if found is None:
        return False
    return found.mtime_ns == facts.mtime_ns and (embedded.is_inside(path) or found.size == facts.file_bytes)
