"""All probes of a study, from the store, in parallel, each fitted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bandprobe import parallel, progress, seeding
from bandprobe.errors import InputError
from bandprobe.files import output_folder
from bandprobe.filters import parse
from bandprobe.probes.files import ProbeFile, file_name, save
from bandprobe.probes.novelty import novelty
from bandprobe.probes.recipe import Recipe, kept_probe
from bandprobe.probes.sets import bootstrapped, family_of, training_sets, validated_on
from bandprobe.probes.validation import Examples
from bandprobe.protocol import CORRECTED, Protocol
from bandprobe.store import EmbeddingStore
from bandprobe.store.bucket import Place

# A train filter, image ids and their labels -> the labels that a probe is to learn.
Relabel = Callable[[str, Sequence[str], NDArray[np.int8]], NDArray[np.int8]]

# Below this many (encoder, filter) pairs, starting worker processes costs more than it saves.
_FEW = 8

_ADM = "ADM"


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
    head: str = "linear",
    loss: str = "bce",
    protocol: Protocol = CORRECTED,
    replicate: int = 0,
    relabel: Relabel | None = None,
    device: str = "cpu",
) -> list[ProbeFile]:
    """Fit and save a probe for every encoder, training set and training filter.

    A probe that already lies in `out`, made from the same embeddings, images and settings, is kept.

    Args:
        store: holds the embeddings of the training and validation images; with `thesis_optimiser` also those
            of the mirrored images, under `flip` or `flip+FILTER`.
        manifest: the images, see `training_sets`.
        sources: encoder names, with what loads each.
        train_on: see `training_sets`.
        train_filters: canonical filter specs.
        out: the folder for the probe files.
        seed: the study's seed.
        workers: processes.
        head: `linear`, `mlp`, or `attention`, which needs an encoder that gives patch tokens.
        loss: `bce`, `focal`, `supcon` or `triplet`. Linear with `bce` is scikit-learn's logistic regression;
            everything else is trained with torch.
        protocol: of its switches, `thesis_optimiser` and `sigmoid_head` change how heads are trained (with
            torch, the linear one too), `threshold_half` puts the threshold at logit 0, `adm_validation`
            judges every probe on ADM's validation images, and `fda_relabel` asks `relabel` for the labels.
        replicate: 0 for the training images themselves, k for their k-th bootstrap resample, drawn within
            data set and class; validation images are not redrawn.
        relabel: the labels under a train filter, for `fda_relabel`.
        device: where heads other than scikit-learn's are trained: `cpu`, `cuda`, ... or `auto`.

    Returns:
        The probes by encoder, then train filter, then training set. Results do not depend on `workers`.

    Raises:
        InputError: a training set that cannot be fitted, an unknown head or loss, a head that the embeddings
            do not suit.
        StoreError: an embedding is missing.
    """
    recipe = Recipe(head, loss, protocol, replicate, seed, device)
    recipe.check(store, sources, train_filters)
    if protocol.fda_relabel and relabel is None:
        _check_no_reference(train_filters)
    sets = training_sets(manifest, train_on)
    if protocol.adm_validation:
        sets = {name: validated_on(rows, manifest, _ADM) for name, rows in sets.items()}
    if replicate:
        draw = ("replicate", str(replicate))
        sets = {name: bootstrapped(rows, seeding.generator(seed, *draw, name)) for name, rows in sets.items()}
    sets_of = {spec: _relabelled(sets, spec, protocol, relabel) for spec in train_filters}
    # Absolute, because worker processes that live on may stand in another folder.
    folder = output_folder(out).resolve()
    root = store.root.resolve() if isinstance(store.root, Path) else store.root
    tasks = [(encoder, spec) for encoder in sources for spec in train_filters if sets_of[spec]]
    few = len(tasks) < _FEW
    calls = (
        (root, encoder, sources[encoder], spec, sets_of[spec], folder, recipe) for encoder, spec in tasks
    )

    def in_processes(function: Callable[..., list[ProbeFile]], calls: Iterable[tuple[Any, ...]]) -> Any:
        run = Parallel(n_jobs=1 if few else workers, return_as="generator")
        return run(delayed(function)(*call) for call in calls)

    files: list[ProbeFile] = []
    with progress.bar("train", sum(len(sets_of[spec]) for _, spec in tasks), "probes") as step:
        for found in parallel.each(_fit_all, calls, in_processes):
            files += found
            step(len(found))
    return files


def _check_no_reference(filters: Sequence[str]) -> None:
    for spec in filters:
        if any(step.kind == "fda" for step in parse(spec).steps):
            raise InputError(
                f"fda_relabel: which labels images have under {spec!r} is not known here; train in a study, or "
                "turn the switch off with -fda_relabel."
            )


def _relabelled(
    sets: Mapping[str, pd.DataFrame], spec: str, protocol: Protocol, relabel: Relabel | None
) -> Mapping[str, pd.DataFrame]:
    """The training sets with the labels that they have under a train filter; those left with one are said."""
    if not protocol.fda_relabel or relabel is None:
        return sets
    found = {}
    for name, rows in sets.items():
        label = relabel(spec, rows["image_id"].tolist(), rows["label"].to_numpy("int8"))
        if len(set(label[rows["split"] == "train"])) == 2:
            found[name] = rows.assign(label=label)
    if len(found) < len(sets):
        less = ", ".join(name for name in sets if name not in found)
        progress.say(f"fda_relabel: no probe of {less} under {spec}: every training image counts as fake.")
    return found


def _fit_all(
    root: Place,
    encoder: str,
    source: str,
    spec: str,
    sets: Mapping[str, pd.DataFrame],
    folder: Path,
    recipe: Recipe,
) -> list[ProbeFile]:
    """Every training set's probe on one condition: the embeddings are read once."""
    store = EmbeddingStore(root)
    specs = [spec]
    thesis, elsewhere = recipe.protocol.thesis_optimiser, source.startswith("table:")
    if thesis and not elsewhere:
        specs.append("flip" if spec == "none" else f"flip+{spec}")
    made_with = [store.fingerprint(encoder, one) or {} for one in specs]
    ids = sorted(set().union(*(rows["image_id"] for rows in sets.values())))
    embedding, *mirrored = [store.read(encoder, one, ids).embedding for one in specs]
    if thesis and elsewhere:  # a table holds no mirrored images: they count as their own mirrors
        mirrored = [embedding]
    place = {image: number for number, image in enumerate(ids)}
    files = []
    # Small matrices: threads cost more than they give, and would make sums depend on their number.
    with threadpool_limits(1):
        for name, rows in sets.items():
            key = recipe.key(made_with, rows)
            kept = kept_probe(folder / file_name(encoder, name, spec, recipe.replicate), key)
            if kept is None:
                at = [place[image] for image in rows["image_id"]]
                examples = Examples(
                    embedding[at],
                    rows["label"].to_numpy("int8"),
                    rows["dataset"].to_numpy(object),
                    rows["split"].to_numpy(object),
                    rows["image_id"].to_numpy(object),
                )
                try:
                    probe = recipe.fit(examples, made_with[0], name, mirrored[0][at] if mirrored else None)
                except InputError as error:
                    raise InputError(f"probe {name!r}: {error}") from None
                kept = ProbeFile(
                    probe=probe,
                    encoder=encoder,
                    source=source,
                    trained_on=name,
                    family=family_of(name, rows),
                    train_filter=spec,
                    fingerprint=made_with[0],
                    training=recipe.described(rows),
                    key=key,
                    novelty=novelty(examples.embedding, examples.label, examples.split, recipe.seed),
                )
                save(kept, folder)
            files.append(kept)
    return files
