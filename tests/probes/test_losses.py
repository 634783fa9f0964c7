"""Each loss against loops written out, and what it must not do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bandprobe.errors import InputError
from bandprobe.probes import losses

rng = np.random.default_rng(0)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def unit(n: int, k: int = 5) -> torch.Tensor:
    vectors = rng.standard_normal((n, k))
    return torch.from_numpy(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


LOGITS = rng.normal(0, 3, 20)
LABELS = (rng.random(20) < 0.4).astype(float)


def test_bce() -> None:
    naive = [-math.log(sigmoid(x) if y else 1 - sigmoid(x)) for x, y in zip(LOGITS, LABELS, strict=True)]
    np.testing.assert_allclose(losses.bce(torch.tensor(LOGITS), torch.tensor(LABELS)), naive, rtol=1e-9)


def test_focal() -> None:
    naive = []
    for x, y in zip(LOGITS, LABELS, strict=True):
        p = sigmoid(x) if y else 1 - sigmoid(x)
        naive.append(-(0.25 if y else 0.75) * (1 - p) ** 2 * math.log(p))
    np.testing.assert_allclose(losses.focal(torch.tensor(LOGITS), torch.tensor(LABELS)), naive, rtol=1e-9)
    half = losses.focal(torch.tensor(LOGITS), torch.tensor(LABELS), alpha=0.5, gamma=0.0)
    np.testing.assert_allclose(half, losses.bce(torch.tensor(LOGITS), torch.tensor(LABELS)) / 2)


def test_supervised_contrastive() -> None:
    vectors, labels, t = unit(9), np.array([0, 1, 0, 1, 1, 0, 0, 1, 2]), 0.1
    z, naive = vectors.numpy(), []
    for i in range(9):
        others = [a for a in range(9) if a != i]
        mates = [p for p in others if labels[p] == labels[i]]
        below = sum(math.exp(z[i] @ z[a] / t) for a in others)
        terms = [math.log(math.exp(z[i] @ z[p] / t) / below) for p in mates]
        naive.append(-sum(terms) / len(mates) if mates else 0.0)
    np.testing.assert_allclose(losses.supcon(vectors, torch.from_numpy(labels)), naive, rtol=1e-9)


def test_batch_hard_triplet() -> None:
    vectors, labels = unit(9), np.array([0, 1, 0, 1, 1, 0, 0, 1, 2])
    z, naive = vectors.numpy(), []
    for i in range(9):
        mates = [np.linalg.norm(z[i] - z[p]) for p in range(9) if p != i and labels[p] == labels[i]]
        strangers = [np.linalg.norm(z[i] - z[n]) for n in range(9) if labels[n] != labels[i]]
        naive.append(max(0.0, 0.2 + max(mates) - min(strangers)) if mates and strangers else 0.0)
    np.testing.assert_allclose(losses.triplet(vectors, torch.from_numpy(labels)), naive, rtol=1e-9)


@pytest.mark.parametrize("name", losses.CONTRASTIVE)
@pytest.mark.parametrize("labels", [[1.0], [0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
def test_gradients_stay_finite_without_mates_or_strangers(name: str, labels: list[float]) -> None:
    given = torch.ones((len(labels), 4), requires_grad=True)  # copies of one vector: distances of 0
    values = losses.values(name, given, torch.tensor(labels))
    assert values.shape == (len(labels),)
    torch.autograd.backward(values.sum())
    assert torch.isfinite(values).all()
    assert torch.isfinite(given.grad).all()


def test_a_sigmoid_before_the_loss_bounds_it() -> None:
    """With a logit squashed to [0, 1], a fake cannot cost less than log(1 + 1/e) = 0.313 nats."""
    sure = losses.values("bce", torch.tensor([[50.0]]), torch.tensor([1.0]), sigmoid=True)
    assert sure.item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert losses.values("bce", torch.tensor([[50.0]]), torch.tensor([1.0])).item() < 1e-9


def test_unknown_loss() -> None:
    with pytest.raises(
        InputError, match=r"one of bce, focal, supcon, triplet; got 'tripplet'\. Did you mean"
    ):
        losses.named("tripplet")
