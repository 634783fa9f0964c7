"""Public data sets onto this disk: downloaded, checked, unpacked into the layout that `index` finds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bandprobe import progress
from bandprobe.datasets.downloading import Resumable
from bandprobe.datasets.fetch_record import Archive, FetchRecord, Held
from bandprobe.datasets.published_files import Published, published
from bandprobe.datasets.registry import DataSet, File, Part, load, web_url
from bandprobe.datasets.tree_hash import contents, tree_hash
from bandprobe.datasets.unpacking import is_archive, merge, unpack
from bandprobe.errors import DiskError, InputError
from bandprobe.files import locked, output_folder

_SLACK = 1.05  # bytes unpacked for each byte of an archive of pictures
_GB = 10**9


@dataclass(frozen=True)
class Report:
    """What became of one part.

    Attributes:
        part: its name.
        folder: where its files lie.
        state: `fetched`, `there` (it was before), `planned` or `by hand`.
        files: how many lie there, or would be downloaded.
        bytes: theirs; 0 where that is not known before.
        checks: what was compared, a sentence each.
        by_hand: how to get it where it cannot be fetched.
    """

    part: str
    folder: str
    state: str
    files: int = 0
    bytes: int = 0
    checks: tuple[str, ...] = ()
    by_hand: str = ""


@dataclass(frozen=True)
class Fetched:
    """A data set on this disk.

    Attributes:
        name: the data set's.
        folder: what `index` takes.
        parts: what became of each.
        licence: the terms, as far as the registry or the record names them.
        citation: BibTeX.
        homepage: where its authors present it.
        notes: what whoever uses it should know.
    """

    name: str
    folder: str
    parts: tuple[Report, ...]
    licence: str
    citation: str
    homepage: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    data_set: DataSet
    out: Path
    record: FetchRecord
    server: str | None
    verify: bool
    timeout: float
    wait: float

    def files_of(self, part: Part) -> Published:
        return published(self.data_set, part, server=self.server, timeout=self.timeout)

    def downloads(self, part: Part) -> Path:
        return self.out / f".{self.data_set.folder}.downloads" / part.name


def fetch(
    name: str | Path,
    out: str | Path = "data",
    *,
    subsets: Sequence[str] | None = None,
    server: str | None = None,
    verify: bool = False,
    dry_run: bool = False,
    timeout: float = 60.0,
    wait: float = 1.0,
) -> Fetched:
    """Download a data set, or go on with it where it was stopped.

    Every file is compared with the checksum that the registry or the server's record names. Where neither does, the
    one it came with is kept beside the data, and every later download compared with it. A part whose authors give a
    hash of its folder is compared with that too. What is there already is left as it is.

    Args:
        name: one of `registry.names()`, or the path of a registry file.
        out: the folder that the data set's own is made in.
        subsets: its parts; all that can be fetched when None.
        server: where records are looked up instead of the registry's server.
        verify: hash again what is there.
        dry_run: only look up what would be downloaded.
        timeout: seconds without a byte.
        wait: seconds before a broken connection is tried again.

    Raises:
        InputError: an unknown name or part, a registry or an archive that cannot be used, or a folder in the way.
        DiskError: the network or the disk failed, or what came is not what was published.
    """
    data_set = load(name)
    parts = data_set.chosen(list(subsets) if subsets is not None else None)
    try:
        server = None if server is None else web_url(server)
    except ValueError as error:
        raise InputError(f"--server: {error}.") from None
    root = Path(out) / data_set.folder
    job = _Job(data_set, Path(out), FetchRecord.open(root, data_set.name), server, verify, timeout, wait)
    if dry_run:
        reports = tuple(_planned(job, part) for part in parts)
    else:
        output_folder(out)
        with locked(Path(out) / f".{data_set.folder}.lock" / "lock", timeout=1.0):
            reports = tuple(_made(job, part) for part in parts)
    licence = data_set.licence or job.record.content.licence
    return Fetched(
        data_set.name,
        str(root),
        reports,
        licence,
        data_set.citation.strip(),
        data_set.homepage,
        data_set.notes,
    )


def _planned(job: _Job, part: Part) -> Report:
    folder = str(job.record.folder(part))
    if part.by_hand:
        return Report(part.name, folder, "by hand", by_hand=part.by_hand)
    if job.record.is_whole(part):
        return _there(job, part)
    files = job.files_of(part).files
    return Report(part.name, folder, "planned", len(files), sum(file.size or 0 for file in files))


def _made(job: _Job, part: Part) -> Report:
    record = job.record
    if part.by_hand:
        return Report(part.name, str(record.folder(part)), "by hand", by_hand=part.by_hand)
    if record.is_whole(part):
        return _there(job, part, _unchanged(job, part) if job.verify else ())
    if job.verify and record.part(part) is not None:
        raise DiskError(
            f"{record.folder(part)} is not as it was when it was fetched; the same command without --verify "
            "fetches it anew."
        )
    if foreign := record.foreign(part, job.data_set.parts):
        return _adopted(job, part, foreign)
    return _fetched(job, part)


def _there(job: _Job, part: Part, checks: Sequence[str] = ()) -> Report:
    held = job.record.part(part)
    files, size = (held.files, held.bytes) if held else (0, 0)
    return Report(part.name, str(job.record.folder(part)), "there", files, size, tuple(checks))


def _unchanged(job: _Job, part: Part) -> tuple[str, ...]:
    held = job.record.part(part)
    now = job.record.tree_hash(part)
    if held is not None and now not in (held.tree_sha1, part.tree_sha1):
        raise DiskError(
            f"{job.record.folder(part)} has changed: its tree hash is {now}, and was {held.tree_sha1} when it was "
            "fetched. Remove it, and the same command fetches it anew."
        )
    return _by_authors(part, job.data_set, now) or (f"unchanged since it was fetched (tree hash {now})",)


def _adopted(job: _Job, part: Part, foreign: Sequence[str]) -> Report:
    """A folder that somebody has put there: taken for the part where its authors' hash says that it is."""
    folder = job.record.folder(part)
    if not part.tree_sha1 or (now := tree_hash(folder)) != part.tree_sha1:
        raise InputError(
            f"{str(folder)!r} holds {foreign[0]!r} already, which was not fetched by this command; give another "
            "--out, or move it."
        )
    size = contents(folder, foreign)
    job.record.keep(
        part,
        Held(folder=part.into, entries=list(foreign), files=size.files, bytes=size.bytes, tree_sha1=now),
    )
    return _there(job, part, _by_authors(part, job.data_set, now))


