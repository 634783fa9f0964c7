"""Diffusion against closed forms: a Gaussian's exact noise and velocity, and naive loops."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bandprobe import progress
from bandprobe.errors import InputError
from zoo import sampling
from zoo.autoencoder import Autoencoding
from zoo.denoisers import Residual, depth_to_space, space_to_depth
from zoo.diffusion import Diffusion, Standard, diffused, flowed, main, signal_shares, times_of
from zoo.sampling import denoise, noise_predictor, sample, scheduler
from zoo.training import train

MEAN, DEVIATION = 0.3, 0.5
BETAS = [1e-4 + (0.02 - 1e-4) * step / 999 for step in range(1000)]
SHARES = [math.prod(1 - beta for beta in BETAS[: step + 1]) for step in range(1000)]


def exact_noise(noisy: Tensor, times: Tensor) -> Tensor:
    """E[noise | noisy] for pictures of independent N(MEAN, DEVIATION**2) pixels."""
    share = torch.tensor([SHARES[int(time)] for time in times])[:, None, None, None]
    return (1 - share).sqrt() * (noisy - share.sqrt() * MEAN) / (share * DEVIATION**2 + 1 - share)


def exact_velocity(noisy: Tensor, times: Tensor) -> Tensor:
    """E[noise - picture | noisy] for the same pictures on straight ways to noise."""
    sigma = (times / 1000)[:, None, None, None]
    surprise = (noisy - (1 - sigma) * MEAN) / ((1 - sigma) ** 2 * DEVIATION**2 + sigma**2)
    return sigma * surprise - (MEAN + (1 - sigma) * DEVIATION**2 * surprise)


@pytest.fixture
def images() -> np.ndarray:
    """Ten pictures of one smooth blob each."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    blobs = []
    for _ in range(10):
        centre, colour = rng.uniform(8, 56, 2), rng.uniform(0, 255, (2, 3))
        near = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 200)[..., None]
        blobs.append((colour[0] * near + colour[1] * (1 - near)).astype(np.uint8))
    return np.stack(blobs)


@pytest.fixture
def latents() -> np.ndarray:
    return (
        3 + 2 * np.random.default_rng(1).standard_normal((10, 4, 1, 1)).repeat(16, 2).repeat(16, 3)
    ).astype(np.float32)


# The share of the deviation that a sampler keeps, whose steps are of finite length: measured, and for DDIM
# also computed below. The mean is kept by all of them.
@pytest.mark.parametrize(
    ("name", "kept"), [("ddpm", 0.978), ("ddim", 0.945), ("pndm", 1.005), ("flow", 0.976), ("latent", 0.978)]
)
def test_the_exact_denoiser_of_a_gaussian_gives_its_mean_and_deviation(name: str, kept: float) -> None:
    torch.manual_seed(0)
    noise = torch.randn(200, 1, 16, 16)
    predict = exact_velocity if name == "flow" else exact_noise
    drawn = denoise(noise, predict, scheduler(name))
    # Four standard errors of 51,200 values, and 0.003 for what was measured.
    error = DEVIATION / math.sqrt(drawn.numel())
    assert abs(float(drawn.mean()) - MEAN) < 4 * error
    assert abs(float(drawn.std()) / DEVIATION - kept) < 4 / math.sqrt(2 * drawn.numel()) + 0.003


def test_ddim_shrinks_a_gaussian_as_its_recursion_says() -> None:
    torch.manual_seed(0)
    noise = torch.randn(50, 1, 8, 8)
    drawn = denoise(noise, exact_noise, scheduler("ddim"))
    steps = [*range(980, -1, -20)]
    gain, offset = 1.0, 0.0
    for time, before in zip(steps, [*steps[1:], None], strict=True):
        a, following = SHARES[time], 1.0 if before is None else SHARES[before]
        # noise = slope (x - sqrt(a) MEAN); x' = sqrt(a') (x - sqrt(1 - a) noise) / sqrt(a) + sqrt(1 - a') noise
        slope = math.sqrt(1 - a) / (a * DEVIATION**2 + 1 - a)
        per_noise = math.sqrt(1 - following) - math.sqrt(following * (1 - a) / a)
        stretch = math.sqrt(following / a) + per_noise * slope
        gain, offset = gain * stretch, offset * stretch - per_noise * slope * math.sqrt(a) * MEAN
    torch.testing.assert_close(drawn, gain * noise + offset, atol=1e-3, rtol=0)
    assert gain / DEVIATION == pytest.approx(0.945, abs=0.003)
    assert offset == pytest.approx(MEAN, abs=0.003)


