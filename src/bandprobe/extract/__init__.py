"""Extraction: from a manifest to an embedding store."""

from bandprobe.extract.extraction import extract
from bandprobe.extract.plan import Job, Plan, plan
from bandprobe.extract.tables import import_table
from bandprobe.extract.task import Extraction, grid_of

__all__ = ["Extraction", "Job", "Plan", "extract", "grid_of", "import_table", "plan"]
