"""How a probe's logits lie on images that it was not fitted on: what an operating point is chosen from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST = 2001  # order statistics that are kept of a class


@dataclass(frozen=True)
class Judged:
    """Logits of validation images, or of cross-fitting's held-out ones, by class.

    Attributes:
        real: sorted logits of reals; of more than 2,001, so many evenly spaced order statistics, both ends among them.
        fake: the same of fakes.
        n_real: how many there were.
        n_fake: the same of fakes.
    """

    real: Floats
    fake: Floats
    n_real: int
    n_fake: int

    @classmethod
    def of(cls, logits: Floats, labels: NDArray[np.int8]) -> Judged:
        """From all held-out logits.

        Args:
            logits: shape (n,).
            labels: shape (n,), 0 real, 1 fake.
        """
        real, fake = np.sort(logits[labels == 0]), np.sort(logits[labels == 1])
        return cls(_thinned(real), _thinned(fake), len(real), len(fake))

    def alarms(self, threshold: float) -> int:
        """How many of the held-out reals are at or above a threshold; where they were thinned, to one in 2,001."""
        return round(float((self.real >= threshold).mean()) * self.n_real)

    def misses(self, threshold: float) -> int:
        """How many of the held-out fakes are below a threshold."""
        return round(float((self.fake < threshold).mean()) * self.n_fake)

    def threshold_at(self, false_alarms: float) -> float:
        """The lowest threshold at which no larger share of the held-out reals is called fake.

        Args:
            false_alarms: a share in (0, 1).

        Returns:
            Midway between the last real that is an alarm and the first that is not; above every real where even one
            alarm is too many.
        """
        allowed = int(np.floor(false_alarms * self.n_real + 1e-9))
        # Rank from the top among all reals, as a place among those kept.
        place = (len(self.real) - 1) * (1 - allowed / max(self.n_real - 1, 1))
        if allowed == 0:
            return float(np.nextafter(self.real[-1], np.inf))
        below = max(int(np.floor(place + 1e-9)), 0)
        above = min(below + 1, len(self.real) - 1)
        return float((self.real[below] + self.real[above]) / 2)

    def sure_real(self, misses: float) -> float:
        """The highest logit below which no larger share of the held-out fakes lies."""
        mirrored = Judged(-self.fake[::-1], -self.real[::-1], self.n_fake, self.n_real)
        return -mirrored.threshold_at(misses)


def _thinned(logits: Floats) -> Floats:
    if len(logits) <= _MOST:
        return logits
    kept: Floats = logits[np.rint(np.linspace(0, len(logits) - 1, _MOST)).astype(int)]
    return kept
