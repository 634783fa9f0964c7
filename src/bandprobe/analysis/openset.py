"""The open-set protocol: every recipe trained without a generator, or without a family, and tested on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bandprobe import parallel, progress, seeding
from bandprobe.analysis.openset_cells import Cell, PairedCells, strictest_pd
from bandprobe.analysis.openset_folds import Fold, folds_of
from bandprobe.analysis.openset_summary import summary
from bandprobe.analysis.stored_conditions import stored_encoders, with_embeddings
from bandprobe.analysis.test_set import TestSet
from bandprobe.errors import InputError
from bandprobe.recipes import RECIPES, DetectorRecipe, TrainingSet, Vectors, named, stands_alone, without
from bandprobe.recipes.vectors import check_stored
from bandprobe.store import EmbeddingStore

COLUMNS = (
    "encoder", "recipe", "protocol", "left_out", "tested_on", "dataset", "family", "metric", "value", "low", "high",
    "against", "difference", "difference_low", "difference_high", "p_value", "n_real", "n_fake", "chosen", "reason",
)  # fmt: skip
REPLICATES = 4
RESAMPLES = 1000
_DECIMALS = 9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OpenSet:
    """What the protocol gives.

    Attributes:
        rows: with `COLUMNS`, a row for each encoder, recipe, left-out test set and metric.
        summary: with `openset_summary.COLUMNS`, a row for each encoder, recipe, protocol and metric.
    """

    rows: pd.DataFrame
    summary: pd.DataFrame


@dataclass(frozen=True)
class Subject:
    """Encoders that recipes take together, and these recipes."""

    encoders: tuple[str, ...]
    recipes: tuple[DetectorRecipe, ...]

    @property
    def name(self) -> str:
        """In tables."""
        return "+".join(self.encoders)

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """What must be stored."""
        return list(dict.fromkeys(one for each in self.recipes for one in each.conditions(self.encoders)))


def openset(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    *,
    encoders: Sequence[str] | None = None,
    recipes: Sequence[str] | None = None,
    by: Sequence[str] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    resamples: int = RESAMPLES,
    workers: int = 2,
) -> OpenSet:
    """Train every recipe on all generators but one, or but one family, and test it on who was left out.

    Whatever a recipe chooses (penalties, cut-offs, directions, weights of encoders, thresholds), it chooses on training
    and validation images of the other generators. Test reals are held out as ever. Each recipe is compared with the
    plain probe that was trained on the same images.

    Args:
        store: holds the embeddings; see `DetectorRecipe.filters`.
        manifest: the images.
        encoders: names in the store; by default all but compound ones, finished detectors and random twins.
        recipes: names; all by default, those that join encoders where there are two.
        by: `generator`, `family`; both by default, as far as the manifest has two families.
        replicates: how often everything is trained again on resamples of the training images, for what a mean
            difference owes to the images that happened to be there.
        seed: of every draw.
        resamples: of test images and generators.
        workers: processes.

    Returns:
        The rows and their summary. Metrics are `auroc` and the strictest PD@x% that the smallest test set allows.

    Raises:
        InputError: an unknown encoder, recipe or protocol; too few generators to leave one out.
        StoreError: an embedding is missing; the message names the filters to embed.
    """
    subjects = _subjects(store, encoders, recipes)
    for subject in subjects:
        check_stored(store, subject.conditions)
    conditions = [one for subject in subjects for one in subject.conditions]
    table = manifest
    for encoder in dict.fromkeys(encoder for encoder, _ in conditions):
        table = with_embeddings(
            table, store, [encoder], [spec for name, spec in conditions if name == encoder]
        )
    folds = folds_of(table, by, max(recipe.generators for one in subjects for recipe in one.recipes))
    n_real = min(int((one.label == 0).sum()) for fold in folds for one in fold.tests)
    pairs = PairedCells(("auroc", strictest_pd(n_real)), seed=seed, resamples=resamples)
    rows: list[dict[str, Any]] = []
    cells: list[Cell] = []
    with progress.bar("openset", len(subjects) * len(folds) * (1 + replicates), "trainings") as step:
        for subject in subjects:
            vectors = Vectors.read(store, subject.conditions, table["image_id"])
            for fold, trained in _trained(subject, vectors, table, folds, replicates, seed, workers, step):
                for number, one in enumerate(fold.tests):
                    found = pairs.compare(one, [[made.logits[number] for made in again] for again in trained])
                    names = [recipe.name for recipe in subject.recipes]
                    cells += [
                        Cell(
                            subject.name,
                            name,
                            fold.protocol,
                            fold.left_out,
                            one,
                            metric,
                            value,
                            plain,
                            drawn,
                            again,
                        )
                        for name, metric, value, plain, drawn, again in found.draws(names)
                    ]
                    rows += _rows(subject, fold, one, trained[0], found.rows())
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["value", "low", "high", "difference", "difference_low", "difference_high", "p_value"]
    frame[numbers] = frame[numbers].astype("float64").round(_DECIMALS) + 0.0
    return OpenSet(frame, summary(cells, replicates=replicates, seed=seed))


def _subjects(
    store: EmbeddingStore, encoders: Sequence[str] | None, recipes: Sequence[str] | None
) -> list[Subject]:
    held = list(stored_encoders(store, encoders))
    members = held if encoders is not None else [name for name in held if stands_alone(store.source(name))]
    if not members:
        raise InputError(
            f"the store {str(store.root)!r} holds compound encoders, detectors and random twins alone; embed an "
            "encoder, or name one with --encoder."
        )
    asked = named(recipes or RECIPES)
    together = tuple(recipe for recipe in asked if recipe.several)
    alone = tuple(recipe for recipe in asked if not recipe.several)
    found = [Subject((encoder,), alone) for encoder in members] if alone else []
    if together and len(members) > 1:
        found.append(Subject(tuple(members), together))
    elif together and recipes is not None:
        raise InputError(
            f"recipe {together[0].name!r} joins two encoders or more; got {members[0]}. Embed another one."
        )
    elif together:
        progress.say(f"{together[0].name} is left out: it joins encoders, and the store has one.")
    return found


@dataclass(frozen=True)
class _Made:
    """A recipe's logits on each test set, with the words that go with them."""

    logits: tuple[Floats, ...]
    chosen: str


