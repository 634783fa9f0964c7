"""Autoencoders against closed forms and naive loops."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from bandprobe import progress
from zoo.autoencoder import (
    Autoencoding,
    band_energies,
    bytes_of,
    divergence,
    latents_of,
    network,
    pixels,
)
from zoo.training import train


@pytest.fixture
def images() -> np.ndarray:
    """Ten pictures of a ground and a bar."""
    rng = np.random.default_rng(0)
    images = np.empty((10, 64, 64, 3), np.uint8)
    for image in images:
        image[:] = rng.integers(0, 256, 3)
        start = rng.integers(0, 48)
        image[start : start + 16] = rng.integers(0, 256, 3)
    return images


def test_divergence_is_that_of_normal_distributions() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum((1, 2))
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    assert divergence(torch.zeros(1, 3), torch.zeros(1, 3)) == 0


def test_bytes_come_back_and_what_lies_outside_is_cut(images: np.ndarray) -> None:
    seen = pixels(images)
    assert (seen.shape, seen.dtype) == ((10, 3, 64, 64), torch.float32)
    assert float(seen.abs().max()) <= 1
    np.testing.assert_array_equal(bytes_of(seen), images)
    outside = bytes_of(torch.tensor([-3.0, -1.0, 0.0, 1.0, 9.0]).reshape(1, 1, 1, 5))
    assert outside.ravel().tolist() == [0, 0, 128, 255, 255]


def test_band_energies_are_those_of_the_haar_transform() -> None:
    torch.manual_seed(0)
    image = torch.randn(64, 64, dtype=torch.float64)
    found = band_energies(image[None, None])
    assert [energy.shape[3:] for energy in found] == [(15, 15), (15, 15), (8, 8)]
    mean = image.numpy()
    for octave, energy in enumerate(found):
        n = len(mean) // 2
        power = np.zeros((3, n, n))
        for y in range(n):
            for x in range(n):
                (a, b), (c, d) = mean[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
                power[:, y, x] = (
                    (a + c - b - d) ** 2 / 4,
                    (a + b - c - d) ** 2 / 4,
                    (a + d - b - c) ** 2 / 4,
                )
        side, stride = 4 >> octave, max(1, 2 >> octave)
        for y, x in [(0, 0), (3, 7), (7, 2)]:
            window = power[:, y * stride : y * stride + side, x * stride : x * stride + side].mean((1, 2))
            np.testing.assert_allclose(energy[0, 0, :, y, x], np.sqrt(window + 1e-5))
        mean = mean.reshape(n, 2, n, 2).mean((1, 3))


@pytest.mark.parametrize(("name", "latent"), [("autoencoder", (4, 16, 16)), ("vae", (128,))])
def test_pictures_go_to_latents_and_back(name: str, latent: tuple[int, ...], images: np.ndarray) -> None:
    made = network(name)
    assert made.latent == latent
    mean, log_variance = made.encode(pixels(images[:2]))
    assert mean.shape == log_variance.shape == (2, *latent)
    assert made.decode(mean).shape == (2, 3, 64, 64)


def test_latents_of_many_are_those_of_each(images: np.ndarray) -> None:
    made = network("autoencoder")
    with progress.quiet(), torch.no_grad():
        many = latents_of(made, images.repeat(7, 0))
        assert (many.shape, many.dtype) == ((70, 4, 16, 16), np.float32)
        one, _ = made.encode(pixels(images[9:]))
    np.testing.assert_allclose(many[-1], one[0].numpy(), atol=0.05)  # bfloat16 against float32


@pytest.mark.long
@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_the_loss_falls_in_50_steps(name: str, images: np.ndarray) -> None:
    torch.manual_seed(0)
    trainee = Autoencoding(name, images, batch=4)
    error = "squared" if name == "vae" else "absolute"
    losses = []
    for number in range(50):
        torch.manual_seed(1)  # the same pictures and noise every time, so that losses compare
        losses.append(float(trainee.step(number, 50, np.random.default_rng(1))[error]))
    assert losses[-1] < 0.7 * losses[0]


def test_the_average_follows_the_weights_as_a_loop_does(images: np.ndarray) -> None:
    trainee = Autoencoding("vae", images, batch=2)
    rng = np.random.default_rng(0)
    expected = [weight.detach().double().clone() for weight in trainee.network.parameters()]
    for number in range(4):
        trainee.step(number, 100, rng)
        keep = min(0.998, (number + 1) / (number + 10))
        for mean, weight in zip(expected, trainee.network.parameters(), strict=True):
            mean.mul_(keep).add_(weight.detach().double(), alpha=1 - keep)
    for mean, weight in zip(expected, trainee.average.parameters(), strict=True):
        torch.testing.assert_close(weight.double(), mean, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    name: str, tmp_path: Path, images: np.ndarray
) -> None:
    torch.manual_seed(0)
    whole = Autoencoding(name, images, batch=2)
    first = Autoencoding(name, images, batch=2)
    for key, module in whole.modules.items():
        first.modules[key].load_state_dict(copy.deepcopy(module.state_dict()))
    with progress.quiet():
        train(whole, tmp_path / "whole", label=name, seed=1, steps=4)
        train(first, tmp_path / "halves", label=name, seed=1, steps=4, stop_at=2)
        second = Autoencoding(name, images, batch=2)
        train(second, tmp_path / "halves", label=name, seed=1, steps=4)
    for key, module in whole.modules.items():
        for part, weight in module.state_dict().items():
            torch.testing.assert_close(weight, second.modules[key].state_dict()[part], rtol=0, atol=0)
