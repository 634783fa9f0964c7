"""Confounds: what gives the label away besides the picture."""

from bandprobe.audit.confounds import COLUMNS, SAMPLES, Audit, audit
from bandprobe.audit.headers import METADATA
from bandprobe.audit.pixels import PIXELS
from bandprobe.audit.reading import FOUND, LEVEL, MARGIN, interval, reading, warnings
from bandprobe.audit.sampling import within_limit
from bandprobe.audit.words import ALL_METADATA, ALL_PIXELS

__all__ = [
    "ALL_METADATA",
    "ALL_PIXELS",
    "COLUMNS",
    "FOUND",
    "LEVEL",
    "MARGIN",
    "METADATA",
    "PIXELS",
    "SAMPLES",
    "Audit",
    "audit",
    "interval",
    "reading",
    "warnings",
    "within_limit",
]
