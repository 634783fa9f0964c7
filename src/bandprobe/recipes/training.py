"""`train --recipe`: a recipe's detectors as ordinary probe files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.files import output_folder
from bandprobe.probes.files import FORMAT, ProbeFile, recipe_set, save
from bandprobe.probes.linear import PENALTIES
from bandprobe.probes.novelty import novelty
from bandprobe.probes.recipe import KEPT, kept_probe
from bandprobe.probes.sets import family_of, training_sets
from bandprobe.recipes.catalogue import DetectorRecipe, named
from bandprobe.recipes.compound import joined, write
from bandprobe.recipes.made import Made
from bandprobe.recipes.training_set import TrainingSet
from bandprobe.recipes.vectors import Vectors
from bandprobe.store import EmbeddingStore

_MADE_ANEW = "1"  # raised when a recipe changes


def groups(recipe: DetectorRecipe, encoders: Sequence[str]) -> list[tuple[str, ...]]:
    """The encoders that a recipe takes together.

    Raises:
        InputError: it takes several, and one is there.
    """
    if not recipe.several:
        return [(encoder,) for encoder in encoders]
    if len(encoders) < 2:
        raise InputError(
            f"recipe {recipe.name!r} joins two encoders or more; got {', '.join(encoders)}. Embed another one."
        )
    return [tuple(encoders)]


def train(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    encoders: Sequence[str],
    recipe: str,
    train_on: Sequence[str],
    out: str | Path,
    *,
    seed: int = 0,
) -> list[ProbeFile]:
    """Make and save a recipe's detector of every encoder and training set.

    Each is one linear probe of one encoder, perhaps a compound one, on unfiltered images; `score`, `evaluate`,
    `explore` and `publish` take it. The vectors of a compound encoder are put into the store, joined from what is
    there. A detector that already lies in `out`, made from the same embeddings, images and settings, is kept.

    Args:
        store: holds the embeddings; `DetectorRecipe.filters` says under which filters.
        manifest: the images, see `probes.training_sets`.
        encoders: names in the store.
        recipe: its name.
        train_on: see `probes.training_sets`.
        out: the folder for the probe files.
        seed: the study's seed.

    Returns:
        The probes by encoder, then training set.

    Raises:
        InputError: an unknown recipe, a training set that cannot be fitted or has too few generators, too few
            encoders.
        StoreError: an embedding is missing; the message names the filters to embed.
        DiskError: a file cannot be written.
    """
    (asked,) = named([recipe])
    sets = training_sets(manifest, train_on)
    of = groups(asked, encoders)
    folder = output_folder(out)
    ids = sorted(set().union(*(rows["image_id"] for rows in sets.values())))
    files = []
    with progress.bar("train", len(of) * len(sets), "probes") as step, threadpool_limits(1):
        for members in of:
            conditions = asked.conditions(members)
            vectors = Vectors.read(store, conditions, ids)
            made_with = [store.fingerprint(*condition) or {} for condition in conditions]
            for name, rows in sets.items():
                images = rows[["image_id", "label", "generator", "dataset", "split"]].to_csv(index=False)
                facts = [FORMAT, KEPT, _MADE_ANEW, asked.name, made_with, images, seed, PENALTIES]
                key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
                kept = _kept(folder, key)
                if kept is None:
                    training = TrainingSet(rows, vectors, seed=seed, name=name)
                    try:
                        made = asked.make(training, members)
                    except InputError as error:
                        raise InputError(f"recipe {asked.name!r} on {name!r}: {error}") from None
                    kept = _file(store, made, training, asked, name, key, seed)
                    save(kept, folder)
                parts = [(str(encoder), str(spec)) for encoder, spec in kept.training["parts"]]
                write(store, joined(store, parts, asked.name), parts, _everywhere(store, manifest, parts))
                files.append(kept)
                step()
    return files


def _kept(folder: Path, key: str) -> ProbeFile | None:
    """The detector of that key that an earlier run left, whatever was chosen for it and so its name."""
    found = (kept_probe(path, key) for path in sorted(folder.glob("*.safetensors")))
    return next((file for file in found if file is not None), None)


def _file(
    store: EmbeddingStore,
    made: Made,
    training: TrainingSet,
    recipe: DetectorRecipe,
    name: str,
    key: str,
    seed: int,
) -> ProbeFile:
    encoder = joined(store, made.parts, recipe.name)
    rows = training.rows
    words = rows["split"] + rows["label"].map({0: " real", 1: " fake"})
    return ProbeFile(
        probe=made.probe,
        encoder=encoder.name,
        source=encoder.source,
        trained_on=recipe_set(name, recipe.name),
        family=family_of(name, rows),
        train_filter="none",
        fingerprint=encoder.fingerprint,
        training={
            "generators": training.generators,
            "datasets": sorted(set(rows["dataset"])),
            "images": {str(word): int(n) for word, n in words.value_counts().sort_index().items()},
            "seed": seed,
            "head": "linear",
            "loss": "bce",
            "protocol": [],
            "replicate": 0,
            "recipe": recipe.name,
            "chosen": made.chosen,
            "parts": [list(part) for part in made.parts],
        },
        key=key,
        novelty=novelty(
            training.embedding(*made.parts), training.label, rows["split"].to_numpy(object), seed
        ),
    )


def _everywhere(store: EmbeddingStore, manifest: pd.DataFrame, parts: Iterable[tuple[str, str]]) -> list[str]:
    """The manifest's images that the store holds under every part."""
    common = set(manifest["image_id"])
    for encoder, spec in parts:
        made = store.fingerprint(encoder, spec)
        common &= store.present(encoder, made) if made else set()
    return sorted(common)
