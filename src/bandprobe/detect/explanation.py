"""All that is known of why one image gets its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.detect.contributions import Consensus, Contributions, consensus, contributions
from bandprobe.detect.curves import radius_curve
from bandprobe.detect.decision import Decision
from bandprobe.detect.occlusion import heat_map
from bandprobe.detect.scorer import Scorer
from bandprobe.filters import expand, parse

SWEEP = tuple(round(0.05 * k, 2) for k in range(1, 21))  # fractions of Nyquist, of the curve


@dataclass(frozen=True)
class Explanation:
    """One probe's decision on one image.

    Attributes:
        name: the image's.
        probe: the probe's.
        picture: the image on the probe's grid, uint8, shape (h, w, 3).
        logit: of the whole image.
        decision: how it becomes a verdict.
        curve: a row for each filter, `none` and `identity` first: filter, cutoff_px, cutoff_nyq, logit, probability.
            The probe's own filter, if it was trained under one, comes after each.
        contributions: of each band, Shapley values; row `number` is the probe's.
        heat: shape (cells, cells), logits; positive where the detail speaks for fake.
        number: the probe's place among those of its encoder.
    """

    name: str
    probe: str
    picture: NDArray[np.uint8]
    logit: float
    decision: Decision
    curve: pd.DataFrame
    contributions: Contributions
    heat: NDArray[np.float64]
    number: int

    def facts(self) -> dict[str, Any]:
        """Everything but the picture, for JSON."""
        bands = self.contributions
        rows = self.curve[["filter", "cutoff_px", "cutoff_nyq", "logit", "probability"]].astype(object)
        return {
            "path": self.name,
            "probe": self.probe,
            "logit": self.logit,
            "probability": float(self.decision.probability(np.array([self.logit]))[0]),
            "verdict": self.decision.verdict(self.logit),
            "threshold": self.decision.threshold,
            "curve": rows.where(rows.notna(), None).to_dict("records"),
            "bands": {
                name: {"contribution": float(value), "alone": float(alone), "without": float(without)}
                for name, value, alone, without in zip(
                    bands.bands, bands.values[self.number], bands.alone[self.number], bands.without[self.number],
                    strict=True,
                )
            },
            "without_bands": float(bands.bare[self.number]),
            "heat_map": self.heat.tolist(),
        }  # fmt: skip


class Why:
    """Reasons of one image, each worked out once for all probes of an encoder.

    Args:
        image: uint8, shape (h, w, 3), any size.
        scorer: of the probes.
    """

    def __init__(self, image: NDArray[np.uint8], scorer: Scorer) -> None:
        self._image, self._scorer = image, scorer
        self._contributions: Contributions | None = None
        self._consensus: Consensus | None = None
        self._heat: NDArray[np.float64] | None = None
        self._curve: pd.DataFrame | None = None

    @property
    def contributions(self) -> Contributions:
        """See `contributions.contributions`."""
        if self._contributions is None:
            self._contributions = contributions(self._image, self._scorer)
        return self._contributions

    @property
    def consensus(self) -> Consensus:
        """See `contributions.consensus`."""
        if self._consensus is None:
            self._consensus = consensus(self._image, self._scorer)
        return self._consensus

    def explanation(self, name: str, number: int, logit: float, decision: Decision) -> Explanation:
        """Everything, of one probe.

        Args:
            name: the image's.
            number: the probe's place in the scorer.
            logit: of the whole image.
            decision: how it becomes a verdict.
        """
        if self._heat is None or self._curve is None:
            specs = [
                parse("none"),
                parse("identity"),
                *expand([f"lowpass:{radius:g}nyq" for radius in SWEEP]),
            ]
            self._curve = radius_curve(self._image, [self._scorer], specs, own=True)
            self._heat = heat_map(self._image, self._scorer)
        probe = self._scorer.probes[number].name
        curve = self._curve[self._curve["probe"] == probe].reset_index(drop=True)
        curve["probability"] = decision.probability(curve["logit"].to_numpy())
        return Explanation(
            name,
            probe,
            self._scorer.placed(self._image),
            logit,
            decision,
            curve,
            self.contributions,
            self._heat[number],
            number,
        )
