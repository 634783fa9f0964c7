"""Heads: what each can learn, against re-derivations, and where their epochs come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from bandprobe import seeding
from bandprobe.errors import InputError
from bandprobe.probes import Examples, LinearProbe, balanced_weights, best_threshold, platt
from bandprobe.probes.head_probe import HeadProbe
from bandprobe.probes.heads import check, sizes_of
from bandprobe.probes.torch_training import CORRECTED, THESIS, Settings, fit_head
from bandprobe.probes.validation import plan

QUICK = Settings(rate=0.01, epochs=40)


def rng() -> np.random.Generator:
    return seeding.generator(0, "head", "test")


def exclusive_or(n: int, val: float = 0.3, seed: int = 0) -> Examples:
    """Fake where the signs of two coordinates differ: no plane separates that."""
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((n, 4)) * [3, 0.2, 1, 1] + [5, 0, 0, 0]
    label = ((X[:, 0] > 5) != (X[:, 1] > 0)).astype(np.int8)
    return split(X, label, draw, val)


def shifted(n: int, val: float = 0.3, seed: int = 0, dim: int = 6) -> Examples:
    draw = np.random.default_rng(seed)
    label = (draw.random(n) < 0.4).astype(np.int8)
    X = draw.standard_normal((n, dim))
    X[:, 0] += 2 * label
    return split(X, label, draw, val)


def split(X: np.ndarray, label: np.ndarray, draw: np.random.Generator, val: float) -> Examples:
    splits = np.where(draw.random(len(X)) < val, "val", "train").astype(object)
    return Examples(X.astype(np.float32), label, np.full(len(X), "one", object), splits)


def auroc(probe: LinearProbe | HeadProbe, data: Examples) -> float:
    return float(roc_auc_score(data.label, probe.logits(data.embedding)))


@pytest.mark.parametrize("loss", ["bce", "focal", "supcon", "triplet"])
@pytest.mark.parametrize("n", [900, 250])  # with a validation split, and cross-fitted
def test_mlp_separates_what_no_plane_does(loss: str, n: int) -> None:
    data, fresh = exclusive_or(n), exclusive_or(400, seed=1)
    sizes = sizes_of("mlp", 4, {}, contrastive=loss in ("supcon", "triplet"))
    probe = fit_head(data, sizes, loss, rng=rng(), settings=QUICK)
    assert isinstance(probe, HeadProbe)
    assert probe.validation == ("split" if n == 900 else "cross-fitting")
    assert auroc(probe, fresh) > 0.95
    called = probe.logits(fresh.embedding) >= probe.threshold
    assert (called == fresh.label).mean() > 0.85
    chances = probe.probabilities(probe.logits(fresh.embedding))
    assert ((chances > 0.5) == fresh.label).mean() > 0.85
    linear = fit_head(data, sizes_of("linear", 4, {}), "bce", rng=rng(), settings=QUICK)
    assert auroc(linear, fresh) < 0.7


def test_attention_finds_a_signal_in_one_patch_that_the_class_token_lacks() -> None:
    def pictures(n: int, seed: int) -> Examples:
        draw = np.random.default_rng(seed)
        label = (draw.random(n) < 0.5).astype(np.int8)
        tokens = draw.standard_normal((n, 10, 8))
        # Some one patch of a fake has a mark; which one differs from image to image.
        tokens[np.arange(n), draw.integers(1, 10, n), :2] += 4 * label[:, None]
        return split(tokens.reshape(n, 80), label, draw, 0.3)

    sizes = sizes_of("attention", 80, {"encoder.token_dim": "8"})
    probe = fit_head(pictures(1500, 0), sizes, "bce", rng=rng(), settings=Settings(rate=0.003, epochs=25))
    fresh = pictures(500, 1)
    assert auroc(probe, fresh) > 0.97
    assert probe.outputs(fresh.embedding).shape == (500, 256)
    class_token = Examples(fresh.embedding[:, :8], fresh.label, fresh.dataset, fresh.split)
    alone = fit_head(class_token, sizes_of("mlp", 8, {}), "bce", rng=rng(), settings=QUICK)
    more = pictures(500, 2)
    assert roc_auc_score(more.label, alone.logits(more.embedding[:, :8])) < 0.6


def test_attention_pools_as_written_out() -> None:
    from bandprobe.probes.heads import AttentionPool

    torch.manual_seed(0)
    pool = AttentionPool(3, 12, 8).double()
    X = torch.randn(2, 12, dtype=torch.float64)
    got = pool(X).detach().numpy()
    weight = {name: value.detach().numpy() for name, value in pool.state_dict().items()}
    for image in range(2):
        tokens = X[image].numpy().reshape(3, 4)
        keys = tokens @ weight["key.weight"].T + weight["key.bias"]
        values = tokens @ weight["value.weight"].T + weight["value.bias"]
        for number in range(4):  # heads of two features each
            part = slice(2 * number, 2 * number + 2)
            scores = np.array([keys[t, part] @ weight["query"][number, 0] / np.sqrt(2) for t in range(3)])
            shares = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(got[image, part], shares @ values[:, part], rtol=1e-9)


def test_heads_that_cannot_be() -> None:
    with pytest.raises(
        InputError, match=r"'vit' are one vector an image; embed with vit#tokens.*linear or mlp"
    ):
        check("attention", {"encoder.weights": "1"}, "vit")
    with pytest.raises(
        InputError, match=r"head must be one of linear, mlp, attention; got 'mpl'. Did you mean 'mlp'"
    ):
        check("mpl", {})


def test_the_same_generator_gives_the_same_head_and_another_another() -> None:
    data = exclusive_or(250)
    one, two = (fit_head(data, sizes_of("mlp", 4, {}), "bce", rng=rng(), settings=QUICK) for _ in range(2))
    other = fit_head(
        data, sizes_of("mlp", 4, {}), "bce", rng=seeding.generator(1, "head", "test"), settings=QUICK
    )
    state = torch.get_rng_state()
    np.testing.assert_array_equal(one.logits(data.embedding), two.logits(data.embedding))
    assert (one.threshold, one.slope, one.intercept) == (two.threshold, two.slope, two.intercept)
    assert np.abs(one.logits(data.embedding) - other.logits(data.embedding)).max() > 1e-3
    assert torch.equal(state, torch.get_rng_state())  # nobody else's draws are touched


def test_training_stops_when_validation_does_not_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    from bandprobe.probes import torch_training

    epochs: list[int] = []
    real = torch_training._Learner.epoch
    monkeypatch.setattr(torch_training._Learner, "epoch", lambda self: epochs.append(1) or real(self))
    noise = np.random.default_rng(0)
    data = split(noise.standard_normal((900, 20)), noise.integers(0, 2, 900).astype(np.int8), noise, 0.4)
    fit_head(data, sizes_of("mlp", 20, {}), "bce", rng=rng(), settings=Settings(rate=0.01, patience=3))
    assert len(epochs) < 15  # of 100: on pure noise the first epochs are the best
    epochs.clear()
    fit_head(data, sizes_of("mlp", 20, {}), "bce", rng=rng(), settings=Settings(epochs=12, patience=None))
    assert len(epochs) == 12


def test_noise_is_not_believed() -> None:
    """Held-out logits calibrate: a head that can learn its training set by heart stays unsure."""
    noise = np.random.default_rng(1)
    data = split(noise.standard_normal((240, 100)), noise.integers(0, 2, 240).astype(np.int8), noise, 0.2)
    for loss in ("bce", "supcon"):
        sizes = sizes_of("mlp", 100, {}, contrastive=loss == "supcon")
        probe = fit_head(data, sizes, loss, rng=rng(), settings=Settings(epochs=15, patience=None))
        fresh = noise.standard_normal((500, 100))
        assert np.abs(probe.probabilities(probe.logits(fresh)) - 0.5).mean() < 0.2


def test_published_optimiser_written_out() -> None:
    """Adam by its formulas on the logistic loss's gradient, on the batches that the generator draws."""
    data, flipped = shifted(1100, val=0.4, seed=3), shifted(1100, val=0.4, seed=4).embedding
    probe = fit_head(data, sizes_of("linear", 6, {}), "bce", rng=rng(), settings=THESIS, flipped=flipped)
    assert isinstance(probe, LinearProbe)
    draw = rng()
    rows, held = np.flatnonzero(data.split == "train"), np.flatnonzero(data.split == "val")
    torch_seed = int(draw.integers(2**31))
    held = draw.permutation(held)
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed)
        layer = torch.nn.Linear(6, 1)
    w = np.append(layer.weight.detach().numpy()[0], layer.bias.item()).astype(np.float64)
    weights = np.empty(1100)
    for part in (rows, held):
        weights[part] = balanced_weights(data.label[part], data.dataset[part])
    m, v, step = np.zeros(7), np.zeros(7), 0
    found = []
    for _ in range(5):
        order = draw.permutation(rows)
        mirrored = draw.random(len(rows)) < 0.5
        batches = -(-len(rows) // 128)
        for number in range(int(0.75 * batches)):
            part = slice(128 * number, 128 * number + 128)
            X = np.where(mirrored[part, None], flipped[order[part]], data.embedding[order[part]])
            X = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
            error = weights[order[part]] * (expit(X @ w) - data.label[order[part]])
            gradient, step = X.T @ error / len(X), step + 1
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            w = w - 0.005 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        logits = np.column_stack([data.embedding, np.ones(1100)])[held] @ w
        p = np.where(data.label[held] == 1, expit(logits), expit(-logits))
        found.append((float(np.average(-np.log(p), weights=weights[held])), w, logits))
    _, w, logits = min(found, key=lambda one: one[0])
    np.testing.assert_allclose(np.append(probe.weight, probe.bias), w, atol=2e-5)
    np.testing.assert_array_equal([probe.mean, probe.scale], [np.zeros(6), np.ones(6)])
    assert probe.C is None
    facts = logits, data.label[held], weights[held]
    assert probe.threshold == pytest.approx(best_threshold(*facts), abs=1e-4)
    np.testing.assert_allclose([probe.slope, probe.intercept], platt(*facts), atol=1e-3)


def test_linear_head_in_torch_comes_near_to_logistic_regression() -> None:
    from bandprobe.probes import fit

    data, fresh = shifted(900), shifted(3000, seed=9)
    torch_probe = fit_head(data, sizes_of("linear", 6, {}), "bce", rng=rng(), settings=QUICK)
    logistic = fit(data, rng=rng())
    assert isinstance(torch_probe, LinearProbe)
    assert auroc(torch_probe, fresh) == pytest.approx(auroc(logistic, fresh), abs=0.01)
    np.testing.assert_allclose(torch_probe.mean, logistic.mean)


def test_a_double_sigmoid_leaves_the_logit_linear() -> None:
    data = shifted(900)
    probe = fit_head(data, sizes_of("linear", 6, {}), "bce", rng=rng(), settings=QUICK, sigmoid=True)
    assert isinstance(probe, LinearProbe)
    logits = probe.logits(data.embedding)
    assert logits.min() < -1  # a sigmoid's output could not be
    assert auroc(probe, data) > 0.85
    np.testing.assert_allclose(probe.outputs(data.embedding)[:, 0], logits, rtol=1e-6)


def test_outputs_lead_to_the_logit() -> None:
    data = exclusive_or(700)
    plain = fit_head(data, sizes_of("mlp", 4, {}), "focal", rng=rng(), settings=QUICK)
    outputs = plain.outputs(data.embedding)
    assert outputs.shape == (700, 256)
    assert outputs.dtype == np.float32
    last = outputs @ plain.weights["last.weight"][0] + plain.weights["last.bias"][0]
    np.testing.assert_allclose(last, plain.logits(data.embedding), atol=1e-4)
    sizes = sizes_of("linear", 4, {}, contrastive=True)
    contrasted = fit_head(data, sizes, "supcon", rng=rng(), settings=QUICK)
    outputs = contrasted.outputs(data.embedding)
    assert outputs.shape == (700, 128)
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=1), 1, atol=1e-5)
    # A vector of unit length whatever the batch it came in.
    one_by_one = np.concatenate([contrasted.outputs(row[None]) for row in data.embedding[:5]])
    np.testing.assert_allclose(one_by_one, outputs[:5], atol=1e-5)


def test_copies_of_an_image_stay_in_one_fold() -> None:
    data = shifted(60)
    picked = np.sort(np.random.default_rng(0).choice(60, 90))
    image = np.array([f"{number:03d}" for number in picked], object)
    again = Examples(
        data.embedding[picked], data.label[picked], data.dataset[picked], data.split[picked], image
    )
    planned = plan(again, rng())
    assert planned.kind == "cross-fitting"
    for rows, held in planned.folds:
        assert not set(image[rows]) & set(image[held])
        assert len(rows) + len(held) == 90
    assert sorted(np.concatenate([held for _, held in planned.folds])) == list(range(90))


def test_mirrored_embeddings_are_needed_for_flips() -> None:
    with pytest.raises(InputError, match="mirror images"):
        fit_head(shifted(300), sizes_of("linear", 6, {}), "bce", rng=rng(), settings=THESIS)
    with pytest.raises(InputError, match="device 'gpu' cannot be used"):
        fit_head(shifted(300), sizes_of("linear", 6, {}), "bce", rng=rng(), settings=CORRECTED, device="gpu")
