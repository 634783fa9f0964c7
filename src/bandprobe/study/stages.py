"""A study's stages, said as they begin: `3/9 embed (2 min 10 s so far)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bandprobe.filters.degradations import graded
from bandprobe.progress import Stages

if TYPE_CHECKING:
    from bandprobe.study.plan import Plan


def stages(plan: Plan) -> Stages:
    """The stages of a study, with what they took when it was last run into its folder."""
    return Stages(names(plan), earlier(plan.folder))


def names(plan: Plan) -> list[str]:
    """The stages that are wanted, in order. A run that is only compared with another has fewer."""
    asked, whole = plan.settings.analysis, plan.base is None
    wanted = {
        "index": True,
        "audit": asked.audit and whole,
        "embed": True,
        "train": True,
        "evaluate": True,
        "mmd": asked.mmd,
        "entropy": asked.entropy and whole,
        "claims": asked.claims and whole,
        "layers": any(one.layer for one in plan.encoders) and whole,
        "calibration": asked.calibration and whole,
        "robustness": asked.robustness and whole and bool(graded(plan.test_filters)),
        "bands": asked.bands and whole,
        "spectrum": asked.spectrum,
        "sensitivity": asked.sensitivity and whole,
        "radius": asked.pictures and whole,
        "mistakes": asked.pictures and whole,
        "report": whole,
    }
    return [name for name, here in wanted.items() if here]


def earlier(folder: Path) -> dict[str, float]:
    """Seconds of each stage by the record of the run that lies in a folder; none where there is no record."""
    try:
        timings = json.loads((folder / "run.json").read_text(encoding="utf-8"))["timings"]
        return {str(name): float(seconds) for name, seconds in timings.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
