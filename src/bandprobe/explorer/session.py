"""A picture in the explorer: decoded once, its curves worked out once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bandprobe.detect.curves import radius_curve
from bandprobe.detect.decision import Decision
from bandprobe.detect.scorer import Scorer
from bandprobe.explorer.views import LARGEST, spec_of
from bandprobe.filters import Filter, parse
from bandprobe.images.decode import WHITE, decode_bytes

RADII = 20  # of a curve, up to Nyquist


@dataclass
class Picture:
    """A picture that was dropped.

    Attributes:
        name: as it is shown.
        original: uint8, shape (h, w, 3), as decoded.
        shown: the same on the grid that is shown and filtered.
        curves: by the sweep, see `detect.curves.radius_curve`.
    """

    name: str
    original: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    curves: dict[tuple[object, ...], pd.DataFrame] = field(default_factory=dict)


class Explorer:
    """The probes that pictures meet.

    Args:
        scorers: loaded probes; none at all is fine.
        decisions: by probe.
        max_pixels: width times height of a picture.
        radii: of a curve.
    """

    def __init__(
        self,
        scorers: Sequence[Scorer],
        decisions: dict[str, Decision],
        *,
        max_pixels: int,
        radii: int = RADII,
    ) -> None:
        self.scorers, self.decisions = tuple(scorers), decisions
        self._max_pixels, self._radii = max_pixels, radii

    def opened(self, name: str, content: bytes) -> Picture:
        """An encoded picture, decoded.

        Raises:
            ImageError: it is no image, damaged, or too large.
        """
        return self.placed(name, decode_bytes(content, background=WHITE, max_pixels=self._max_pixels))

    def placed(self, name: str, picture: NDArray[np.uint8]) -> Picture:
        """A decoded picture on the grid that is shown: the probes', or its own up to 512 px."""
        if self.scorers:
            return Picture(name, picture, self.scorers[0].placed(picture))
        height, width = picture.shape[:2]
        share = LARGEST / min(height, width)
        if share >= 1:
            return Picture(name, picture, picture)
        size = (max(1, round(width * share)), max(1, round(height * share)))
        smaller = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
        return Picture(name, picture, np.asarray(smaller))

    def sweep(self, kind: str, *, ideal: bool, order: int, width_nyq: float) -> list[Filter]:
        """The filters of a curve: `none`, `identity`, and the kind at cut-offs up to Nyquist."""
        cutoffs = np.linspace(1 / self._radii, 1, self._radii)
        swept = [
            spec_of(kind, float(cutoff), ideal=ideal, order=order, width_nyq=width_nyq) for cutoff in cutoffs
        ]
        return [parse("none"), parse("identity"), *swept]

    def curve(
        self,
        picture: Picture,
        kind: str,
        *,
        ideal: bool,
        order: int,
        width_nyq: float,
        step: Callable[[int], None] = lambda done: None,
    ) -> pd.DataFrame:
        """Every probe's probability over the sweep, worked out once for each picture and sweep."""
        key = (kind, ideal, order, width_nyq if kind.startswith("band") else None)
        if key not in picture.curves:
            specs = self.sweep(kind, ideal=ideal, order=order, width_nyq=width_nyq)
            picture.curves[key] = self._decided(radius_curve(picture.original, self.scorers, specs, step))
        return picture.curves[key]

    def at(self, picture: Picture, spec: Filter) -> pd.DataFrame:
        """Every probe's logit and probability under one filter."""
        return self._decided(radius_curve(picture.original, self.scorers, [spec]))

    def _decided(self, rows: pd.DataFrame) -> pd.DataFrame:
        for name, rule in self.decisions.items():
            its = rows["probe"] == name
            rows.loc[its, "probability"] = rule.probability(rows.loc[its, "logit"].to_numpy())
        return rows

    @property
    def thresholds(self) -> dict[str, float]:
        """Of each probe the probability from which an image is called fake."""
        return {
            name: float(rule.probability(np.array([rule.threshold]))[0])
            for name, rule in self.decisions.items()
        }
