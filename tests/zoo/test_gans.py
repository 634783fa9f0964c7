"""The GANs' layers against naive versions, their losses, and a whole small training."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, upfirdn
from torch import nn
from torch.nn import functional

from bandprobe import seeding
from zoo import gans, generators, training
from zoo.adversarial import Adversarial, Discriminator, falling, follow, hinge, spread


def noise_photographs(n: int = 64) -> np.ndarray:
    coarse = seeding.generator(0, "coarse").integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


@pytest.mark.parametrize("name", generators.NAMES)
def test_a_latent_vector_becomes_an_image(name: str) -> None:
    torch.manual_seed(0)
    network = generators.generator(name).eval()
    z = torch.randn(4, network.latent)
    images = network(z)
    assert images.shape == (4, 3, 64, 64)
    assert images.abs().max() <= 1
    assert (images[0] - images[1]).abs().mean() > 1e-3
    # An untrained one gives neither a flat field nor a saturated one.
    assert 0.005 < images.std() < 0.95


@pytest.mark.parametrize(("make", "taps"), [(generators.nearest, 1), (generators.bilinear, 2)])
def test_interpolation_and_convolution_are_one_transposed_convolution(make, taps: int) -> None:
    torch.manual_seed(1)
    layer = make(5, 3)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 5, 9, 9)
    if taps == 1:
        wide = functional.interpolate(x, scale_factor=2, mode="nearest")
    else:
        wide = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    naive = functional.conv2d(wide, layer.weight, layer.bias, padding=1)
    got = layer(x)
    assert got.shape == naive.shape
    # Beyond the border one repeats the edge and the other has zeros.
    inner = slice(4, -4)
    torch.testing.assert_close(got[..., inner, inner], naive[..., inner, inner], atol=1e-5, rtol=1e-5)


def test_filtered_doubling_is_upfirdn() -> None:
    x = seeding.generator(0, "up").standard_normal((7, 6))
    got = generators.filtered(torch.from_numpy(x)[None, None])[0, 0].numpy()
    taps = np.array([1, 3, 3, 1]) / 4
    naive = upfirdn(taps, upfirdn(taps, x, up=2, axis=0), up=2, axis=1)[1:15, 1:13]
    np.testing.assert_allclose(got[: naive.shape[0], : naive.shape[1]], naive, atol=1e-12)
    flat = generators.filtered(torch.ones(1, 2, 8, 8))
    torch.testing.assert_close(flat[..., 1:-1, 1:-1], torch.ones(1, 2, 14, 14))


def test_pixel_shuffle_deals_four_channels_to_four_pixels() -> None:
    layer = generators.Shuffled(3, 2)
    x = torch.randn(1, 3, 4, 4)
    dense, got = layer.convolution(x)[0], layer(x)[0]
    for channel in range(2):
        for y in range(8):
            for column in range(8):
                four = 4 * channel + 2 * (y % 2) + column % 2
                assert got[channel, y, column] == dense[four, y // 2, column // 2]


@pytest.mark.parametrize("double", [False, True])
def test_modulated_convolution_is_a_kernel_for_each_sample(double: bool) -> None:
    torch.manual_seed(2)
    layer = generators.ModulatedConvolution(4, 3, 3, double=double)
    x, w = torch.randn(2, 4, 6, 6), torch.randn(2, 128)
    got = layer(x, w).detach().numpy()
    styles, weight = layer.style(w).detach().numpy(), layer.weight.detach().numpy()
    for i in range(2):
        kernel = weight * styles[i][None, :, None, None]
        planes = x[i].numpy()
        if double:
            planes = generators.filtered(x[i : i + 1])[0].numpy()
        for out in range(3):
            naive = sum(convolve2d(planes[c], kernel[out, c][::-1, ::-1], mode="same") for c in range(4))
            # Filtered beyond the border, the doubled map has other values in its last two pixels.
            inner = slice(2, -2) if double else slice(None)
            np.testing.assert_allclose(got[i, out][inner, inner], naive[inner, inner], atol=1e-4)


def test_a_stride_that_does_not_divide_the_kernel_overlaps_unevenly() -> None:
    """The checkerboard of Odena et al.: random weights on a flat map give power at Nyquist; interpolation none."""
    torch.manual_seed(3)
    flat = torch.ones(1, 16, 16, 16)

    def nyquist(layer: nn.Module) -> float:
        out = layer(flat)[0, :, 4:-4, 4:-4].detach().numpy()
        power = np.abs(np.fft.fft2(out - out.mean((1, 2), keepdims=True))) ** 2
        half = out.shape[1] // 2
        return float((power[:, half, 0] + power[:, 0, half] + power[:, half, half]).mean() / out.size)

    transposed = generators.transposed(16, 16)
    smooth = generators.bilinear(16, 16)
    nn.init.normal_(transposed.weight, std=0.1)
    nn.init.normal_(smooth.weight, std=0.1)
    assert nyquist(transposed) > 1e-3
    assert nyquist(smooth) < 1e-10


def test_spread_is_the_mean_deviation_of_each_four() -> None:
    x = torch.randn(8, 5, 3, 3)
    got = spread(x)
    assert got.shape == (8, 1, 3, 3)
    for start in (0, 4):
        naive = x[start : start + 4].numpy().std(0).mean()
        np.testing.assert_allclose(got[start : start + 4].numpy(), naive, rtol=1e-4)


def test_hinge_against_a_loop() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0])
    naive = (0 + 0.5 + 2) / 3 + (0 + 1) / 2
    assert hinge(real, fake).item() == pytest.approx(naive)


def test_the_discriminator_is_spectrally_normalised() -> None:
    torch.manual_seed(0)
    network = Discriminator()
    for _ in range(60):  # power iterations
        network(torch.randn(4, 3, 64, 64))
    network.eval()
    for layer in (*network.descent, network.head[0], network.head[3]):
        singular = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)
        assert singular[0] == pytest.approx(1, abs=0.02)


def test_the_average_is_a_weighted_mean_of_all_weights_so_far() -> None:
    module, average = nn.Linear(3, 2), nn.Linear(3, 2)
    naive = average.weight.detach().clone().numpy()
    for keep in (0.1, 0.5, 0.9):
        nn.init.normal_(module.weight)
        follow(average, module, keep)
        naive = keep * naive + (1 - keep) * module.weight.detach().numpy()
    np.testing.assert_allclose(average.weight.detach().numpy(), naive, rtol=1e-6)


def test_the_average_is_normalised_by_its_own_statistics() -> None:
    torch.manual_seed(0)
    network = generators.generator("gan-nearest")
    first = network.ascent[0][0]
    first.running_mean.fill_(7)
    seen = []
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    gans.measure(network, "gan-nearest")
    np.testing.assert_allclose(first.running_mean.numpy(), np.concatenate(seen).mean((0, 2, 3)), atol=1e-4)
    within = np.mean([batch.var((0, 2, 3), ddof=1) for batch in seen], 0)
    np.testing.assert_allclose(first.running_var.numpy(), within, rtol=0.01)


def test_the_rate_is_constant_then_falls_to_a_tenth() -> None:
    assert falling(0) == falling(0.6) == 1
    assert falling(0.8) == pytest.approx(0.55)
    assert falling(1) == pytest.approx(0.1)


@pytest.mark.long
def test_the_discriminator_learns_to_tell_a_fixed_generator() -> None:
    torch.manual_seed(0)
    gan = Adversarial("gan-shuffle", noise_photographs(), batch=8)
    frozen = copy.deepcopy(gan.generator.state_dict())
    losses = []
    for number in range(50):
        losses.append(float(gan.step(number, 50, seeding.generator(0, "step", number))["discriminator"]))
        gan.generator.load_state_dict(frozen)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_a_resumed_training_equals_an_uninterrupted_one_and_samples_are_seeded(tmp_path: Path) -> None:
    def gan() -> Adversarial:
        torch.manual_seed(0)
        return Adversarial("gan-transposed", noise_photographs(), batch=4)

    whole, parts = tmp_path / "a" / "gan-transposed", tmp_path / "b" / "gan-transposed"
    training.train(gan(), whole, label="gan", seed=0, steps=4)
    training.train(gan(), parts, label="gan", seed=0, steps=4, stop_at=2)
    training.train(gan(), parts, label="gan", seed=0, steps=4)
    one = gans.sample(tmp_path / "a", "gan-transposed", 3)
    assert one.dtype == np.uint8
    assert one.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(one, gans.sample(tmp_path / "b", "gan-transposed", 3))
    np.testing.assert_array_equal(one[:2], gans.sample(tmp_path / "a", "gan-transposed", 2))
    assert (gans.sample(tmp_path / "a", "gan-transposed", 3, seed=1) != one).any()
