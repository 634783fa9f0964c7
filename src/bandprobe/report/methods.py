"""How a run was done, as a paragraph for a paper, with the works to cite."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bandprobe.errors import BandprobeError
from bandprobe.images import Manifest
from bandprobe.report import methods_design as design
from bandprobe.report import methods_measures as measures
from bandprobe.report.citations import bibtex
from bandprobe.report.prose import cited, latex, mapping, markdown, plain
from bandprobe.report.run_directory import Run


@dataclass(frozen=True)
class Methods:
    """The paragraph in three forms, the BibTeX of what it cites, and the keys."""

    plain: str
    markdown: str
    latex: str
    bibtex: str
    keys: list[str]


def methods(run: Run, layouts: Sequence[str] = ()) -> Methods:
    """The methods paragraph of a run, from its record and what it holds. What is not known is not said.

    Args:
        run: the run.
        layouts: of data sets as they were found (`ricker`, `genimage` ...), which names their source.
    """
    sentences = [
        *design.question(run), *design.data(run, layouts), *design.geometry(run), *design.filters(run),
        *design.encoders(run), *measures.probes(run), *measures.metrics(run), *measures.analyses(run),
        *measures.multiplicity(run), *measures.provenance(run),
    ]  # fmt: skip
    keys = cited(sentences)
    version = str(mapping(run.record.get("versions")).get("bandprobe", ""))
    entries = bibtex(keys, version) if re.fullmatch(r"[\w.+-]{1,40}", version) else bibtex(keys)
    return Methods(plain(sentences), markdown(sentences), latex(sentences), entries, keys)


def layouts_of(folder: Path) -> list[str]:
    """The layouts in which a run's images were found, by its manifest; none where it does not say."""
    try:
        return [str(name) for name in Manifest.load(folder / "manifest.parquet").mapping["layout"].unique()]
    except (BandprobeError, OSError, ValueError, KeyError):
        return []
