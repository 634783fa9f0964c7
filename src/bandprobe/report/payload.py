"""The numbers behind the page's figures: typed arrays after a JSON header, compressed, in base64."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

BLANK = 65535
STEPS = 50_000  # a column's range in so many steps: five digits of a share
Reference = dict[str, Any]


class Payload:
    """Arrays gathered for one page; what each figure reads stands in its header by reference.

    The layout is `length of the header (uint32) | header (JSON, UTF-8, padded to 4 bytes) | arrays`. Integers
    of two bytes lie as all their lower bytes, then all their upper ones, which compress far better so.
    """

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def integers(self, values: npt.ArrayLike) -> Reference:
        """Whole numbers from 0 to 65,535 (two bytes), or to 2^32 where some are larger (four)."""
        array = np.ascontiguousarray(values)
        if array.size == 0 or int(array.max()) <= BLANK:
            wide = array.astype("<u2").view(np.uint8).reshape(-1, 2)
            return self._put(np.ascontiguousarray(wide.T).tobytes(), "u2", array.size)
        return self._put(array.astype("<u4").tobytes(), "u4", array.size)

    def floats(self, values: npt.ArrayLike) -> Reference:
        """Numbers in single precision; NaN for a blank."""
        array = np.asarray(values, dtype="<f4").ravel()
        return self._put(array.tobytes(), "f4", array.size)

    def words(self, values: Iterable[str]) -> dict[str, Any]:
        """Texts that repeat: each once, and its number for every row."""
        codes, names = pd.factorize(np.asarray(list(values), dtype=object))
        return {"names": [str(name) for name in names], "codes": self.integers(codes)}

    def intervals(
        self, value: npt.NDArray[Any], low: npt.NDArray[Any], high: npt.NDArray[Any]
    ) -> dict[str, Any]:
        """Values with the ends of their intervals, in steps of a 50,000th of their range.

        Args:
            value, low, high: shape (n,); NaN for a blank.

        Returns:
            `least` and `step`, and three columns: the value, and how far below and above it the ends lie.
        """
        known = np.concatenate([value, low, high])
        known = known[np.isfinite(known)]
        least, most = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if least >= 0 and most <= 1:
            least, most = 0.0, 1.0
        step = (most - least) / STEPS or 1.0
        whole, bottom, top = (np.rint((column - least) / step) for column in (value, low, high))
        return {
            "least": least,
            "step": step,
            "value": self.integers(_or_blank(whole)),
            "below": self.integers(_or_blank(whole - bottom)),
            "above": self.integers(_or_blank(top - whole)),
        }

    @property
    def size(self) -> int:
        """Bytes of all arrays, before compression."""
        return self._size

    def compressed(self) -> int:
        """Bytes that the arrays take so far once compressed."""
        return sum(len(gzip.compress(chunk, 6, mtime=0)) for chunk in self._chunks)

    def encode(self, header: Mapping[str, Any]) -> str:
        """Everything as base64, for the page's script to unpack."""
        text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
        text += b" " * (-len(text) % 4)
        whole = b"".join([np.uint32(len(text)).astype("<u4").tobytes(), text, *self._chunks])
        return packed(whole)

    def _put(self, chunk: bytes, kind: str, n: int) -> Reference:
        reference = {"at": self._size, "n": n, "type": kind}
        chunk += b"\0" * (-len(chunk) % 4)
        self._chunks.append(chunk)
        self._size += len(chunk)
        return reference


def packed(content: bytes) -> str:
    """`content` compressed, as base64; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


@cache
def plotly_script() -> str:
    """The installed package's plotly.js, packed: what draws the page's figures, once for all of them."""
    return packed((files("plotly") / "package_data" / "plotly.min.js").read_bytes())


def _or_blank(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    return np.where(np.isfinite(steps), np.clip(steps, 0, BLANK - 1), BLANK).astype(np.uint16)
