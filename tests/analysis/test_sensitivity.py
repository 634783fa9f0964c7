"""Gradient maps against finite differences, a linear encoder's closed form, and both methods against each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from bandprobe import datasets, encoders
from bandprobe.analysis.input_gradients import auroc_weights, curvature, embedding_energy, logit_maps
from bandprobe.analysis.perturbation import lattice, logit_steps, places_table, step_length
from bandprobe.analysis.sensitivity import sensitivity
from bandprobe.encoders.preprocessing import IDENTITY
from bandprobe.encoders.protocol import Encoder
from bandprobe.errors import InputError
from bandprobe.metrics.fourier_maps import (
    basis_image,
    gradient_energy,
    orientation_profile,
    radial_profile,
    ring_number,
)
from bandprobe.probes.files import ProbeFile
from bandprobe.probes.linear import LinearProbe

SIDE = 16


class Linear(Encoder):
    """Vectors are inner products with fixed pictures, or their squares."""

    def __init__(self, pictures: np.ndarray, *, squared: bool = False) -> None:
        super().__init__(
            name="linear", dim=len(pictures), device=torch.device("cpu"), precision="fp32",
            preprocessing=IDENTITY, fingerprint={},
        )  # fmt: skip
        self._pictures = torch.from_numpy(pictures.reshape(len(pictures), -1)).float()
        self._squared = squared

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        found = pixels.flatten(1) @ self._pictures.T
        return found.square() if self._squared else found


def probe(weight: np.ndarray) -> LinearProbe:
    ones = np.ones(len(weight))
    return LinearProbe(0 * ones, ones, np.asarray(weight, float), 0.3, 0.0, 1.0, 0.0, 1.0, "split")


def file(linear: LinearProbe, encoder: str, trained_on: str = "all") -> ProbeFile:
    return ProbeFile(linear, encoder, encoder, trained_on, "all", "none", {}, {})


@pytest.fixture(scope="module")
def micro() -> tuple[Encoder, torch.Tensor, LinearProbe]:
    model = encoders.load("micro-dino")
    pictures = datasets.micro().images("Real")[:2]
    images = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255
    return model, images, probe(np.random.default_rng(0).normal(size=model.dim))


@pytest.mark.parametrize("place", [(33, 32), (40, 37), (20, 44), (32, 60)])
def test_energies_are_those_of_finite_differences(
    micro: tuple[Encoder, torch.Tensor, LinearProbe], place: tuple[int, int]
) -> None:
    model, images, linear = micro
    _, [maps] = logit_maps(model, [linear], images)
    energy = maps.energy
    step = 0.12

    def logits(change: torch.Tensor) -> np.ndarray:
        return linear.logits(model.encode(images + change).double().numpy())

    expected = np.zeros(len(images))
    for colour in range(3):
        for phase in (0.0, np.pi / 2):
            wave = torch.zeros(3, 64, 64)
            wave[colour] = torch.from_numpy(basis_image((64, 64), place, phase))
            near, far = (logits(h * wave) - logits(-h * wave) for h in (step, 2 * step))
            slope = (8 * near - far) / (12 * step)  # of fourth order
            expected += slope**2 / 2
    np.testing.assert_allclose(energy[:, place[0], place[1]], expected, rtol=2e-3)
    np.testing.assert_allclose(np.sqrt(energy[:, place[0], place[1]]), np.sqrt(expected), rtol=1e-3)


@pytest.mark.parametrize("cycles", [(3, 6), (10, 14), (25, 32)])
def test_amplitudes_and_phases_are_those_of_finite_differences(
    micro: tuple[Encoder, torch.Tensor, LinearProbe], cycles: tuple[int, int]
) -> None:
    """A ring's content grown by a share, and one wave turned by an angle, to 1e-3 of the largest."""
    model, images, linear = micro
    _, [maps] = logit_maps(model, [linear], images)
    rings = ring_number((64, 64))
    inside = (cycles[0] <= rings) & (rings < cycles[1])
    spectrum = np.fft.fftshift(np.fft.fft2(images.double().numpy()), axes=(-2, -1))

    def slope(change, step: float) -> np.ndarray:
        """By central differences of fourth order; `change` gives the spectrum's factor."""

        def logits(h: float) -> np.ndarray:
            changed = np.fft.ifft2(np.fft.ifftshift(spectrum * change(h), axes=(-2, -1))).real
            return linear.logits(model.encode(torch.from_numpy(changed).float()).double().numpy())

        return (8 * (logits(step) - logits(-step)) - (logits(2 * step) - logits(-2 * step))) / (12 * step)

    grown = slope(lambda h: np.where(inside, 1 + h, 1.0), 0.02)
    largest = np.abs(maps.amplitude.reshape(2, -1)).sum(1).max()
    np.testing.assert_allclose(maps.amplitude[:, inside].sum(1), grown, atol=1e-3 * largest, rtol=1e-3)

    def turn(h: float) -> np.ndarray:
        factor = np.ones((64, 64), complex)
        factor[32 + cycles[0], 32 + 1] = np.exp(1j * h)
        factor[32 - cycles[0], 32 - 1] = np.exp(-1j * h)
        return factor

    turned = slope(turn, 0.1)
    found = maps.phase[:, 32 + cycles[0], 33] - maps.phase[:, 32 - cycles[0], 31]
    np.testing.assert_allclose(found, turned, atol=1e-3 * np.abs(maps.phase).max(), rtol=5e-3)


