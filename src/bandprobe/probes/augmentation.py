"""Filters drawn anew for every image in every epoch of training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from bandprobe import seeding
from bandprobe.errors import InputError
from bandprobe.filters import KINDS, Filter, FilterBank, References, check, parse

PROBABILITY = 0.5
_FORM = re.compile(r"(?P<spec>.+?)(?:@(?P<probability>\d*\.?\d+))?")


@dataclass(frozen=True)
class Augmentation:
    """A filter, and how likely an image goes through it. Its text reads back."""

    filter: Filter
    probability: float = PROBABILITY

    def __str__(self) -> str:
        return f"{self.filter}@{self.probability:g}"


def augmentation(text: str) -> Augmentation:
    """An augmentation from `SPEC` or `SPEC@PROBABILITY`, e.g. `jpeg:75@0.3`; one half by default.

    Raises:
        FilterError: the spec cannot be parsed.
        InputError: the probability is not above 0 and at most 1.
    """
    match = _FORM.fullmatch(text)
    spec, probability = (match["spec"], match["probability"]) if match else (text, None)
    share = PROBABILITY if probability is None else float(probability)
    if not 0 < share <= 1:
        raise InputError(
            f"augment {text!r}: the probability behind @ must be above 0 and at most 1; got {probability}."
        )
    return Augmentation(parse(spec), share)


class Augmenter:
    """Augmentations in turn, for images of one size.

    Args:
        augmentations: what to apply, in order.
        shape: the images' height and width.
        references: what gives the references of `fda` and `inject`.
        seed: decides every draw.
        name: of what is trained, so that two trainings draw differently.

    Raises:
        FilterError: a filter makes no sense on this grid.
    """

    def __init__(
        self,
        augmentations: Sequence[Augmentation],
        shape: tuple[int, int],
        references: References,
        *,
        seed: int,
        name: str,
    ) -> None:
        self._augmentations, self._shape, self._references = tuple(augmentations), shape, references
        self._seed, self._name = seed, name
        for one in self._augmentations:
            check(one.filter, shape)
            for step in one.filter.steps:
                if step.reference is not None:
                    references.identity(one.filter)  # a reference that is not there is said at once

    def __call__(self, images: torch.Tensor, ids: Sequence[str], epoch: int) -> torch.Tensor:
        """The images of one batch, augmented.

        Args:
            images: float in [0, 1], shape (n, 3, h, w).
            ids: the images' ids. What an image goes through depends on its id and the epoch alone.
            epoch: draws are new in each.

        Returns:
            A tensor of the same shape, unclipped.
        """
        images = images.clone()
        for number, one in enumerate(self._augmentations):
            draw = (self._seed, "augment", self._name, number, epoch)
            chosen = [
                at
                for at, image in enumerate(ids)
                if seeding.generator(*draw, image).random() < one.probability
            ]
            if chosen:
                fresh = _reseeded(one.filter, int(seeding.generator(*draw).integers(2**31)))
                bank = FilterBank([fresh], self._shape, device=images.device, references=self._references)
                [(_, changed)] = bank(images[chosen], [ids[at] for at in chosen])
                images[chosen] = changed
        return images


def _reseeded(spec: Filter, seed: int) -> Filter:
    """The filter, drawing by another seed where it draws."""
    steps = (replace(step, seed=seed) if KINDS[step.kind].random else step for step in spec.steps)
    return Filter(tuple(steps))
