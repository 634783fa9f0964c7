"""Images that the package makes itself: procedural scenes, and fakes from real resamplers."""

from bandprobe.datasets.dead_leaves import dead_leaves
from bandprobe.datasets.micro import ImageSet, micro
from bandprobe.datasets.photographs import photograph
from bandprobe.datasets.resamplers import RESAMPLERS, resample
from bandprobe.datasets.world import write_world

__all__ = ["RESAMPLERS", "ImageSet", "dead_leaves", "micro", "photograph", "resample", "write_world"]
