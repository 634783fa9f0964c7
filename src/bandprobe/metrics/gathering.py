"""Sums over images, gathered in blocks and joined: memory does not grow with their number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from operator import iadd, isub
from typing import Any, ClassVar, TypeVar

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.grey import Images, checked_grey

Self = TypeVar("Self", bound="Gathered")

BLOCK = 150_000  # pixels taken at a time: their intermediate results should stay in cache


def block_of(size: int) -> int:
    """Images of `size` pixels a side that are taken at a time."""
    return max(1, BLOCK // size**2)


class Gathered(ABC):
    """What is summed over the images of one source.

    Args:
        size: side of the images, even.

    Raises:
        ShapeError: size is odd or below 4.
    """

    _sums: ClassVar[tuple[str, ...]]  # the attributes that add up

    def __init__(self, size: int) -> None:
        if size < 4 or size % 2:
            raise ShapeError(f"size must be even and at least 4; got {size}. Crop to an even square.")
        self.size = size
        self.count = 0

    def add(self: Self, images: Images) -> Self:
        """Add a batch.

        Args:
            images: grey, shape (n, size, size); floats in [-1, 1], or uint8 levels, which stand for
                `level / 127.5 - 1` and are taken exactly.

        Returns:
            This object.

        Raises:
            ShapeError: images is not (n, size, size) with this size.
        """
        checked = checked_grey(images, self.size)
        block = block_of(self.size)
        for begin in range(0, len(checked), block):
            self._add(checked[begin : begin + block])
        self.count += len(checked)
        return self

    def merge(self: Self, other: Self) -> Self:
        """Add what another object gathered, e.g. in another thread.

        Args:
            other: of the same size and kind; left as it is.

        Returns:
            This object.

        Raises:
            InputError: the other is of another size or kind.
        """
        return self._join(other, iadd)

    def remove(self: Self, other: Self) -> Self:
        """Take away again what another object gathered from images that were added here; see `merge`."""
        return self._join(other, isub)

    def _join(self: Self, other: Self, how: Callable[[Any, Any], Any]) -> Self:
        if (self.size, self.kind) != (other.size, other.kind):
            raise InputError(
                f"other must have size {self.size} and {self.kind}; got {other.size} and {other.kind}. "
                "Gather both alike."
            )
        for name in ("count", *self._sums):
            setattr(self, name, how(getattr(self, name), getattr(other, name)))
        return self

    @property
    @abstractmethod
    def kind(self) -> str:
        """What is gathered, in words."""

    @abstractmethod
    def _add(self, images: Images) -> None:
        """Add a block of checked images."""

    @property
    def _n(self) -> int:
        if self.count < 1:
            raise InputError(f"{type(self).__name__} holds no image yet; add a batch first.")
        return self.count
