"""The filter grammar: links chained with `+`, presets and ranges, and its canonical print.

This module imports nothing heavy, so that specs can be parsed and listed at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from bandprobe.errors import FilterError, did_you_mean
from bandprobe.filters.kinds import KINDS, Cutoff
from bandprobe.filters.presets import PRESETS
from bandprobe.filters.steps import LONGEST_RANGE, Step, read_link

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Images = TypeVar("Images", torch.Tensor, NDArray[np.floating[Any]])


@dataclass(frozen=True)
class Filter:
    """A filter spec: one step, or several applied in turn. Callable on images."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))

    @property
    def kind(self) -> str:
        """The step's kind; of a chain, its kinds joined with `+`."""
        return "+".join(step.kind for step in self.steps)

    @property
    def cutoff(self) -> Cutoff | None:
        """The cut-off, where exactly one step has one."""
        cutoffs = [step.cutoff for step in self.steps if step.cutoff is not None]
        return cutoffs[0] if len(cutoffs) == 1 else None

    @property
    def sweep(self) -> str:
        """The spec with its cut-off left out: filters of one sweep share it, e.g. `lowpass:order=2`."""
        return "+".join(str(replace(step, cutoff=None)) for step in self.steps)

    @property
    def slug(self) -> str:
        """The spec as a part of a file name: `: = / .` become `-`."""
        return re.sub(r"[:=/.]", "-", str(self))

    @property
    def needs_references(self) -> bool:
        """Whether it takes something from another image."""
        return any(step.reference is not None for step in self.steps)

    @property
    def needs_ids(self) -> bool:
        """Whether something is drawn for each image: a reference, a cut-off or noise."""
        return any(KINDS[step.kind].random for step in self.steps)

    @property
    def transforms(self) -> bool:
        """Whether it works on the Fourier transform, rather than on pixels alone."""
        return any(
            step.is_mask or step.span is not None or step.kind in ("fda", "inject") for step in self.steps
        )

    def __call__(
        self, images: Images, *, ids: Sequence[str] | None = None, references: Images | None = None
    ) -> Images:
        """Filter a batch of images, each on its own grid.

        Args:
            images: float, shape (n, 3, h, w) or any (..., h, w), values nominally in [0, 1];
                a NumPy array or a torch tensor on any device. What is more than a mask needs
                (..., 3, h, w).
            ids: the images' ids, for what is drawn for each image; by default an image's own pixels decide.
            references: float images in [0, 1] in place of the file that the spec names, one for all or one
                each, shape (1, 3, H, W) or (n, 3, H, W); resized, which is said, where their size differs.

        Returns:
            The same kind, shape and dtype; unclipped unless the spec says `bits=8`.

        Raises:
            ShapeError: not a floating array of the shape needed.
            FilterError: the filter passes no frequency of this grid.
            InputError: the reference is no image file.
        """
        from bandprobe.filters.bank import apply

        filtered: Images = apply(self, images, ids, references)
        return filtered


def parse(spec: str) -> Filter:
    """The filter that a spec names.

    Args:
        spec: e.g. `lowpass:30px`, `highpass:0.25nyq:order=2:dc=zero`, `jpeg:75+lowpass:30px`,
            `fda:0.01:reference=photo.png`.

    Returns:
        A `Filter`; `str()` of it is the canonical spec, and parses to an equal filter.

    Raises:
        FilterError: unknown kind or key, a value out of range, or a spec that names several filters.
    """
    filters = expand(spec)
    if len(filters) != 1:
        raise FilterError(
            f"filter {spec!r} names {len(filters)} filters where one is expected; "
            "take one of them, or give it where a list of filters is accepted."
        )
    return filters[0]


def expand(specs: str | Iterable[str]) -> list[Filter]:
    """All filters that specs name: presets and ranges expanded, commas split, repeats left out.

    Raises:
        FilterError: as `parse`, or nothing named at all.
    """
    given = [specs] if isinstance(specs, str) else list(specs)
    found: dict[Filter, None] = {}
    for text in (part.strip() for parts in given for part in parts.split(",") if part.strip()):
        chains: list[tuple[Step, ...]] = [()]
        for link in map(str.strip, text.split("+")):
            meant = _meant(link, text)
            if len(chains) > 1 and len(chains) * len(meant) > LONGEST_RANGE:
                raise FilterError(
                    f"filter {text[:200]!r}: the ranges of its links may come to at most {LONGEST_RANGE:,} filters "
                    "together; take longer steps."
                )
            chains = [(*chain, *steps) for chain in chains for steps in meant]
        found.update(dict.fromkeys(Filter(_normal(chain)) for chain in chains))
    if not found:
        raise FilterError("no filter is given; try none, identity, lowpass:30px or thesis.")
    return list(found)


def _meant(link: str, spec: str) -> list[tuple[Step, ...]]:
    """The chains that one link stands for: a preset's, a range's, or a single step.

    Args:
        link: what stands between two `+`.
        spec: the whole spec, for messages.
    """
    if link in PRESETS:
        return [chain.steps for chain in expand(PRESETS[link])]
    name = link.partition(":")[0]
    if name not in KINDS:
        place = "" if spec == name else f" in {spec!r}"
        if name in PRESETS:
            raise FilterError(
                f"the preset {name!r}{place} takes nothing after it. `bandprobe filters` lists them."
            )
        said = did_you_mean(name, [*KINDS, *PRESETS])
        raise FilterError(f"unknown filter {name!r}{place}.{said} `bandprobe filters` lists them.")
    return [(step,) for step in read_link(link, spec)]


def _normal(chain: tuple[Step, ...]) -> tuple[Step, ...]:
    """A chain without the `none` links that do nothing."""
    return tuple(step for step in chain if step.kind != "none") or chain[:1]
