"""Bands of frequencies as the players of a game: the filter that keeps some of them and takes the others out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import InputError
from bandprobe.filters import Filter, parse
from bandprobe.filters.masks import distance

Floats = NDArray[np.float64]

EDGES = (0.0, 0.05, 0.15, 0.3, 0.5, 0.75, np.inf)  # of Nyquist; 0.15 and 0.5 divide low, middle and high
_SLOWEST = 1.2  # px: the mean and the waves of one cycle stay always, so that no coalition is an empty image


@dataclass(frozen=True)
class Bands:
    """Neighbouring bands that hold all frequencies of a grid but the mean and the waves of one cycle.

    Attributes:
        edges: in px, rising; each band holds its lower edge and not its upper one.
        shape: the grid.
    """

    edges: tuple[float, ...]
    shape: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int], edges_nyq: tuple[float, ...] = EDGES) -> Bands:
        """Bands between fractions of Nyquist, those left out that hold no coefficient of the grid.

        Raises:
            InputError: edges that do not rise, or no band with a coefficient.
        """
        if len(edges_nyq) < 2 or any(b <= a for a, b in itertools.pairwise(edges_nyq)):
            raise InputError(
                f"band edges must rise, two or more of them; got {', '.join(map(str, edges_nyq))}."
            )
        D = distance(shape)
        half, top = min(shape) / 2, float(D.max()) + 1
        px = [min(max(edge * half, _SLOWEST), top) for edge in edges_nyq]
        kept = [px[0]]
        for edge in px[1:]:
            if np.any((kept[-1] <= D) & (edge > D)):
                kept.append(round(edge, 6))
        if len(kept) < 2:
            raise InputError(
                f"no band between {edges_nyq[0]} and {edges_nyq[-1]} of Nyquist holds a coefficient of a {shape[0]} x "
                f"{shape[1]} grid; use wider bands or larger images."
            )
        return cls(tuple(kept), shape)

    @classmethod
    def parse(cls, text: str | None, shape: tuple[int, int]) -> Bands:
        """Bands from a number of them, or from their edges, as fractions of Nyquist; the usual ones from None.

        A number makes bands of one width up to Nyquist, the last of which holds the corners as well.

        Raises:
            InputError: neither a number nor edges, or as `of`.
        """
        if text is None:
            return cls.of(shape)
        try:
            if "," not in text:
                count = int(text)
                return cls.of(shape, (*(np.arange(count) / max(count, 1)).tolist(), np.inf))
            edges = tuple(float(part) for part in text.split(","))
        except ValueError:
            raise InputError(
                f"bands must be a number of them, or edges as fractions of Nyquist, e.g. 0,0.15,0.5,1; got {text!r}."
            ) from None
        return cls.of(shape, edges)

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def names(self) -> list[str]:
        """Each band's edges as fractions of Nyquist, e.g. `0.15-0.3`; the last ends at the corners of the plane."""
        half, top = min(self.shape) / 2, float(distance(self.shape).max())
        shown = [0.0 if edge == _SLOWEST else min(edge, top) / half for edge in self.edges]
        return [f"{a:.3g}-{b:.3g}" for a, b in itertools.pairwise(shown)]

    @property
    def masks(self) -> list[Floats]:
        """Each band as 0 and 1 over the FFT's own order, shape (h, w)."""
        radius = distance(self.shape)
        return [
            ((low <= radius) & (radius < high)).astype(np.float64)
            for low, high in itertools.pairwise(self.edges)
        ]

    def keeping(self, members: int) -> Filter:
        """The filter that keeps the bands whose bits are set, and takes the others out.

        Args:
            members: a coalition as a bit mask, bit 0 the lowest band.
        """
        stops = []
        start: float | None = None
        for number, (low, high) in enumerate(zip(self.edges, self.edges[1:], strict=False)):
            if members >> number & 1:
                continue
            start = low if start is None else start
            # Neighbours that go together are one stop.
            if number + 1 == len(self) or members >> (number + 1) & 1:
                stops.append((start, high))
                start = None
        if not stops:
            return parse("identity")
        return parse("+".join(f"ideal-bandstop:{(a + b) / 2:.9g}px:width={b - a:.9g}px" for a, b in stops))
