"""The recipes by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from bandprobe.errors import InputError, did_you_mean
from bandprobe.filters.presets import CHANGES, PARTS, RADII, RANDOM_BANDSTOP, RANDOM_LOWPASS
from bandprobe.recipes.cutoff import chosen_cutoff
from bandprobe.recipes.invariance import concept_erased, nuisance_projected
from bandprobe.recipes.joining import bands, best_alone, radii, stacked
from bandprobe.recipes.made import Made
from bandprobe.recipes.one_condition import PLAIN, plain, trained_under
from bandprobe.recipes.training_set import TrainingSet
from bandprobe.recipes.vectors import Condition

Make = Callable[[TrainingSet, Sequence[str]], Made]


@dataclass(frozen=True)
class DetectorRecipe:
    """How a detector is made of stored embeddings.

    Attributes:
        name: as it is asked for.
        idea: what it does, in a line.
        filters: what it needs of each encoder, canonical specs.
        make: makes it of a training set and encoders.
        several: it takes two encoders or more together; else one.
        generators: how many the training set must have.
        against: makes the plain probe that it is held against.
    """

    name: str
    idea: str
    filters: tuple[str, ...]
    make: Make
    several: bool = False
    generators: int = 1
    against: Make = plain

    def conditions(self, encoders: Iterable[str]) -> list[Condition]:
        """What must be stored."""
        return [(encoder, spec) for encoder in encoders for spec in self.filters]


RECIPES: dict[str, DetectorRecipe] = {
    recipe.name: recipe
    for recipe in (
        DetectorRecipe("plain", "a probe on unfiltered images", (PLAIN,), plain),
        DetectorRecipe("bands", "one probe on low, middle and high frequencies side by side", (PLAIN, *PARTS), bands),
        DetectorRecipe("radii", "the mean logit of probes at low-pass cut-offs", (PLAIN, *RADII), radii),
        DetectorRecipe(
            "random-lowpass", "trained on images low-passed at random",
            (PLAIN, RANDOM_LOWPASS), partial(trained_under, spec=RANDOM_LOWPASS),
        ),
        DetectorRecipe(
            "random-bandstop", "trained on images that lack a band, drawn at random",
            (PLAIN, RANDOM_BANDSTOP), partial(trained_under, spec=RANDOM_BANDSTOP),
        ),
        DetectorRecipe(
            "chosen-cutoff", "behind the low-pass that serves unseen training generators best",
            (PLAIN, *RADII), chosen_cutoff, generators=2,
        ),
        DetectorRecipe(
            "leace", "what tells high-passed from unfiltered taken out of the embedding",
            (PLAIN, *CHANGES), concept_erased,
        ),
        DetectorRecipe(
            "nuisance", "the directions that high-passes change most taken out of the embedding",
            (PLAIN, *CHANGES), nuisance_projected, generators=2,
        ),
        DetectorRecipe(
            "stacked", "the plain probes of several encoders, weighed on validation",
            (PLAIN,), stacked, several=True, against=best_alone,
        ),
    )
}  # fmt: skip


def named(names: Iterable[str]) -> list[DetectorRecipe]:
    """Recipes by name, in the order given, each once.

    Raises:
        InputError: there is no recipe of a name.
    """
    asked = list(dict.fromkeys(names))
    for name in asked:
        if name not in RECIPES:
            raise InputError(
                f"there is no recipe {name!r}.{did_you_mean(name, RECIPES)} There are {', '.join(RECIPES)}."
            )
    return [RECIPES[name] for name in asked]