def _trained(
    subject: Subject,
    vectors: Vectors,
    manifest: pd.DataFrame,
    folds: Sequence[Fold],
    replicates: int,
    seed: int,
    workers: int,
    step: Callable[[int], None],
) -> Iterator[tuple[Fold, list[list[_Made]]]]:
    """For every fold, and every training of it, the plain probe that counts and then each recipe's."""
    calls = (
        (subject, vectors, without(manifest, fold.generators), fold, again, seed)
        for fold in folds
        for again in range(1 + replicates)
    )

    def in_processes(function: Callable[..., list[_Made]], calls: Iterable[tuple[Any, ...]]) -> Any:
        run = Parallel(n_jobs=workers, return_as="generator")
        return run(delayed(function)(*call) for call in calls)

    done = iter(parallel.each(_fit, calls, in_processes))
    for fold in folds:
        trained = []
        for _ in range(1 + replicates):
            trained.append(next(done))
            step(1)
        yield fold, trained


def _fit(
    subject: Subject, vectors: Vectors, rows: pd.DataFrame, fold: Fold, again: int, seed: int
) -> list[_Made]:
    """Train once without a fold's generators."""
    name = f"without {fold.protocol}:{fold.left_out}"
    if again:
        rows = redrawn(rows, seeding.generator(seed, "openset", "training", again, name))
    with threadpool_limits(1):  # small matrices: threads cost more than they give
        training = TrainingSet(rows, vectors, seed=seed, name=name, again=(str(again),) if again else ())
        made = [subject.recipes[0].against(training, subject.encoders)]
        made += [recipe.make(training, subject.encoders) for recipe in subject.recipes]
        return [
            _Made(tuple(one.logits(vectors, test.image_id) for test in fold.tests), one.chosen)
            for one in made
        ]


def redrawn(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A training set with its images redrawn with replacement, within split, data set and class."""
    groups = rows.groupby(["split", "dataset", "label"], sort=True).indices
    drawn = [places[rng.integers(0, len(places), len(places))] for _, places in sorted(groups.items())]
    return rows.iloc[np.sort(np.concatenate(drawn))].reset_index(drop=True)


def _rows(
    subject: Subject,
    fold: Fold,
    one: TestSet,
    trained: Sequence[_Made],
    measured: Iterable[tuple[int, dict[str, Any]]],
) -> Iterator[dict[str, Any]]:
    """Rows of one test set: each recipe's values, and how they differ from the plain probe's."""
    base = trained[0].chosen or subject.encoders[0]
    for number, found in measured:
        recipe = subject.recipes[number]
        yield {
            "encoder": subject.name,
            "recipe": recipe.name,
            "protocol": fold.protocol,
            "left_out": fold.left_out,
            "tested_on": one.generator,
            "dataset": one.dataset,
            "family": one.family,
            "against": "" if recipe.name == "plain" else f"plain {base}",
            "n_real": int((one.label == 0).sum()),
            "n_fake": int((one.label == 1).sum()),
            "chosen": trained[1 + number].chosen,
            **found,
        }
