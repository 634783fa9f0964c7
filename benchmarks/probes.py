"""All probes of a study, from the store to their files, against scikit-learn's fits one after the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bandprobe import probes
from bandprobe.probes.linear import PENALTIES, LinearProbe
from bandprobe.probes.validation import log_loss
from bandprobe.seeding import generator
from bandprobe.store import EmbeddingStore, Rows, fingerprint
from side_by_side import THREADS, Row, check_equal, device, ratio

# Two converged fits of one C: what their mean validation losses, of some 0.3 nats, may differ by.
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Study:
    """The size of a study's training."""

    generators: int = 14
    filters: int = 8
    dim: int = 1024
    train: int = 500  # images of each source
    val: int = 200

    @property
    def specs(self) -> list[str]:
        """Its train filters."""
        return ["none", *(f"lowpass:{number}px" for number in range(1, self.filters))]


def rows(*, study: Study | None = None, rounds: int = 3) -> list[Row]:
    """Both sides on the same embeddings, each C of the same path fitted to the same tolerance.

    Raises:
        ArithmeticError: a chosen probe's validation loss is more than 1e-5 from scikit-learn's best.
    """
    study = study or Study()
    with TemporaryDirectory() as name:
        folder = Path(name)
        store, table = written(folder / "store", study)
        taken: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(rounds + 1):
            start = time.perf_counter()
            found = ours(store, table, study, folder / f"probes-{number}")
            between = time.perf_counter()
            losses = np.array(list(theirs(store, table, study)))
            if number:  # once without looking at the clock: worker processes start
                taken["ours"].append(between - start)
                taken["theirs"].append(time.perf_counter() - between)
            check_equal("probes", judged(found, store, table), losses.astype(np.float32), _TOLERANCE)
    return [
        Row(
            name="probes",
            ratio=ratio(taken["ours"], taken["theirs"]),
            target=2.0,
            ours=statistics.median(taken["ours"]),
            other=statistics.median(taken["theirs"]),
            unit=f"s for {study.generators} x {study.filters} probes of {2 * study.train} x {study.dim}, "
            f"{len(PENALTIES)} C each",
            device=device(),
        )
    ]


def seconds(study: Study) -> float:
    """How long training takes, without the start of worker processes."""
    with TemporaryDirectory() as name:
        store, table = written(Path(name) / "store", study)
        ours(store, table, study, Path(name) / "warm")
        start = time.perf_counter()
        ours(store, table, study, Path(name) / "probes")
        return time.perf_counter() - start


def written(root: Path, study: Study) -> tuple[EmbeddingStore, pd.DataFrame]:
    """A store of embeddings whose variance falls from axis to axis, as real ones' does, and its manifest."""
    draw = generator(0, "probes benchmark")
    spread = 1 / np.sqrt(1 + np.arange(study.dim) / 8)
    turn = np.linalg.qr(draw.standard_normal((study.dim, study.dim)))[0] * spread[:, None]
    names = ["Real", *(f"G{number:02d}" for number in range(study.generators))]
    table = pd.DataFrame(
        [
            (
                f"{source:02d}{number:062d}",
                name,
                int(source > 0),
                "data",
                "train" if number < study.train else "val",
            )
            for source, name in enumerate(names)
            for number in range(study.train + study.val)
        ],
        columns=["image_id", "generator", "label", "dataset", "split"],
    ).assign(family=lambda rows: np.where(rows["label"] == 1, "GAN", "Real"))
    store = EmbeddingStore(root)
    noise = draw.standard_normal((len(table), study.dim))
    marks = draw.standard_normal((len(names), study.dim)) * (np.arange(study.dim) < 50)
    marks[0] = 0
    signal = marks[table["generator"].map(names.index)]
    for place, spec in enumerate(study.specs):
        vectors = ((noise + 0.35 * 0.9**place * signal) @ turn).astype(np.float32)
        made = fingerprint({"weights": "none"}, geometry="squash:224", background="white", filter=spec)
        share = np.zeros(len(table), np.float32)
        store.write("made", made, Rows(table["image_id"].to_numpy(object), vectors, share, share))
    return store, table


def ours(store: EmbeddingStore, table: pd.DataFrame, study: Study, out: Path) -> list[probes.ProbeFile]:
    """What a study calls."""
    sets = [f"G{number:02d}" for number in range(study.generators)]
    return probes.train(store, table, {"made": "made"}, sets, study.specs, out, workers=THREADS)


def theirs(store: EmbeddingStore, table: pd.DataFrame, study: Study) -> Iterator[float]:
    """The best validation loss of each probe, every C fitted from zero, in float64.

    Their matrix products have one thread: with two each fit takes several times as long on matrices of this size.
    """
    with threadpool_limits(1):
        for spec in study.specs:
            embedding = store.read("made", spec, table["image_id"].tolist()).embedding.astype(np.float64)
            for number in range(study.generators):
                mine = table["generator"].isin(["Real", f"G{number:02d}"]).to_numpy()
                X, y = embedding[mine], table["label"].to_numpy()[mine]
                train = (table["split"] == "train").to_numpy()[mine]
                scaler = StandardScaler().fit(X[train])
                X = scaler.transform(X)
                fits = (
                    LogisticRegression(C=C, tol=1e-6, max_iter=5000).fit(X[train], y[train])
                    for C in PENALTIES
                )
                yield min(loss(fit.decision_function(X[~train]), y[~train]) for fit in fits)


def judged(found: list[probes.ProbeFile], store: EmbeddingStore, table: pd.DataFrame) -> NDArray[np.float32]:
    """The validation loss of each probe."""
    val = table[table["split"] == "val"]
    losses = []
    for file in found:
        mine = val[val["generator"].isin(["Real", file.trained_on])]
        held = store.read("made", file.train_filter, mine["image_id"].tolist()).embedding
        probe = file.probe
        if not isinstance(probe, LinearProbe):
            raise TypeError(f"probe {file.trained_on} is not linear.")
        losses.append(loss(probe.logits(held), mine["label"].to_numpy()))
    return np.array(losses, np.float32)


def loss(logits: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """Mean log loss of as many reals as fakes."""
    return log_loss(logits, label.astype(np.int8), np.ones(len(label)))
