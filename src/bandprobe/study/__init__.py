"""A whole study, from images to a report: the one room that wires the stages."""

from bandprobe.study.study import Study

__all__ = ["Study"]
