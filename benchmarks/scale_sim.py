"""What an extraction on many GPUs would be held up by: a simulation from measured stage times and stated rates.

A chunk of images goes through stations in turn: the storage is read, cores decode, a GPU filters and encodes, the
storage takes the parts, the driver hears of it. A station has so many servers, and a chunk holds one for its service
time; a server that is busy makes the chunk wait. Chunks are let in as long as each GPU has two on their way, as the
engine does. Time is simulated event by event; what saturates is the station whose servers are busiest.
"""

from __future__ import annotations

import argparse
import heapq
import json
from dataclasses import dataclass, replace
from pathlib import Path

from bandprobe.columns import aligned

MEASURED = Path(__file__).with_name("cluster.json")
GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_AHEAD = 2  # chunks for each encoder that are on their way
_CHUNKS = 40  # simulated for each encoder


@dataclass(frozen=True)
class Station:
    """A stage: `servers` chunks at a time, each for `seconds`."""

    name: str
    servers: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """A simulated run: chunks a second, and how busy each station was."""

    rate: float
    busy: dict[str, float]

    @property
    def saturated(self) -> str:
        """The busiest station."""
        return max(self.busy, key=lambda name: self.busy[name])


def simulate(stations: list[Station], encoders: int) -> Outcome:
    """Send chunks through stations, first come first served.

    Args:
        stations: in the order that a chunk passes them.
        encoders: two chunks for each are on their way at any time.
    """
    chunks = max(200, _CHUNKS * encoders)
    free = [
        [0.0] * station.servers for station in stations
    ]  # when each server is free, a heap for each station
    events = [(0.0, chunk, 0) for chunk in range(min(chunks, _AHEAD * encoders + stations[1].servers))]
    heapq.heapify(events)
    begun, last = len(events), 0.0
    while events:
        now, chunk, place = heapq.heappop(events)
        if place == len(stations):
            last = now
            if begun < chunks:
                heapq.heappush(events, (now, begun, 0))
                begun += 1
            continue
        start = max(now, heapq.heappop(free[place]))
        end = start + stations[place].seconds
        heapq.heappush(free[place], end)
        heapq.heappush(events, (end, chunk, place + 1))
    busy = {each.name: chunks * each.seconds / each.servers / last for each in stations}
    return Outcome(chunks / last, busy)


@dataclass(frozen=True)
class Setting:
    """A cluster and a study; rates are a second's.

    Attributes:
        tflop: of a pass, in 10^12 operations.
        tflops: that a GPU does of them, in 10^12 a second: its stated rate times an assumed utilisation.
        conditions: of an image.
        chunk: images.
        image_bytes: of a file.
        vector_bytes: of a stored embedding.
        decode: seconds of a core for an image.
        cores: for each GPU.
        read: bytes that the storage gives, to all together.
        write: bytes that the storage takes, from all together.
        part: seconds that the storage needs for a part beside its bytes.
        writers: parts that the storage takes at a time: 1 on a shared disk, whose lock is one; many on S3.
        driver: seconds of the driver for a chunk.
    """

    tflop: float
    tflops: float
    conditions: int
    chunk: int
    image_bytes: float
    vector_bytes: float
    decode: float
    cores: int
    read: float
    write: float
    part: float
    writers: int
    driver: float

    def stations(self, gpus: int) -> list[Station]:
        """What a chunk passes."""
        passes = self.chunk * self.conditions
        return [
            Station("reading", 1, self.chunk * self.image_bytes / self.read),
            Station("decoding", self.cores * gpus, self.chunk * self.decode),
            Station("encoding", gpus, passes * self.tflop / self.tflops),
            Station("writing", 1, passes * self.vector_bytes / self.write),
            Station("parts", self.writers, self.conditions * self.part),
            Station("driver", 1, self.driver),
        ]


# DINOv2 giant at 224 x 224; bf16 on GPUs of 312 TFLOP/s (A100's data sheet) at four tenths of that.
GIANT = Setting(
    tflop=0.599, tflops=125.0, conditions=40, chunk=1024, image_bytes=130e3, vector_bytes=6144, decode=0.005,
    cores=8, read=10e9, write=5e9, part=0.004, writers=1, driver=0.02,
)  # fmt: skip
SMALL = replace(GIANT, tflop=0.0122, vector_bytes=1536, chunk=4096)  # DINOv2 small


def on_s3(setting: Setting) -> Setting:
    """The same with object storage: as wide as asked for, slow to answer, and without a lock."""
    return replace(setting, read=50e9, write=25e9, part=0.1, writers=1000)


SETTINGS = {
    "DINOv2 giant, a shared disk": GIANT,
    "DINOv2 giant, S3": on_s3(GIANT),
    "DINOv2 small, a shared disk": SMALL,
    "DINOv2 small, S3": on_s3(SMALL),
}


def projected(setting: Setting) -> list[tuple[str, ...]]:
    """A line for each number of GPUs."""
    one = simulate(setting.stations(1), 1).rate
    lines: list[tuple[str, ...]] = []
    for gpus in GPUS:
        found = simulate(setting.stations(gpus), gpus)
        images = found.rate * setting.chunk
        busy = "  ".join(f"{name} {100 * share:.0f} %" for name, share in found.busy.items() if share >= 0.1)
        lines.append(
            (
                str(gpus),
                f"{images:,.0f}",
                f"{found.rate / one / gpus:.2f}",
                f"{1e7 / images / 3600:,.1f}",
                found.saturated,
                busy,
            )
        )
    return lines


def checked() -> list[tuple[str, ...]]:
    """One and two actors of one core each, from one thread's stage times, beside what was measured."""
    content = json.loads(MEASURED.read_text(encoding="utf-8"))
    stages, rows = content["stages"], {row["name"]: row for row in content["rows"]}
    row = rows["Ray, two actors against one"]
    lines: list[tuple[str, ...]] = []
    conditions, chunk = 8, 24
    each = chunk * (stages["decode"] + conditions * stages["encode"])
    for actors, measured in ((1, row["other"]), (2, row["ours"])):
        stations = [Station("reading", 1, 0.0), Station("decoding and encoding", actors, each)]
        rate = simulate(stations, actors).rate * chunk * conditions
        lines.append((str(actors), f"{rate:.1f}", f"{measured:.1f}", f"{rate / measured:.2f}"))
    return lines


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if MEASURED.exists():
        print("actors of one core, images x conditions a second: simulated and measured")
        print("\n".join(aligned(["actors", "simulated", "measured", "simulated / measured"], checked())))
    head = ["GPUs", "images / s", "efficiency", "hours for 10 million", "busiest", "how busy"]
    for name, setting in SETTINGS.items():
        print(f"\n{name}")
        print("\n".join(aligned(head, projected(setting))))


if __name__ == "__main__":
    main()
