"""Extraction: from a manifest to an embedding store."""

from bandprobe.extract.local import Extraction, extract, grid_of
from bandprobe.extract.plan import Job, Plan, plan
from bandprobe.extract.tables import import_table

__all__ = ["Extraction", "Job", "Plan", "extract", "grid_of", "import_table", "plan"]
