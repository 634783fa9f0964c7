"""What an encoder's vectors say of a scene: linear probes of its attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.datasets.captions import attributes, caption
from bandprobe.datasets.scenes import draw_scene
from bandprobe.encoders import Encoder
from zoo.diversity import reduced
from zoo.fingerprints import Floats, from_resamples, resamples

WORDS = ("shape", "size", "count", "colour", "ground", "light", "texture", "sharpness")
NUMBERS = ("texture_slope",)
ATTRIBUTES = (*WORDS, *NUMBERS)

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # of the logistic probe: scikit-learn's C
_RIDGES = tuple(np.logspace(-1, 5, 13))
_HELD_OUT = 5  # one in five of the training scenes chooses C


def scenes(count: int, purpose: str, seed: int = 0) -> pd.DataFrame:
    """Caption and attributes of the first scenes of a purpose, row i of photograph i; nothing is rendered."""
    drawn = (draw_scene(seeding.generator(seed, "scene", purpose, number)) for number in range(count))
    return pd.DataFrame([{"caption": caption(scene), **attributes(scene)} for scene in drawn])


@dataclass(frozen=True)
class Losses:
    """What a probe gets wrong on each of n test images, and a probe that looks at nothing; each (n,).

    Attributes:
        own: 0 or 1 for a word, the squared error for a number.
        base: 1 for a word, the squared distance to the mean for a number.
    """

    own: Floats
    base: Floats

    def score(self, counts: NDArray[np.uint8]) -> Floats:
        """1 less the ratio of the sums in each resample: accuracy of a word, R^2 of a number."""
        weights = counts.astype(np.float64)
        found: Floats = 1 - weights @ self.own / (weights @ self.base)
        return found


def probe(train: tuple[Floats, pd.DataFrame], test: tuple[Floats, pd.DataFrame], attribute: str) -> Losses:
    """Fit one attribute linearly on standardised vectors and try it on other scenes.

    Args:
        train, test: vectors, shape (n, d), and the scenes' attributes.
        attribute: of `ATTRIBUTES`. A colour is right where it is one of the two that lead.

    Returns:
        The losses on the test scenes.
    """
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(train[0])
    X, Z = scale.transform(train[0]), scale.transform(test[0])
    y, z = train[1][attribute].to_numpy(), test[1][attribute].to_numpy()
    if attribute in NUMBERS:
        from sklearn.linear_model import RidgeCV

        fitted = RidgeCV(_RIDGES).fit(X, y.astype(float))
        return Losses(np.square(z - fitted.predict(Z)), np.square(z - z.mean()).astype(float))
    named = _logistic(X, y).predict(Z)
    right = named == z
    if attribute == "colour":
        right |= named == test[1]["second_colour"].to_numpy()
    return Losses(1.0 - right, np.ones(len(z)))


def chance(train: pd.DataFrame, test: pd.DataFrame, attribute: str) -> float:
    """The score of always saying what the training scenes have most often, or their mean."""
    if attribute in NUMBERS:
        return 0.0
    most = train[attribute].mode()[0]
    right = test[attribute] == most
    return float((right | (test["second_colour"] == most) if attribute == "colour" else right).mean())


def vectors(encoder: Encoder, images: NDArray[np.uint8]) -> Floats:
    """An encoder's vectors of uint8 images, shape (n, h, w, 3), in float64."""
    found = [
        encoder.encode(images[start : start + 100].transpose(0, 3, 1, 2).astype(np.float32) / 255)
        for start in range(0, len(images), 100)
    ]
    return np.concatenate(found).astype(np.float64)


def pixels(images: NDArray[np.uint8]) -> Floats:
    """The baseline: images reduced to 16 x 16, shape (n, 768)."""
    return reduced(images).reshape(len(images), -1)


def table(losses: Mapping[str, Mapping[str, Sequence[Losses]]], twin: str, *, seed: int = 0) -> pd.DataFrame:
    """Scores of every encoder, of each of its seeds and of their mean, with 95 % bootstrap intervals.

    Args:
        losses: by encoder and attribute, of each seed in turn, all on the same test images.
        twin: the encoder of random weights whose mean over seeds is taken from every other's.
        seed: of the resamples, which all share: differences are paired.

    Returns:
        Rows of `encoder`, `seed` (a number or `mean`), `attribute`, `value`, `low`, `high` and, of means,
        `difference` to the twin with `difference_low` and `difference_high`. Intervals are over test
        images; how seeds differ is for their own rows to show.
    """
    n = len(losses[twin][ATTRIBUTES[0]][0].own)
    counts = resamples(n, seed, "probes")
    rows = []
    for encoder, of in losses.items():
        for attribute, runs in of.items():
            scores = [run.score(counts) for run in runs]
            for number, score in enumerate(scores):
                value, low, high = from_resamples(score)
                rows.append(_row(encoder, str(number), attribute, value, low, high))
            mean = np.mean(scores, axis=0)
            value, low, high = from_resamples(mean)
            rows.append(_row(encoder, "mean", attribute, value, low, high))
            if encoder != twin:
                untrained = np.mean([run.score(counts) for run in losses[twin][attribute]], axis=0)
                difference = from_resamples(mean - untrained)
                names = ("difference", "difference_low", "difference_high")
                rows[-1] |= dict(zip(names, difference, strict=True))
    return pd.DataFrame(rows)


def _row(encoder: str, seed: str, attribute: str, value: float, low: float, high: float) -> dict[str, object]:
    return {
        "encoder": encoder, "seed": seed, "attribute": attribute, "value": value, "low": low, "high": high
    }  # fmt: skip


def _logistic(X: Floats, y: NDArray[np.object_]) -> Any:
    """The probe whose penalty does best on a fifth of the scenes, then fitted on all."""
    from sklearn.linear_model import LogisticRegression

    held = np.arange(len(y)) % _HELD_OUT == 0

    def fitted(penalty: float, rows: NDArray[np.bool_]) -> Any:
        return LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(X[rows], y[rows])

    best = max(_PENALTIES, key=lambda penalty: fitted(penalty, ~held).score(X[held], y[held]))
    return fitted(best, np.ones(len(y), bool))
