"""A probe at work: what it says of new images, how sure, and why."""

from bandprobe.detect.detector import Detector

__all__ = ["Detector"]
