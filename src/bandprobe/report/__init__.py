"""Figures, tables and one HTML page from a run directory."""

from bandprobe.report.build import build, spectra_figures

__all__ = ["build", "spectra_figures"]