def test_a_linear_logit_has_its_pictures_spectrum() -> None:
    rng = np.random.default_rng(1)
    pictures, weight = rng.normal(size=(4, 3, SIDE, SIDE)), rng.normal(size=4)
    images = torch.from_numpy(rng.uniform(size=(3, 3, SIDE, SIDE))).float()
    logits, [maps] = logit_maps(Linear(pictures), [probe(weight)], images)
    energy = maps.energy
    whole = np.tensordot(weight, pictures, 1)
    spectrum = np.fft.fftshift(np.fft.fft2(whole, norm="ortho"), axes=(-2, -1))
    np.testing.assert_allclose(energy, np.broadcast_to((abs(spectrum) ** 2).sum(0), energy.shape), rtol=1e-4)
    np.testing.assert_allclose(logits[0], (images.numpy() * whole).sum((1, 2, 3)) + 0.3, rtol=1e-4)
    # By Parseval all energies sum to the gradient's.
    np.testing.assert_allclose(energy.sum((1, 2)), (whole**2).sum(), rtol=1e-4)


def test_random_vectors_estimate_the_sum_over_dimensions() -> None:
    rng = np.random.default_rng(2)
    pictures = rng.normal(size=(5, 3, SIDE, SIDE))
    images = torch.from_numpy(rng.uniform(size=(40, 3, SIDE, SIDE))).float()
    energy = embedding_energy(Linear(pictures), images, draws=50, seed=0, batch="0").mean(0)
    spectra = np.fft.fftshift(np.fft.fft2(pictures, norm="ortho"), axes=(-2, -1))
    np.testing.assert_allclose(energy, (abs(spectra) ** 2).sum((0, 1)), rtol=0.2)
    again = embedding_energy(Linear(pictures), images, draws=50, seed=0, batch="0").mean(0)
    np.testing.assert_array_equal(energy, again)


def test_steps_are_exact_for_a_linear_encoder_whatever_their_length() -> None:
    rng = np.random.default_rng(3)
    pictures, weight = np.repeat(rng.normal(size=(2, 1, SIDE, SIDE)), 3, 1), rng.normal(size=2)
    pictures[:, 1:] = 0  # one colour: signs do not matter
    images = torch.from_numpy(rng.uniform(size=(2, 3, SIDE, SIDE))).float()
    places = lattice((SIDE, SIDE), 4, 4)
    steps = logit_steps(Linear(pictures), [probe(weight)], images, places, length=1.5, seed=0)
    _, [maps] = logit_maps(Linear(pictures), [probe(weight)], images)
    energy = maps.energy
    rows, columns = np.array(places).T
    np.testing.assert_allclose(steps[0], energy[:, rows, columns], rtol=1e-3)


