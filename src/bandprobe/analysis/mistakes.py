"""The most confident mistakes of every probe: reals taken for fakes, and fakes taken for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe.analysis import small_pictures
from bandprobe.errors import FilterError, InputError
from bandprobe.files import replacing
from bandprobe.filters import parse
from bandprobe.images import MAX_PIXELS, parse_colour

FALSE_ALARM, MISS = KINDS = ("false alarm", "miss")
COLUMNS = (
    "encoder", "trained_on", "train_filter", "filter", "kind", "rank", "image_id", "dataset", "generator",
    "family", "probability", "logit", "threshold", "mistakes", "images",
)  # fmt: skip
MOST = 8  # of a kind, shown of each probe under each filter
_LEAST = 4  # shown of each, before pictures go without
_PICTURES = 600  # kept at most
_SIDE, _QUALITY = 96, 55  # of a picture that is kept: some 2 kB
_CELL = ["encoder", "trained_on", "train_filter", "filter"]
_WANTED = (("lowpass", 0.15), ("lowpass", 0.5), ("highpass", 0.15), ("bandpass", 0.325))
_NEAR = 1.7  # a cut-off stands for another that is at most so many times as high or low
_DECIMALS = 6


def shown_filters(cutoffs: Mapping[str, float]) -> list[str]:
    """The conditions worth looking at: unfiltered, identity, and where bands begin.

    Args:
        cutoffs: the run's test filters, each with its cut-off as a fraction of Nyquist, NaN where it has none.

    Returns:
        `none` and `identity` where the run has them, then the Butterworth filters nearest to low-passes at 0.15 and
        0.5 of Nyquist, a high-pass at 0.15 and a band-pass at 0.325; the first filter of a run that has none of these.
    """
    found = [spec for spec in ("none", "identity") if spec in cutoffs]
    for kind, target in _WANTED:
        near = {
            abs(np.log(cutoff / target)): spec
            for spec, cutoff in sorted(cutoffs.items(), reverse=True)
            if cutoff > 0 and _kind(spec) == kind
        }
        if near and min(near) <= np.log(_NEAR):
            found.append(near[min(near)])
    return list(dict.fromkeys(found)) or list(cutoffs)[:1]


def mistakes(
    scores: Path,
    thresholds: pd.DataFrame,
    manifest: pd.DataFrame,
    filters: Sequence[str],
    *,
    most: int = MOST,
) -> pd.DataFrame:
    """What each probe got wrong with the most confidence, over all test images.

    A mistake is one at the threshold that validation chose: a real whose logit is at or above it, a fake whose logit
    is below. Of a probe that was trained under several filters, the one of unfiltered images is asked.

    Args:
        scores: `scores.parquet`.
        thresholds: `confusion.csv`.
        manifest: image_id, label, generator, family and dataset of the images.
        filters: test filters.
        most: of each kind, probe and filter.

    Returns:
        Rows with `COLUMNS`, most confident first (rank 1); `mistakes` is the number of them among `images` of the
        class. Where there is none, one row of rank 0 without an image.

    Raises:
        InputError: a file is damaged or lacks a column.
    """
    missing = [name for name in (*_CELL, "threshold") if name not in thresholds]
    if missing:
        raise InputError(f"confusion.csv lacks the columns {', '.join(missing)}: run the study again.")
    known = thresholds.drop_duplicates(_CELL).astype(dict.fromkeys(_CELL, str))
    known = known[known["filter"].isin(filters) & known["train_filter"].isin(_plain(known))]
    limits = {tuple(row[:4]): float(row[4]) for row in known[[*_CELL, "threshold"]].to_numpy()}
    images = manifest.drop_duplicates("image_id").set_index("image_id")
    label = images["label"].to_numpy()
    cells = {cell: _Cell(limit, most) for cell, limit in limits.items()}
    for cell, place, logits, chances in _rows(scores, limits, images.index):
        there = place >= 0
        cells[cell].add(place[there], label[place[there]], logits[there], chances[there])
    order = {spec: number for number, spec in enumerate(filters)}
    rows = [
        {**dict(zip(_CELL, cell, strict=True)), "threshold": found.threshold, **row}
        for cell, found in sorted(cells.items(), key=lambda item: order[item[0][3]])
        for row in found.rows()
    ]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in _OF_IMAGE] + ["place"])
    place = table.pop("place").to_numpy(np.int64)
    for name, values in (("image_id", images.index), *((name, images[name]) for name in _OF_IMAGE[1:])):
        table[name] = np.where(place >= 0, values.to_numpy(object)[place], "") if len(images) else ""
    table = table[list(COLUMNS)]
    first = list(dict.fromkeys(known["encoder"]))
    return table.sort_values("encoder", key=lambda names: names.map(first.index), kind="stable").reset_index(
        drop=True
    )


_OF_IMAGE = ("image_id", "dataset", "generator", "family")


def write_mistakes(
    path: Path,
    scores: Path,
    thresholds: pd.DataFrame,
    manifest: pd.DataFrame,
    cutoffs: Mapping[str, float],
    *,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    workers: int = 2,
    allowed: Callable[[str], bool] = lambda path: True,
) -> None:
    """Write the table of `mistakes`, and their pictures as a Parquet file of the same name.

    Pictures are no larger than 96 px and at most 600, each kept once, so that a page can hold them. Where the mistakes
    are more, fewer are listed of each probe, down to four; what is then still without a picture keeps its row.

    Args:
        path: of the CSV.
        scores: see `mistakes`.
        thresholds: see `mistakes`.
        manifest: see `mistakes`; with the pictures' paths.
        cutoffs: see `shown_filters`.
        background: what transparent pixels lie on.
        max_pixels: a picture's largest width times height.
        workers: threads.
        allowed: which paths may be read.

    Raises:
        InputError: see `mistakes`.
        DiskError: a file cannot be written.
    """
    table = mistakes(scores, thresholds, manifest, shown_filters(cutoffs))
    shown = table[table["rank"] > 0]
    most = MOST
    while most > _LEAST and shown.loc[shown["rank"] <= most, "image_id"].nunique() > _PICTURES:
        most -= 1
    table = table[table["rank"] <= most]
    wanted = table[table["rank"] > 0].sort_values("rank", kind="stable")["image_id"].unique()[:_PICTURES]
    paths = manifest.drop_duplicates("image_id").set_index("image_id")["path"]
    read = small_pictures.reader(parse_colour(background), max_pixels, allowed)

    def small(image: str) -> bytes | None:
        rgb = read((image, str(paths[image])))
        return None if rgb is None else small_pictures.webp(small_pictures.thumbnail(rgb, _SIDE), _QUALITY)

    found = dict(zip(wanted, small_pictures.each(small, wanted, workers), strict=True))
    kept = {image: data for image, data in found.items() if data is not None}
    pictures = path.with_suffix(".parquet")
    if kept:
        small_pictures.save(pictures, pd.DataFrame({"image_id": list(kept), "webp": list(kept.values())}))
    else:
        pictures.unlink(missing_ok=True)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


@dataclass
class _Cell:
    """A probe under a filter: its mistakes so far, the most confident of each kind."""

    threshold: float
    most: int
    worst: dict[str, list[tuple[float, int, float]]] = field(
        default_factory=lambda: {kind: [] for kind in KINDS}
    )
    mistakes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    images: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def add(self, place: NDArray[np.intp], label: Any, logits: Any, chances: Any) -> None:
        """Some images' scores; `place` is where they stand in the manifest."""
        above = logits >= self.threshold
        for kind, of, wrong, sign in (
            (FALSE_ALARM, label == 0, above, -1.0),
            (MISS, label == 1, ~above, 1.0),
        ):
            rows = np.flatnonzero(of & wrong)
            self.images[kind] += int(of.sum())
            self.mistakes[kind] += len(rows)
            keys = sign * logits[rows]
            some = np.lexsort((place[rows], keys))[: self.most]
            new = [(float(keys[n]), int(place[rows[n]]), float(chances[rows[n]])) for n in some]
            self.worst[kind] = sorted([*self.worst[kind], *new])[: self.most]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of both kinds."""
        for kind, sign in ((FALSE_ALARM, -1.0), (MISS, 1.0)):
            counts = {"kind": kind, "mistakes": self.mistakes[kind], "images": self.images[kind]}
            if not self.worst[kind]:
                yield {**counts, "rank": 0, "place": -1, "probability": np.nan, "logit": np.nan}
            for rank, (key, place, chance) in enumerate(self.worst[kind], 1):
                numbers = {
                    "probability": round(chance, _DECIMALS),
                    "logit": round(sign * key, _DECIMALS) + 0.0,
                }
                yield {**counts, "rank": rank, "place": place, **numbers}


def _plain(known: pd.DataFrame) -> list[str]:
    """The train filter that stands for a probe: none, where there is one; and that of detectors trained elsewhere."""
    given = list(dict.fromkeys(known["train_filter"]))
    elsewhere = known.loc[known["trained_on"] == "external", "train_filter"]
    return [*(["none"] if "none" in given else given[:1]), *elsewhere]


def _rows(
    path: Path, cells: Mapping[tuple[str, ...], float], images: pd.Index[Any]
) -> Iterator[tuple[tuple[str, ...], NDArray[np.intp], Any, Any]]:
    """Of the cells wanted: where the images stand in an index (-1 for none), logits and probabilities."""
    ids: Any = None
    place = np.empty(0, np.intp)
    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                if not _may_hold(file.metadata.row_group(number), cells):
                    continue
                part = file.read_row_group(number, columns=["image_id", *_CELL, "logit", "probability"])
                if ids is None or not ids.equals(part["image_id"]):  # every cell has the same images
                    ids = part["image_id"]
                    place = images.get_indexer(pd.Index(ids.to_pandas()))
                frame = part.drop_columns(["image_id"]).to_pandas().reset_index(drop=True)
                for cell, rows in frame.groupby(_CELL, sort=False, observed=True):
                    if cell in cells:
                        yield (
                            cell,
                            place[rows.index],
                            rows["logit"].to_numpy(),
                            rows["probability"].to_numpy(),
                        )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise InputError(
            f"{path} cannot be read ({' '.join(str(error).split())[:120]}): run the study again."
        ) from error


def _may_hold(group: Any, cells: Mapping[tuple[str, ...], float]) -> bool:
    """Whether a row group may hold a wanted cell, by its statistics: a study writes one cell to each."""
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    stated = [columns[name].statistics for name in _CELL if name in columns]
    if len(stated) < len(_CELL) or not all(one is not None and one.has_min_max for one in stated):
        return True
    return any(
        all(one.min <= text <= one.max for one, text in zip(stated, cell, strict=True)) for cell in cells
    )


def _kind(spec: str) -> str:
    """The kind of a filter of one link that differs from the plain one in cut-off and width alone; else nothing."""
    try:
        found = parse(spec)
    except FilterError:
        return ""
    plain = len(found.steps) == 1 and found.steps[0].order == 1 and not found.steps[0].bits
    return found.kind if plain else ""
