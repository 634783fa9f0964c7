"""How long reading a picture and a pass of each encoder take on this machine: a few batches of the real thing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from bandprobe import progress, seeding
from bandprobe.encoders import load
from bandprobe.encoders.compound import CompoundEncoder
from bandprobe.encoders.flops import own_size, untrained
from bandprobe.encoders.names import WEIGHTED
from bandprobe.errors import BandprobeError, ImageError
from bandprobe.extract.batches import embedded
from bandprobe.extract.lanes import in_lanes, lanes
from bandprobe.extract.memory import suitable
from bandprobe.filters import expand
from bandprobe.images import Geometry, decode, image_id, parse_colour
from bandprobe.images.equalise import AUTO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandprobe.encoders import Encoder, Reference
    from bandprobe.filters import Filter
    from bandprobe.study.costs import Costs, PassCosts
    from bandprobe.study.plan import Plan
    from bandprobe.study.population import Population

SECONDS = 10.0  # for one encoder
_FILES = 64
_FILTERS = 4
_ENOUGH = 1.0  # seconds of one measurement, beyond which a longer one says nothing new
# Images of a lane's batch, and conditions, that are timed one after the other while there is time.
_STEPS = ((1, 1), (4, 2), (16, 2), (16, _FILTERS))
_SPARE = 1.3  # memory, beside the weights

_STAND_INS = "stand-in weights"
_BY_TIME = "by time alone: no model of PyTorch"


@dataclass(frozen=True)
class Timing:
    """One encoder's passes, timed.

    Attributes:
        seconds: from one pass to the next, all lanes at work, filters and upload included; None where it could not be
            timed.
        passes: how many were timed.
        note: what a reader must know of it.
    """

    seconds: float | None
    passes: int
    note: str


@dataclass(frozen=True)
class Calibration:
    """What was measured here.

    Attributes:
        device: what ran the encoders.
        lanes: batches worked on at once.
        read: seconds from one picture read, hashed and resized to the next, all lanes at work; None where there is
            none.
        files: pictures that were read for it.
        timings: by the name of the encoder.
    """

    device: torch.device
    lanes: int
    read: float | None
    files: int
    timings: dict[str, Timing]

    def hours(self, costs: Costs) -> float | None:
        """How long embedding takes here, in hours; None where something of it was not measured."""
        seconds = 0.0
        for share in costs.shares:
            timing = self.timings.get(_timed_as(share.reference))
            if share.to_do and (timing is None or timing.seconds is None):
                return None
            if share.to_do and timing and timing.seconds:
                seconds += share.to_do * timing.seconds
        reading = costs.reads * (self.read or 0.0)
        # A processor's lanes read and encode in turns; an accelerator encodes while others read.
        return (seconds + reading if self.device.type == "cpu" else max(seconds, reading)) / 3600


def calibrate(plan: Plan, people: Population, found: Costs, of_pass: PassCosts) -> Calibration:
    """Time the embedding path of a study on this machine, for at most some ten seconds an encoder.

    Args:
        plan: the study's.
        people: its images.
        found: what there is to do; only encoders with passes to do are timed.
        of_pass: what a pass costs.
    """
    place = load("spectral", device=plan.settings.run.device).device
    wanted: dict[str, Reference] = {}
    for share in found.shares:
        if share.to_do:
            wanted.setdefault(_timed_as(share.reference), share.reference)
    count = lanes(place)
    with progress.bar("calibrate", len(wanted) + 1, "steps") as step:
        read, files = _reading(plan, people.paths, plan.workers if place.type != "cpu" else count)
        step()
        timings = {}
        for name, reference in wanted.items():
            timings[name] = _timing(plan, reference, place, count, of_pass)
            step()
    return Calibration(place, count, read, files, timings)


def _timed_as(reference: Reference) -> str:
    """Twins differ in their weights alone."""
    return reference.target if reference.kind in WEIGHTED else reference.name


def _reading(plan: Plan, paths: Sequence[str], count: int) -> tuple[float | None, int]:
    """Seconds a picture, of files spread over all."""
    chosen = (
        [paths[at] for at in np.unique(np.linspace(0, len(paths) - 1, _FILES).astype(int))] if paths else []
    )
    if not chosen:
        return None, 0
    data, auto = plan.settings.data, plan.settings.data.equalise == AUTO
    # What "auto" stands for is known once the pictures' sizes are.
    grid = (None if auto else plan.geometry) or Geometry.squash(*_size(plan))
    colour = parse_colour(data.background)

    def read(path: str) -> Iterator[int]:
        try:
            picture = decode(path, background=colour, max_pixels=data.max_pixels)
        except ImageError:
            return
        image_id(picture)
        grid.apply(picture)
        yield 1

    sum(n for _, n in in_lanes(read, chosen[: len(chosen) // 4], count))  # libraries are loaded
    start = time.perf_counter()
    good = sum(n for _, n in in_lanes(read, chosen, count))
    taken = time.perf_counter() - start
    return (taken / good, good) if good else (None, 0)


def _size(plan: Plan) -> tuple[int, int]:
    text = plan.settings.encoders.geometry
    return (224, 224) if text == "native" else Geometry.parse(text).size


def _timing(plan: Plan, reference: Reference, place: torch.device, count: int, of_pass: PassCosts) -> Timing:
    cost = of_pass(reference)
    short = 0 if cost is None else _short_of_memory(cost.parameters, place)
    if short:
        return Timing(
            None, 0, f"not timed: its weights need {short / 2**30:.0f} GiB of memory, more than is free"
        )
    try:
        encoder, note = _encoder(plan, reference, place)
        size = of_pass.size or (own_size(reference, encoder.native_geometry) if cost is None else cost.size)
        encoder.check_grid(*size)
        largest = suitable([encoder], size) if place.type != "cpu" else 32 // count or 1
        seconds, passes = _passes(encoder, _filters(plan), size, count, largest)
    except BandprobeError as error:
        return Timing(None, 0, f"not timed: {error}")
    return Timing(seconds, passes, note)


def _passes(
    encoder: Encoder, filters: Sequence[Filter], size: tuple[int, int], count: int, largest: int
) -> tuple[float, int]:
    """Seconds a pass, and how many were timed last: batches that grow while there is time."""
    draw = seeding.generator(0, "calibration")
    steps = dict.fromkeys((min(n, largest), min(k, len(filters))) for n, k in (*_STEPS, (largest, _FILTERS)))
    rate, passes, left = 0.0, 0, SECONDS
    for n, k in steps:
        if count * n * k * rate > left:
            break
        batches = max(1, int(min(_ENOUGH, left) / (count * n * k * rate))) if rate else 1
        pixels = draw.integers(0, 256, (n, *size, 3), dtype=np.uint8)
        taken, passes = _timed(encoder, filters[:k], pixels, count * batches, count)
        rate, left = taken / passes, left - taken
    return rate, passes


def _timed(
    encoder: Encoder, filters: Sequence[Filter], pixels: NDArray[np.uint8], batches: int, count: int
) -> tuple[float, int]:
    """Seconds that batches take, and their passes."""
    conditions = [(encoder.name, spec) for spec in filters]
    ids = [f"{number:064x}" for number in range(len(pixels))]

    def work(_: int) -> Iterator[int]:
        for found in embedded([encoder], conditions, ids, pixels, references=None, abs_uint8=False):
            yield found.passes

    start = time.perf_counter()
    passes = sum(n for _, n in in_lanes(work, range(batches), count))
    return time.perf_counter() - start, passes


def _filters(plan: Plan) -> list[Filter]:
    """Some of the study's, spread over all: those that need other images are left out."""
    plain = [spec for spec in expand(list(plan.test_filters)) if not spec.needs_references] or expand(
        ["identity"]
    )
    places = np.unique(np.linspace(0, len(plain) - 1, _FILTERS).astype(int))
    return [plain[at] for at in places]


def _encoder(plan: Plan, reference: Reference, place: torch.device) -> tuple[Encoder, str]:
    """The encoder where its weights are at hand, and else its architecture with others."""
    if reference.parts:
        parts = [(_encoder(plan, part, place), own) for part, own in reference.parts]
        notes = [note for (_, note), _ in parts if note]
        whole = CompoundEncoder(
            [(encoder, own) for (encoder, _), own in parts],
            name=reference.name,
            device=place,
            precision=plan.settings.run.precision,
        )
        return whole, notes[0] if notes else ""
    if reference.kind in WEIGHTED:
        encoder = untrained(reference, device=place, precision=plan.settings.run.precision)
        return encoder, "" if reference.random is not None else _STAND_INS
    name = f"detector:{reference.target}" if reference.kind == "detector" else reference.target
    return load(name, device=place), _BY_TIME


def _short_of_memory(parameters: int, place: torch.device) -> int:
    """Bytes that weights need where this machine is known to have less; 0 where they fit."""
    if place.type != "cpu":
        return 0
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0  # it is not said here
    needed = int(4 * parameters * _SPARE)
    return needed if needed > free else 0
