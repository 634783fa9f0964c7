"""How often a verdict about families is wrong, with five generators of each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.analysis.hierarchy import Hierarchy, Scope
from bandprobe.metrics import wilson
from bandprobe.probes import LinearProbe, ProbeFile
from bandprobe.selftest.coverage import RESAMPLES

COLUMNS = (
    "statement",
    "trainings",
    "difference",
    "draws",
    "supported",
    "contradicted",
    "wrong",
    "wrong_high",
    "holds",
    "passed",
)
LEVEL = 0.05
DRAWS = 400

_ENCODERS = ("first", "second")
_FAMILIES = {f"gan-{i}": "gan" for i in range(5)} | {f"diffusion-{i}": "diffusion" for i in range(5)}
_IMAGES = 40  # of each generator, and as many reals
_DISTANCE = 1.2  # between reals and fakes, in standard deviations
_SPREAD, _TRAINED = 0.4, 0.1  # of it, between generators and between trainings of a probe

Floats = NDArray[np.float64]


def family_claims(
    draws: int = DRAWS, *, trainings: int = 3, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Verdicts about the difference of two encoders' AUROC, where there is none and where there is one.

    Ten generators of two families are drawn anew for each study. How well an encoder's probes find a generator's
    fakes, and how well a probe of a generator does anywhere, vary from encoder to encoder and generator to
    generator; each training of a probe varies too. The verdict is that of `claims`: supported where the 95 %
    interval of `Hierarchy` lies above the margin, contradicted where below. The margin is 0, so that without a
    difference the truth is as near to it as can be.

    Args:
        draws: studies of each row.
        trainings: of each probe.
        resamples: of each study's bootstrap.
        seed: of every draw.

    Returns:
        A row for each statement (own generator; other family; from the first family to the second) and difference.
        `wrong` is the share of verdicts that contradict the truth: any where there is no difference; `holds` says
        whether it is at most 5 %, `passed` whether what was drawn leaves that open.
    """
    rows = []
    with progress.bar("families", 2 * draws, "studies") as step:
        for difference in (0.0, 1.0):
            ends: dict[str, list[tuple[float, float]]] = {}
            for number in range(draws):
                rng = seeding.generator(seed, "family claims", difference, number)
                for statement, interval in _study(difference, trainings, resamples, number, rng).items():
                    ends.setdefault(statement, []).append(interval)
                step()
            for statement, found in ends.items():
                low, high = np.array(found).T
                above, below = int((low > 0).sum()), int((high < 0).sum())
                wrong = below if difference else above + below
                rows.append(
                    {
                        "statement": statement,
                        "trainings": trainings,
                        "difference": difference,
                        "draws": draws,
                        "supported": above / draws,
                        "contradicted": below / draws,
                        "wrong": wrong / draws,
                        "wrong_high": float(wilson(wrong, draws)[1]),
                        "holds": "yes" if wrong / draws <= LEVEL else "no",
                        "passed": float(wilson(wrong, draws)[0]) <= LEVEL,
                    }
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _study(
    difference: float, trainings: int, resamples: int, number: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """The interval of each statement in one study."""
    store = _Store(difference, trainings, rng)
    grid = Hierarchy(
        store,  # type: ignore[arg-type]
        store.manifest,
        store.probes(0),
        [store.probes(training) for training in range(1, trainings)],
        seed=number,
        resamples=resamples,
    )
    scopes: dict[str, Scope | None] = {
        "own generator": grid.own(),
        "other family": grid.across(),
        "one family to the other": grid.across("gan", "diffusion"),
    }
    found = {}
    for statement, scope in scopes.items():
        if scope is None:
            continue
        first, second = (grid.mean(encoder, "none", "none", scope) for encoder in _ENCODERS)
        low, high = np.nanquantile((first - second)[1:], [0.025, 0.975])
        found[statement] = float(low), float(high)
    return found


class _Store:
    """Embeddings whose coordinates are the probes' scores: all that `Hierarchy` asks of a store."""

    def __init__(self, difference: float, trainings: int, rng: np.random.Generator) -> None:
        names = list(_FAMILIES)
        rows = [("Real", "real", 0)] * _IMAGES
        rows += [(name, family, 1) for name, family in _FAMILIES.items() for _ in range(_IMAGES)]
        table = pd.DataFrame(rows, columns=["generator", "family", "label"])
        self.manifest = table.assign(
            image_id=[f"{i:064x}" for i in range(len(table))], dataset="x", split="test"
        )
        self.width = len(names) * trainings
        self._held: dict[str, NDArray[np.float32]] = {}
        common = rng.standard_normal((len(table), self.width))
        for encoder in _ENCODERS:
            scores = common + rng.standard_normal(common.shape)
            tested = _SPREAD * rng.standard_normal(len(names))
            trained = _SPREAD * rng.standard_normal(len(names))
            each = _SPREAD / 2 * rng.standard_normal((len(names), len(names)))
            runs = _TRAINED * rng.standard_normal(self.width)
            better = difference / 2 if encoder == _ENCODERS[0] else -difference / 2
            for column in range(self.width):
                probe = column % len(names)
                for place, name in enumerate(names):
                    distance = (
                        _DISTANCE
                        + better
                        + tested[place]
                        + trained[probe]
                        + each[probe, place]
                        + runs[column]
                    )
                    scores[table["generator"] == name, column] += np.sqrt(2) * distance
            self._held[encoder] = scores.astype(np.float32)

    def read(self, encoder: str, spec: str, ids: list[str]) -> Any:
        """Rows of the ids, which are numbers."""
        return SimpleNamespace(embedding=self._held[encoder][[int(image, 16) for image in ids]])

    def probes(self, training: int) -> list[ProbeFile]:
        """The probes of one training: each reads one coordinate."""
        found = []
        for encoder in _ENCODERS:
            for place, (name, family) in enumerate(_FAMILIES.items()):
                weight = np.zeros(self.width)
                weight[training * len(_FAMILIES) + place] = 1.0
                head = LinearProbe(
                    np.zeros(self.width), np.ones(self.width), weight, 0.0, 0.0, 1.0, 0.0, 1.0, "split"
                )
                found.append(ProbeFile(head, encoder, encoder, name, family, "none", {}, {}))
        return found
