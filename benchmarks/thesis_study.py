"""The thesis's design, or a part of it, as a study of ours; and what that study says, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from bandprobe import shipped
from bandprobe.datasets import micro
from bandprobe.probes import load
from bandprobe.run import Run
from bandprobe.study import Study
from thesis_pipeline import (
    CONDITIONS,
    FAMILIES,
    GENERATORS,
    TRAINING_SETS,
    Floats,
    Pictures,
    ThesisPipeline,
    measured,
    write_pictures,
)

TRAINED_ALIKE = "thesis_optimiser,adm_validation,threshold_half"
"""The switches under which a study trains its probes as the thesis does."""

_LOGIT, _METRIC = 1e-5, 1e-6


@dataclass(frozen=True)
class Design:
    """Which part of the thesis's design, on how many pictures.

    Attributes:
        images: of each source, in each of train, val and test.
        probes: names of training sets.
        conditions: names of the sweep.
    """

    images: int = 1
    probes: tuple[str, ...] = tuple(TRAINING_SETS)
    conditions: tuple[str, ...] = tuple(CONDITIONS)

    def __str__(self) -> str:
        return (
            f"{len(self.probes)} x {len(GENERATORS)} x {len(self.conditions)} cells, "
            f"{self.images} a source and split"
        )

    def pipeline(self, folder: Path) -> ThesisPipeline:
        """The thesis's way, over pictures written into a folder for both sides."""
        return ThesisPipeline(write_pictures(micro(), folder / "pictures", self.images), _weights())

    def cells(self, pipeline: ThesisPipeline) -> Iterator[tuple[str, str, Pictures]]:
        """A probe's cells: the condition, the generator, and the pictures of its test set."""
        for generator in GENERATORS:
            pictures = pipeline.pictures("test", [generator])
            for condition in self.conditions:
                yield condition, generator, pictures

    def run(self, folder: Path, out: Path, protocol: str = "corrected") -> Run:
        """The study: its grid with all metrics and intervals, no further analyses, and no report.

        Args:
            folder: as for `pipeline`, which wrote the pictures.
            out: the run's.
            protocol: words for the study's.
        """
        others = (
            "information",
            "spectrum",
            "mmd",
            "entropy",
            "twin",
            "claims",
            "audit",
            "calibration",
            "bands",
        )
        study = Study.from_dict(
            {
                "data": {"root": str(folder / "pictures")},
                "families": FAMILIES,
                "encoders": {"names": [str(_weights())], "geometry": "squash:64"},
                "filters": {"test": list(self.conditions)},
                "probes": {"train_on": list(self.probes), "seeds": 1},
                "analysis": dict.fromkeys(others, False),
                "run": {"protocol": protocol},
            }
        )
        with patch("bandprobe.report.build", _no_page):
            return study.run(out)


class Answers:
    """What a finished study says.

    Args:
        study: the run.
    """

    def __init__(self, study: Run) -> None:
        scores = pd.read_parquet(study.folder / "scores.parquet")
        keys = ["trained_on", "filter", "tested_on", "metric"]
        self._logits: Any = scores.pivot(index="image_id", columns=["trained_on", "filter"], values="logit")
        self._values: Any = study.results.set_index(keys)["value"].sort_index()
        self._ids = dict(zip(study.manifest["path"], study.manifest["image_id"], strict=True))
        self._probes: dict[str, Any] = {
            file.trained_on: file.probe for file in map(load, (study.folder / "probes").iterdir())
        }

    def head(self, name: str) -> torch.nn.Linear:
        """A linear probe of the study as one layer, fake from 0 on."""
        probe = self._probes[name]
        head = torch.nn.Linear(len(probe.weight), 1)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(probe.direction))
            head.bias.fill_(probe.offset - probe.threshold)
        return head

    def check_head(self, name: str, head: torch.nn.Linear) -> None:
        """Refuse another probe than the study's.

        Raises:
            ArithmeticError: a weight is more than 1e-5 from the study's.
        """
        ours, other = (
            np.append(one.weight.detach().numpy(), one.bias.detach().numpy())
            for one in (self.head(name), head)
        )
        _check(f"weights of {name}", ours, other, _LOGIT)

    def check_cell(
        self,
        name: str,
        condition: str,
        generator: str,
        pictures: Pictures,
        logits: Floats,
        metrics: bool = True,
    ) -> None:
        """Refuse other results than the study's. Metrics are worked out anew, from the study's logits.

        Where two logits are nearer to each other than rounding, the metrics of either side's may differ and both
        be right.

        Args:
            name: of the training set.
            condition: of the sweep.
            generator: of the test set.
            pictures: of the test set.
            logits: of these, less the threshold.
            metrics: whether to look at them too.

        Raises:
            ArithmeticError: a logit is more than 1e-5, or a metric more than 1e-6, from the study's.
        """
        cell = f"{name} on {generator} under {condition}"
        images = [self._ids[str(path)] for path, _ in pictures]
        ours = self._logits[name, condition][images].to_numpy() - self._probes[name].threshold
        _check(f"logits of {cell}", ours, logits, _LOGIT * max(1, float(np.abs(ours).max())))
        for metric, value in (measured(pictures, ours) if metrics else {}).items():
            _check(f"{metric} of {cell}", self._values[name, condition, generator, metric], value, _METRIC)


def _weights() -> Path:
    return shipped.part("encoders/micro-dino")


def _no_page(folder: Path) -> Path:
    page = folder / "report.html"
    page.write_text("left out of the benchmark\n", encoding="utf-8")
    return page


def _check(what: str, ours: Any, other: Any, tolerance: float) -> None:
    apart = float(np.abs(np.subtract(ours, other)).max())
    if not apart <= tolerance:
        raise ArithmeticError(f"{what}: the sides must agree to {tolerance:g}; they are {apart:.2g} apart.")