def test_a_lattice_holds_each_wave_once() -> None:
    places = lattice((32, 32), 8, 6)
    centred = {(row - 16, column - 16) for row, column in places}
    assert (0, 0) not in centred
    assert not any((-u, -v) in centred and (u, v) != (-u, -v) for u, v in centred)
    nyquist, angle = places_table((32, 32), places)
    assert nyquist.min() > 0
    assert nyquist.max() <= 1
    assert 0 <= angle.min() <= angle.max() < 180
    for place in places[::5]:
        assert np.linalg.norm(basis_image((32, 32), place)) == pytest.approx(1)
    with pytest.raises(InputError, match="rings and sectors must be at least 1"):
        lattice((32, 32), 0, 4)
    assert step_length(224) == pytest.approx(15.7)


def test_profiles_are_means_over_rings_and_sectors() -> None:
    rng = np.random.default_rng(4)
    energy = rng.uniform(size=(2, 12, 12))
    radial, angular = radial_profile(energy), orientation_profile(energy, 4)
    rings: dict[int, list[np.ndarray]] = {}
    sectors: dict[int, list[np.ndarray]] = {}
    for row in range(12):
        for column in range(12):
            u, v = row - 6, column - 6
            ring = round(float(np.hypot(u, v)))
            if ring <= 6:
                rings.setdefault(ring, []).append(energy[:, row, column])
                if ring:
                    sector = round(float(np.degrees(np.arctan2(u, v)) % 180) / 45) % 4
                    sectors.setdefault(sector, []).append(energy[:, row, column])
    np.testing.assert_allclose(radial, np.array([np.mean(rings[k], 0) for k in range(7)]).T)
    np.testing.assert_allclose(angular, np.array([np.mean(sectors[k], 0) for k in range(4)]).T)


def test_auroc_weights_are_its_derivative() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], [30, 20]).astype(np.int8)
    logits = rng.normal(size=50) + labels
    weights, value = auroc_weights(logits, labels)
    fake, real = logits[labels == 1], logits[labels == 0]
    width = np.concatenate([fake - fake.mean(), real - real.mean()]).std() / 2

    def smooth(scores: np.ndarray) -> float:
        gaps = (scores[labels == 1][:, None] - scores[labels == 0][None]) / width
        return float((1 / (1 + np.exp(-gaps))).mean())

    assert value == pytest.approx(smooth(logits))
    for row in (0, 10, 35, 49):
        moved = logits.copy()
        moved[row] += 1e-5
        assert weights[row] / 50 == pytest.approx((smooth(moved) - value) / 1e-5, rel=1e-3)


def test_curvature_of_a_square_is_known() -> None:
    rng = np.random.default_rng(6)
    pictures, weight = rng.normal(size=(2, 3, SIDE, SIDE)), np.array([1.0, -2.0])
    images = torch.from_numpy(rng.uniform(size=(2, 3, SIDE, SIDE))).float()
    whole = torch.ones(SIDE, SIDE)
    [found] = curvature(
        Linear(pictures, squared=True), probe(weight), images, [whole], draws=400, seed=0, batch="0"
    )
    # Over random directions of unit length z'Hz is the Hessian's trace over the number of pixels.
    trace = 2 * (weight * (pictures**2).sum((1, 2, 3))).sum() / (3 * SIDE * SIDE)
    np.testing.assert_allclose(found, trace, rtol=0.35)


@pytest.fixture(scope="module")
def planted() -> tuple[Encoder, list[ProbeFile], pd.DataFrame, dict[str, torch.Tensor]]:
    """An encoder that sees one wave of 5 cycles, another that sees one of 2."""
    waves = np.stack([np.repeat(basis_image((SIDE, SIDE), (8, 8 + k))[None], 3, 0) for k in (5, 2)])
    rng = np.random.default_rng(7)
    rows, pictures = [], {}
    for source, label in (("Real", 0), ("ProGAN", 1), ("DDPM", 1)):
        for number in range(6):
            name = f"{source}{number}"
            picture = rng.uniform(0.2, 0.8, size=(3, SIDE, SIDE)) + 0.5 * label * waves[0]
            pictures[name] = torch.from_numpy(picture).float()
            rows.append(
                (name, label, source, {"ProGAN": "gan", "DDPM": "diffusion"}.get(source, ""), "d", "test")
            )
    columns = ["image_id", "label", "generator", "family", "dataset", "split"]
    files = [
        file(probe(np.array(weight)), "linear", name)
        for weight, name in (((1, 0), "all"), ((0, 1), "ProGAN"))
    ]
    return Linear(waves), files, pd.DataFrame(rows, columns=columns), pictures


