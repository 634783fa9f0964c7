"""Metrics averaged over mini-batches, against scikit-learn batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from bandprobe.metrics.batches import BATCHED, batch_means


def data(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    fake = rng.random(n) < 0.5
    return fake, rng.standard_normal((3, n)) + fake * np.array([[0.0], [1.0], [3.0]])


def test_every_mean_is_that_of_scikit_learn_over_batches() -> None:
    fake, scores = data(300)
    found = batch_means(fake, scores, np.array([0.0, 0.5, 1.0]), size=64)
    parts = [slice(s, s + 64) for s in range(0, 300, 64)]
    for row, cut in enumerate((0.0, 0.5, 1.0)):
        called = scores[row] >= cut
        expected = {
            "auroc": [sk.roc_auc_score(fake[p], scores[row, p]) for p in parts],
            "f1": [sk.f1_score(fake[p], called[p]) for p in parts],
            "precision": [sk.precision_score(fake[p], called[p], zero_division=0) for p in parts],
            "recall": [sk.recall_score(fake[p], called[p]) for p in parts],
            "pd@10%": [],
        }
        for p in parts:
            alarms, hits, _ = sk.roc_curve(fake[p], scores[row, p], drop_intermediate=False)
            expected["pd@10%"].append(hits[np.argmin(np.abs(alarms - 0.1))])
        for name, values in expected.items():
            assert found[name].value[row] == pytest.approx(np.mean(values), abs=1e-12)
            half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
            assert found[name].high[row] == pytest.approx(min(1, np.mean(values) + half), abs=1e-12)


def test_batches_of_one_class_are_left_out() -> None:
    fake, scores = data(128)
    fake[:64] = True
    found = batch_means(fake, scores, np.zeros(3), size=64)
    assert found["auroc"].value[1] == pytest.approx(sk.roc_auc_score(fake[64:], scores[1, 64:]))
    blank = batch_means(np.ones(64, bool), scores[:, :64], np.zeros(3), size=64)
    assert all(np.isnan(blank[name].value).all() for name in BATCHED)


def test_a_mean_over_batches_is_not_the_metric_of_the_whole() -> None:
    """Of 64 reals the false-alarm rate nearest to 1 % is 1 in 64, 1.6 %: PD@1% comes out too high."""
    fake, scores = data(20_000, seed=1)
    whole = sk.roc_curve(fake, scores[1], drop_intermediate=False)
    at_one_percent = whole[1][np.argmin(np.abs(whole[0] - 0.01))]
    assert batch_means(fake, scores, np.zeros(3))["pd@1%"].value[1] > at_one_percent + 0.01