def _fetched(job: _Job, part: Part) -> Report:
    record, found = job.record, job.files_of(part)
    record.content.licence = record.content.licence or found.licence
    if len({file.name for file in found.files}) < len(found.files):
        raise InputError(
            f"{job.data_set.name}'s part {part.name!r} has two files of one name; give each a `name`."
        )
    downloads = output_folder(job.downloads(part))
    _check_space(job, part, found)
    archives = {file.name: _download(job, part, file) for file in found.files}
    staged = job.out / f".{job.data_set.folder}.{part.name}.partial"
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        for name in archives:
            if is_archive(name):
                unpack(downloads / name, staged, part.strip)
            else:
                shutil.copyfile(downloads / name, staged / name)
        size, hashed = contents(staged), tree_hash(staged)
        checks = (*_of_archives(archives), *_by_authors(part, job.data_set, hashed))
        held = Held(
            folder=part.into,
            entries=sorted(each.name for each in staged.iterdir()),
            files=size.files,
            bytes=size.bytes,
            tree_sha1=hashed,
            archives=archives,
        )
        record.keep(part, held)  # before it is moved: what is cut short is then known as this part's
        merge(staged, record.folder(part))
        shutil.rmtree(downloads)
        if not any(downloads.parent.iterdir()):
            downloads.parent.rmdir()
    except OSError as error:
        if isinstance(error, DiskError):
            raise
        raise DiskError(
            f"{record.folder(part)} cannot be written: {error.strerror or error}. Free the disk; what was downloaded "
            "is kept."
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Report(part.name, str(record.folder(part)), "fetched", size.files, size.bytes, checks)


def _download(job: _Job, part: Part, file: File) -> Archive:
    """One file into the folder of downloads, compared with its checksum."""
    import pooch

    held = job.record.part(part)
    earlier = held.archives.get(file.name) if held else None
    first = earlier.checksum if earlier and earlier.url == file.url and not file.checksum else ""
    known = file.checksum or first
    folder = job.downloads(part)
    target = folder / file.name
    if target.exists() and known and not pooch.hashes.hash_matches(str(target), known):
        target.unlink()
    if not target.exists():
        pooch.get_logger().setLevel("ERROR")
        downloader = Resumable(
            folder / f"{file.name}.part", file.size, bool(known), wait=job.wait, timeout=job.timeout
        )
        try:
            pooch.retrieve(file.url, known or None, fname=file.name, path=folder, downloader=downloader)
        except ValueError as error:
            if isinstance(error, InputError) or "does not match" not in str(error):
                raise
            what = "what it was when it was first fetched" if first else "what its authors published"
            raise DiskError(
                f"{file.url} is not {what} ({known}); it was removed. Run again, or ask them."
            ) from None
    return Archive(
        url=file.url,
        bytes=target.stat().st_size,
        checksum=known or f"sha256:{_sha256(target)}",
        checksum_from="published" if file.checksum else "first use",
    )


def _of_archives(archives: dict[str, Archive]) -> tuple[str, ...]:
    return tuple(
        f"{name}: as published ({one.checksum})"
        if one.checksum_from == "published"
        else f"{name}: no checksum is published; {one.checksum} was recorded for the next time"
        for name, one in archives.items()
    )


def _by_authors(part: Part, data_set: DataSet, now: str) -> tuple[str, ...]:
    """What the authors' hash of a part's folder says of the hash it has.

    Raises:
        DiskError: it is another part.
    """
    label = part.into or data_set.folder
    if not part.tree_sha1:
        return ()
    if now == part.tree_sha1:
        return (f"{label}: every file is its authors' (tree hash {now})",)
    if part.tree_needs:
        return (f"{label}: tree hash {now}; its authors' is {part.tree_sha1}, with {part.tree_needs}",)
    raise DiskError(
        f"{data_set.name}'s part {part.name!r} is not what its authors published: its tree hash is {now}, and theirs "
        f"{part.tree_sha1}. Nothing was put in its place."
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_space(job: _Job, part: Part, found: Published) -> None:
    """See that a part fits the disk, its archives and what is in them together."""
    total = sum(file.size or 0 for file in found.files)
    held = sum(path.stat().st_size for path in job.downloads(part).iterdir())
    need, free = total * (1 + _SLACK) - held, shutil.disk_usage(job.out).free
    name = f"{job.data_set.name}, part {part.name}"
    if need > free:
        raise DiskError(
            f"{name} needs {need / _GB:,.1f} GB more in {str(job.out)!r}, with what is unpacked, and "
            f"{free / _GB:,.1f} GB are free; free some, or give another --out."
        )
    if total:
        progress.say(f"{name}: {len(found.files)} files, {total / _GB:,.2f} GB")
