"""Images that the package makes itself: procedural scenes, and fakes from real resamplers."""

from bandprobe.datasets.dead_leaves import dead_leaves
from bandprobe.datasets.resamplers import RESAMPLERS, resample
from bandprobe.datasets.world import write_world

__all__ = ["RESAMPLERS", "dead_leaves", "resample", "write_world"]
