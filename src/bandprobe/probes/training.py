"""All probes of a study, from the store, in parallel, each fitted once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from bandprobe import progress, seeding
from bandprobe.errors import InputError
from bandprobe.files import output_folder
from bandprobe.probes.files import FORMAT, ProbeFile, file_name, load, save
from bandprobe.probes.linear import PENALTIES, Examples, fit
from bandprobe.probes.sets import training_sets
from bandprobe.store import EmbeddingStore, Fingerprint

# Below this many (encoder, filter) pairs, starting worker processes costs more than it saves.
_FEW = 8


def train(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    sources: Mapping[str, str],
    train_on: Sequence[str],
    train_filters: Sequence[str],
    out: str | Path,
    *,
    seed: int = 0,
    workers: int = 2,
) -> list[ProbeFile]:
    """Fit and save a probe for every encoder, training set and training filter.

    A probe that already lies in `out`, made from the same embeddings, images and settings, is kept.

    Args:
        store: holds the embeddings of the training and validation images.
        manifest: the images, see `training_sets`.
        sources: encoder names, with what loads each.
        train_on: see `training_sets`.
        train_filters: canonical filter specs.
        out: the folder for the probe files.
        seed: the study's seed.
        workers: processes.

    Returns:
        The probes by encoder, then train filter, then training set. Results do not depend on `workers`.

    Raises:
        InputError: a training set that cannot be fitted.
        StoreError: an embedding is missing.
    """
    # Absolute, because worker processes that live on may stand in another folder.
    folder, root = output_folder(out).resolve(), store.root.resolve()
    sets = training_sets(manifest, train_on)
    tasks = [(encoder, spec) for encoder in sources for spec in train_filters]
    few = len(tasks) < _FEW
    run = Parallel(n_jobs=1 if few else workers, return_as="generator")
    calls = (
        delayed(_fit_all)(root, encoder, sources[encoder], spec, sets, folder, seed)
        for encoder, spec in tasks
    )
    files: list[ProbeFile] = []
    with progress.bar("train", len(tasks) * len(sets), "probes") as step:
        for found in run(calls):
            files += found
            step(len(found))
    return files


def _fit_all(
    root: Path,
    encoder: str,
    source: str,
    spec: str,
    sets: Mapping[str, pd.DataFrame],
    folder: Path,
    seed: int,
) -> list[ProbeFile]:
    """Every training set's probe on one condition: the embeddings are read once."""
    store = EmbeddingStore(root)
    made_with = store.fingerprint(encoder, spec) or {}
    ids = sorted(set().union(*(rows["image_id"] for rows in sets.values())))
    embedding = store.read(encoder, spec, ids).embedding
    place = {image: number for number, image in enumerate(ids)}
    files = []
    # Small matrices: threads cost more than they give, and would make sums depend on their number.
    with threadpool_limits(1):
        for name, rows in sets.items():
            key = _key(made_with, rows, seed)
            kept = _kept(folder / file_name(encoder, name, spec), key)
            if kept is None:
                examples = Examples(
                    embedding[[place[image] for image in rows["image_id"]]],
                    rows["label"].to_numpy("int8"),
                    rows["dataset"].to_numpy(object),
                    rows["split"].to_numpy(object),
                )
                try:
                    # The folds depend on the images alone, so that conditions and encoders are paired.
                    probe = fit(examples, rng=seeding.generator(seed, "folds", name))
                except InputError as error:
                    raise InputError(f"probe {name!r}: {error}") from None
                fakes = rows[rows["label"] == 1]
                families = sorted(set(fakes["family"]))
                words = rows["split"] + rows["label"].map({0: " real", 1: " fake"})
                kept = ProbeFile(
                    probe=probe,
                    encoder=encoder,
                    source=source,
                    trained_on=name,
                    family="all" if name == "all" else families[0],
                    train_filter=spec,
                    fingerprint=made_with,
                    training={
                        "generators": sorted(set(fakes["generator"])),
                        "datasets": sorted(set(rows["dataset"])),
                        "images": {
                            str(word): int(n) for word, n in words.value_counts().sort_index().items()
                        },
                        "seed": seed,
                    },
                    key=key,
                )
                save(kept, folder)
            files.append(kept)
    return files


def _key(made_with: Fingerprint, rows: pd.DataFrame, seed: int) -> str:
    """A hash of everything that decides a probe."""
    images = rows[["image_id", "label", "dataset", "split"]].to_csv(index=False)
    facts = json.dumps([FORMAT, made_with, images, seed, PENALTIES])
    return hashlib.sha256(facts.encode()).hexdigest()


def _kept(path: Path, key: str) -> ProbeFile | None:
    """The probe that an earlier run left, if it is the one wanted."""
    if not path.is_file():
        return None
    try:
        found = load(path)
    except InputError:
        return None  # damaged, or of an older format: made anew
    return found if found.key == key else None
