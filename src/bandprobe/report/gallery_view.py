"""The most confident mistakes as the page shows them: numbers for its script, and each picture once."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.analysis import small_pictures
from bandprobe.analysis.mistakes import COLUMNS, FALSE_ALARM, KINDS
from bandprobe.errors import InputError
from bandprobe.report.arrangement import family_label, training_label
from bandprobe.report.sweeps import CONTROLS

LISTED = 60_000  # rows at most; a page is not the place for more
_WORDS = {"none": "none (unfiltered)", "identity": "identity (a mask of ones)"}


@dataclass(frozen=True)
class Choice:
    """One entry of a select: what it stands for, and what it says."""

    value: str
    label: str


@dataclass(frozen=True)
class GalleryView:
    """The gallery's selects and data.

    Attributes:
        encoders, probes, filters: to choose from.
        start: the probe shown first.
        most: mistakes listed of each kind.
        pictures: how many images have a picture.
        images: how many there are.
        data: for the page's script: `images` (id, source and family, and a picture or null), and `cells` by the places
            of encoder, probe and filter joined with `|`: for either kind the number of mistakes, that of images, and
            the images' places with probabilities.
    """

    encoders: list[Choice]
    probes: list[Choice]
    filters: list[Choice]
    start: int
    most: int
    pictures: int
    images: int
    data: dict[str, Any]

    @property
    def characters(self) -> int:
        """What the data takes in the page."""
        return len(json.dumps(self.data))


def gallery_view(folder: Path) -> GalleryView | None:
    """The gallery of a run; None where it has no `mistakes.csv`.

    Raises:
        InputError: the file is damaged.
    """
    table = _read(folder / "mistakes.csv")
    if table is None or table.empty:
        return None
    shown = table[table["rank"] > 0]
    images = shown.drop_duplicates("image_id").set_index("image_id")
    place = {image: number for number, image in enumerate(images.index)}
    kept = small_pictures.load(folder / "mistakes.parquet", ["image_id"])
    pictures = {
        image: data for image, data in zip(kept["image_id"], kept["webp"], strict=True) if image in place
    }
    several = table["dataset"].nunique() > 2  # the empty one of rows without an image among them
    listed = [
        [
            image,
            f"{row['generator']} · {row['dataset']}" if several else row["generator"],
            "" if row["kind"] == FALSE_ALARM else family_label(row["family"]),
            webp_address(pictures[image]) if image in pictures else None,
        ]
        for image, row in images.iterrows()
    ]
    names = {name: list(dict.fromkeys(table[name])) for name in ("encoder", "trained_on", "filter")}
    cells: dict[str, dict[str, Any]] = {}
    for (encoder, probe, spec, kind), rows in table.groupby(
        ["encoder", "trained_on", "filter", "kind"], sort=False
    ):
        key = "|".join(
            str(names[name].index(value)) for name, value in zip(names, (encoder, probe, spec), strict=True)
        )
        first = rows.iloc[0]
        ranked = rows[rows["rank"] > 0].sort_values("rank", kind="stable")
        cells.setdefault(key, {})["real" if kind == FALSE_ALARM else "fake"] = {
            "mistakes": int(first["mistakes"]),
            "images": int(first["images"]),
            "worst": [
                [place[image], round(float(chance), 4) if np.isfinite(chance) else None]
                for image, chance in zip(ranked["image_id"], ranked["probability"], strict=True)
            ],
        }
    return GalleryView(
        encoders=[Choice(str(at), name) for at, name in enumerate(names["encoder"])],
        probes=[Choice(str(at), training_label(name)) for at, name in enumerate(names["trained_on"])],
        filters=[
            Choice(str(at), _WORDS[name] if name in CONTROLS else name)
            for at, name in enumerate(names["filter"])
        ],
        start=_start(names["trained_on"]),
        most=int(table["rank"].max()),
        pictures=len(pictures),
        images=len(images),
        data={"images": listed, "cells": cells},
    )


def webp_address(data: bytes) -> str:
    """A WebP picture as a `data:` address."""
    return f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"


def _start(probes: list[str]) -> int:
    """The probe shown first: the pooled one, where there is one."""
    return probes.index("all") if "all" in probes else 0


def _read(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(
            path, keep_default_na=False, na_values={"probability": "", "logit": ""}, nrows=LISTED
        )
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        texts = ["encoder", "trained_on", "filter", "kind", "image_id", "dataset", "generator", "family"]
        numbers = ["rank", "mistakes", "images", "probability"]
        table = table.astype(dict.fromkeys(texts, str) | dict.fromkeys(numbers, np.float64))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({' '.join(str(error).split())[:120]}): delete it or run the study again."
        ) from error
    return table[table["kind"].isin(KINDS)]