def test_the_schedule_is_the_samplers() -> None:
    shares = signal_shares()
    torch.testing.assert_close(shares, torch.tensor(SHARES), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(shares, scheduler("ddpm").alphas_cumprod, atol=1e-6, rtol=1e-3)


def test_noise_follows_from_v_and_is_cut_with_the_picture() -> None:
    torch.manual_seed(0)
    pictures, noise = torch.rand(6, 3, 4, 4) * 2 - 1, torch.randn(6, 3, 4, 4)
    times = torch.tensor([0, 10, 200, 500, 900, 999])
    noisy, v = diffused(pictures, noise, signal_shares()[times])
    found = noise_predictor(lambda *_: v, limit=1.0)(noisy, times)
    torch.testing.assert_close(found, noise, atol=2e-3, rtol=0)
    # A picture beyond the limit is seen as one at the limit, and the rest is called noise.
    cut = noise_predictor(lambda *_: v, limit=0.25)(noisy, times)
    share = torch.tensor(SHARES)[times][:, None, None, None]
    expected = (noisy - share.sqrt() * pictures.clamp(-0.25, 0.25)) / (1 - share).sqrt()
    torch.testing.assert_close(cut, expected, atol=2e-2, rtol=1e-3)


def test_times_are_those_of_the_noise() -> None:
    ratios = [math.sqrt((1 - SHARES[time]) / SHARES[time]) for time in (0, 7, 500, 998)]
    # Just below a time's ratio is that time, just above it the next, far beyond all the last.
    wanted = [0.998 * ratio for ratio in ratios] + [1.002 * ratio for ratio in ratios] + [1e9]
    assert times_of(torch.tensor(wanted), signal_shares()).tolist() == [0, 7, 500, 998, 1, 8, 501, 999, 999]


def test_flow_goes_straight_from_picture_to_noise() -> None:
    pictures, noise = torch.rand(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    points, velocity = flowed(pictures, noise, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(points[0], pictures[0])
    torch.testing.assert_close(points[1], 0.75 * pictures[1] + 0.25 * noise[1])
    torch.testing.assert_close(points[2], noise[2])
    torch.testing.assert_close(velocity, noise - pictures)


def test_patches_become_channels_and_pixels_again() -> None:
    images = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    places = space_to_depth(images, 4)
    assert places.shape == (2, 48, 2, 2)
    for n, channel, y, x in [(0, 0, 0, 0), (1, 2, 7, 5), (0, 1, 3, 6), (1, 0, 4, 4)]:
        depth = channel * 16 + (y % 4) * 4 + x % 4
        assert places[n, depth, y // 4, x // 4] == images[n, channel, y, x]
    torch.testing.assert_close(depth_to_space(places, 4), images)


@pytest.mark.parametrize("name", ["ddpm", "flow", "latent"])
def test_a_fresh_network_predicts_nothing_and_tells_times_apart_later(name: str, images: np.ndarray) -> None:
    trainee = Diffusion(name, images if name != "latent" else np.zeros((2, 4, 16, 16), np.float32))
    side, channels = (16, 4) if name == "latent" else (64, 3)
    noisy = torch.randn(2, channels, side, side)
    predicted = trainee.denoiser(noisy, torch.tensor([10, 900]))
    assert predicted.shape == noisy.shape
    assert not predicted.any()
    for parameter in trainee.denoiser.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    early, late = (trainee.denoiser(noisy[:1], torch.tensor([time])) for time in (10, 900))
    assert (early - late).abs().max() > 1e-3


def test_a_block_without_time_begins_as_the_identity() -> None:
    x = torch.randn(2, 32, 4, 4)
    torch.testing.assert_close(Residual(32)(x), x)


@pytest.mark.long
@pytest.mark.parametrize("name", ["ddpm", "flow", "latent"])
def test_the_loss_falls_in_50_steps(name: str, images: np.ndarray, latents: np.ndarray) -> None:
    torch.manual_seed(0)
    trainee = Diffusion(name, latents if name == "latent" else images, batch=4)
    losses = []
    for number in range(50):
        torch.manual_seed(1)  # the same pictures, times and noise every time, so that losses compare
        losses.append(float(trainee.step(number, 50, np.random.default_rng(1))["loss"]))
    assert losses[-1] < 0.8 * losses[0]


def test_the_average_follows_the_weights_as_a_loop_does(latents: np.ndarray) -> None:
    trainee = Diffusion("latent", latents, batch=2)
    rng = np.random.default_rng(0)
    expected = [weight.detach().double().clone() for weight in trainee.denoiser.parameters()]
    for number in range(4):
        trainee.step(number, 100, rng)
        keep = min(0.998, (number + 1) / (number + 10))
        for mean, weight in zip(expected, trainee.denoiser.parameters(), strict=True):
            mean.mul_(keep).add_(weight.detach().double(), alpha=1 - keep)
    for mean, weight in zip(expected, trainee.average.parameters(), strict=True):
        torch.testing.assert_close(weight.double(), mean, atol=1e-6, rtol=1e-5)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path, latents: np.ndarray) -> None:
    torch.manual_seed(0)
    whole = Diffusion("latent", latents, batch=2)
    halves = copy.deepcopy(whole.denoiser.state_dict())
    with progress.quiet():
        train(whole, tmp_path / "whole", label="latent", seed=1, steps=4)
        first = Diffusion("latent", latents, batch=2)
        first.denoiser.load_state_dict(halves)
        first.average.load_state_dict(halves)
        train(first, tmp_path / "halves", label="latent", seed=1, steps=4, stop_at=2)
        second = Diffusion("latent", 9 * latents, batch=2)  # the kept standard counts, not the one at hand
        second.pictures = latents
        train(second, tmp_path / "halves", label="latent", seed=1, steps=4)
    for name, module in whole.modules.items():
        for key, weight in module.state_dict().items():
            torch.testing.assert_close(weight, second.modules[name].state_dict()[key], rtol=0, atol=0)


def test_standard_latents_are_standard(latents: np.ndarray) -> None:
    standard = Standard(4).measure(latents)
    seen = standard(torch.from_numpy(latents))
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std((0, 2, 3), unbiased=False), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard.inverse(seen), torch.from_numpy(latents), atol=1e-5, rtol=1e-5)


@pytest.fixture
def work(tmp_path: Path, images: np.ndarray, latents: np.ndarray) -> Path:
    """Every model after one step."""
    with progress.quiet():
        for name in ("ddpm", "flow", "latent"):
            trainee = Diffusion(name, latents if name == "latent" else images, batch=2)
            train(trainee, tmp_path / name, label=name, seed=0, steps=1)
        for name in ("autoencoder", "vae"):
            train(Autoencoding(name, images, batch=2), tmp_path / name, label=name, seed=0, steps=1)
    return tmp_path


def test_every_generator_draws_the_same_pictures_from_a_seed(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "STEPS", {**sampling.STEPS, "ddpm": 10, "latent": 10, "flow": 5})
    monkeypatch.setattr(sampling, "_BATCH", 2)
    with progress.quiet():
        for name in sampling.MODELS:
            drawn = sample(work, name, 3, seed=5)
            assert (drawn.shape, drawn.dtype) == ((3, 64, 64, 3), np.uint8)
            assert drawn.std((1, 2, 3)).min() > 0
            assert (drawn[0] != drawn[1]).any()
            np.testing.assert_array_equal(drawn[:2], sample(work, name, 2, seed=5))
            assert (drawn[:2] != sample(work, name, 2, seed=6)).any()


def test_what_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be one of ddpm, .*got 'dpm'"):
        sample(tmp_path, "dpm", 1)
    with pytest.raises(InputError, match=r"no trained model in .*ddpm"):
        sample(tmp_path, "ddim", 1)


def test_the_script_names_its_models(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit):
        main("sd", quiet=True)
    assert capsys.readouterr().err == "Error: --name must be one of ddpm, flow, latent; got 'sd'.\n"
