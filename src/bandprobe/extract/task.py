"""What is to be extracted: conditions whose pictures go onto one grid, and what they are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bandprobe.encoders import Encoder, distinct
from bandprobe.encoders.layers import whole_of
from bandprobe.errors import InputError
from bandprobe.extract.pictures import Pictures
from bandprobe.extract.plan import Condition, Plan, plan
from bandprobe.filters import Filter, FilterBank, References
from bandprobe.images import Geometry, parse_colour
from bandprobe.protocol import Protocol
from bandprobe.store import EmbeddingStore, Fingerprint, fingerprint


@dataclass
class Extraction:
    """What an extraction did."""

    passes: int = 0  # encoder forward passes: images x conditions, layers of one encoder sharing theirs
    saved: int = 0  # passes that the store made unnecessary
    left_out: dict[str, str] = field(default_factory=dict)  # path -> reason
    lost: set[str] = field(default_factory=set)  # the ids of those images

    def lose(self, reasons: Mapping[str, str], paths: Mapping[str, str]) -> None:
        """Leave images out.

        Args:
            reasons: by image id.
            paths: each image's file.
        """
        self.lost |= reasons.keys()
        self.left_out |= {paths[image]: reason for image, reason in reasons.items()}


@dataclass(frozen=True)
class Task:
    """Conditions whose pictures go onto one grid.

    Attributes:
        encoders: on one device.
        wanted: each condition with what it is made with.
        plan: what the store lacks.
        paths: each image's file.
        pictures: reads them.
        abs_uint8: filter as the published code does.
    """

    encoders: Sequence[Encoder]
    wanted: Mapping[Condition, Fingerprint]
    plan: Plan
    paths: Mapping[str, str]
    pictures: Pictures
    abs_uint8: bool


def tasks(
    store: EmbeddingStore,
    images: pd.DataFrame,
    encoders: Sequence[Encoder],
    filters: Sequence[Filter],
    *,
    geometry: Geometry | None,
    background: str,
    max_pixels: int,
    protocol: Protocol,
    reference_folder: Path | None,
    sources: pd.DataFrame | None,
    shared: str | Path | None,
) -> list[Task]:
    """What `extract` has to do. What cannot work is refused here, before any work is done and any file is made.

    Args:
        store: where embeddings go; what killed processes had finished becomes parts of it.
        images: as for `extract`, and so is the rest.

    Raises:
        StoreError: the store holds a condition made otherwise.
        InputError: two encoders share a name, one has no native geometry, or a reference cannot be had.
    """
    distinct([encoder.name for encoder in encoders])
    unique = images.drop_duplicates("image_id")
    paths = dict(zip(unique["image_id"], unique["path"], strict=True))
    grids: dict[Geometry, list[Encoder]] = {}
    for encoder in encoders:
        encoder_grid = grid_of(encoder, geometry)
        encoder.check_grid(*encoder_grid.size)
        grids.setdefault(encoder_grid, []).append(encoder)
    store.recover()
    found = []
    for whole, members in grids.items():
        references = References(
            images if sources is None else sources,
            geometry=whole,
            background=background,
            max_pixels=max_pixels,
            folder=reference_folder,
        )
        FilterBank(filters, whole.size)
        for grid, specs in _by_geometry(filters, whole, protocol).items():
            wanted: dict[Condition, Fingerprint] = {
                (encoder.name, spec): fingerprint(
                    encoder.fingerprint,
                    geometry=str(grid),
                    background=background,
                    filter=str(spec),
                    references=references.identity(spec),
                    abs_uint8=protocol.abs_uint8 and spec.transforms,
                )
                for spec in specs
                for encoder in members
            }
            if shared is not None:
                for (name, _), made_with in wanted.items():
                    store.adopt(shared, name, made_with)
            lacking = plan(store, list(paths), wanted, passes_of(members))
            pictures = Pictures(grid, parse_colour(background), max_pixels, references)
            found.append(Task(members, wanted, lacking, paths, pictures, protocol.abs_uint8))
    return found


def passes_of(encoders: Sequence[Encoder]) -> dict[str, str]:
    """By encoder, whose passes give its vectors: its own, or of a layer the whole encoder's."""
    return {encoder.name: whole_of(encoder).name for encoder in encoders}


def grid_of(encoder: Encoder, geometry: Geometry | None) -> Geometry:
    """The grid an encoder sees: the study's, or its own.

    Raises:
        InputError: no geometry is given and the encoder has none of its own.
    """
    grid = geometry or encoder.native_geometry
    if grid is None:
        raise InputError(f"encoder {encoder.name!r} has no native geometry; give one, e.g. squash:224.")
    return grid


def _by_geometry(
    filters: Sequence[Filter], grid: Geometry, protocol: Protocol
) -> dict[Geometry, list[Filter]]:
    """The filters by the way their pictures get onto the grid: one, but for the published code."""
    found: dict[Geometry, list[Filter]] = {}
    for spec in filters:
        # A mirrored image is an unfiltered one, and a training image of the published code.
        unfiltered = all(step.kind in ("none", "flip") for step in spec.steps)
        found.setdefault(grid.aliased if protocol.resize_mismatch and unfiltered else grid, []).append(spec)
    return found