def read_from(pictures: dict[str, torch.Tensor]):
    return lambda ids: (list(ids), torch.stack([pictures[i] for i in ids]))


@pytest.mark.parametrize("method", ["gradient", "perturb"])
def test_the_planted_wave_is_pointed_at(planted, method: str) -> None:
    model, files, table, pictures = planted
    found = sensitivity([model], files, table, read_from(pictures), method=method, rings=8, sectors=4)
    radial = found.profiles.query("axis == 'radial' and quantity == 'logit'")
    assert set(radial["method"]) == {method}
    for trained_on, cycles in (("all", 5), ("ProGAN", 2)):
        for _, rows in radial[radial["trained_on"] == trained_on].groupby("source"):
            assert rows["place"][rows["value"].idxmax()] * SIDE / 2 == pytest.approx(cycles, abs=0.5)
    angular = found.profiles.query("axis == 'orientation' and quantity == 'logit' and trained_on == 'all'")
    assert set(angular.loc[angular.groupby("source")["value"].idxmax(), "place"]) == {0.0}
    assert (found.profiles["low"] <= found.profiles["value"] + 1e-12).all()
    assert (found.profiles["value"] <= found.profiles["high"] + 1e-12).all()
    own = {"logit amplitude", "logit phase", "auroc amplitude"} if method == "gradient" else set()
    assert set(found.profiles["quantity"]) == {"logit", "auroc", "embedding"} | own
    whole = found.maps["linear|all|none|logit|d|Real"]
    assert np.unravel_index(np.nanargmax(whole), whole.shape) in ((8, 13), (8, 3))
    if method == "gradient":
        assert found.agreement["spearman"].notna().all()
        assert (found.agreement["n"] == 18).all()


def test_the_auroc_profile_is_the_logits_weighted(planted) -> None:
    model, files, table, pictures = planted
    found = sensitivity([model], files[:1], table, read_from(pictures), agreement=False)
    ids = list(table["image_id"])
    logits = files[0].probe.logits(model.encode(torch.stack([pictures[i] for i in ids])).numpy())
    weights, _ = auroc_weights(logits, table["label"].to_numpy(np.int8))
    rows = found.profiles.query("axis == 'radial' and source == 'Real'").set_index(["quantity", "place"])[
        "value"
    ]
    peak = rows["logit"].idxmax()
    share = (weights[table["generator"] == "Real"] ** 2).mean()
    assert rows["auroc", peak] == pytest.approx(share * rows["logit", peak], rel=1e-4)


def test_without_gradients_it_is_perturbed_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(8)
    pictures = {
        f"{label}{n}": torch.from_numpy(rng.uniform(size=(3, 32, 32))).float()
        for label in (0, 1)
        for n in "ab"
    }
    rows = [(i, int(i[0]), "Real" if i[0] == "0" else "GAN", "gan", "d", "test") for i in pictures]
    table = pd.DataFrame(rows, columns=["image_id", "label", "generator", "family", "dataset", "split"])
    found = sensitivity([encoders.load("spectral")], [], table, read_from(pictures), rings=3, sectors=2)
    assert set(found.profiles["method"]) == {"perturb"}
    assert "spectral has no gradient" in capsys.readouterr().err
    assert encoders.load("micro-dino", precision="fp16").why_no_gradient
    with pytest.raises(InputError, match="Did you mean 'gradient'"):
        sensitivity([], [], table, read_from(pictures), method="gradients")


def test_energy_counts_every_colour() -> None:
    gradient = torch.zeros(1, 3, 8, 8)
    gradient[0, 0, 0, 0] = 3.0
    gradient[0, 2, 0, 0] = 4.0
    np.testing.assert_allclose(gradient_energy(gradient)[0].numpy(), 25 / 64)
