"""The small world that ships with the package, and the procedural photographs it is made from."""

from bandprobe.datasets.micro import ImageSet, micro
from bandprobe.datasets.photographs import photograph

__all__ = ["ImageSet", "micro", "photograph"]
