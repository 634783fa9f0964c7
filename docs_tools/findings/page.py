"""docs/findings.md out of the tables of a run: every sentence carries the numbers that it rests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bandprobe.metrics import wilson
from docs_tools.findings.detectors import attack, recipes, robustness
from docs_tools.findings.encoders import frequencies, layers, traits
from docs_tools.findings.words import points, read

# The pictures of the page, and the figures of the run that they are.
FIGURES = {
    "shapley": "shapley/shapley-micro-clip",
    "layers": "layers/figures/layers-measures-butterworth",
    "openset": "openset/openset-generator",
    "robustness": "robustness/figures/robustness-micro-clip-none-none",
    "attack": "attack/attack",
}


def page(out: Path) -> str:
    """The page, in Markdown.

    Args:
        out: where `steps.run` left its tables.
    """
    parts = [_head(out), *(section(out) for section in SECTIONS)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _head(out: Path) -> str:
    manifest = pd.read_parquet(out / "layers" / "manifest.parquet")
    sources = manifest["generator"].nunique() - 1
    took = sum(json.loads(path.read_text())["seconds"] for path in (out / "done").glob("*.json"))
    return f"""
# Findings

<!-- Written by `make findings`; do not edit. -->

What the analyses of this tool say of its embedded world: {len(manifest):,} images of 64 px, of reals and
{sources} small generators, seen by small encoders ([how all were made](../zoo/README.md)). `make findings` runs every
command behind this page, whose times add up to {took // 60} minutes, and writes every number on it. All of it holds for
this world and these encoders; what DINOv2 or CLIP do on photographs is for `bandprobe study` on photographs to say.

Intervals are at 95 %, of the kind that each section names.
"""


def planted(out: Path) -> str:
    """How often each way of asking finds what was planted."""
    cases = read(out / "selftest" / "attribution.csv")
    said = []
    for way, name in (
        ("gradient", "the gradient"),
        ("shapley", "Shapley values"),
        ("attack", "the cheapest attack"),
    ):
        hits, n = int(cases[way].astype(bool).sum()), len(cases)
        low, high = wilson(hits, n)
        said.append(f"{name}: {hits} of {n}, {hits / n:.1%} [{float(low):.1%}, {float(high):.1%}].")
    return f"""
## Whether they can be trusted

Artefacts planted in one ring of frequencies of photographs, and how often each way of asking points at that ring
(`bandprobe selftest --only attribution --full`; Wilson's intervals):

{points(said)}
"""


SECTIONS: tuple[Callable[[Path], str], ...] = (
    frequencies,
    layers,
    traits,
    recipes,
    robustness,
    attack,
    planted,
)
