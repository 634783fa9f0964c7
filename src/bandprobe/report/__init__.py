"""Figures, tables and one HTML page from a run directory."""

from bandprobe.report.build import build

__all__ = ["build"]
