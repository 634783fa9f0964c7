"""Entropies against closed forms, naive versions and many draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial.distance import cdist

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.entropy import (
    effective_rank,
    effective_rank_ratio,
    knn_entropy,
    knn_entropy_change,
    log_cap_area,
    neighbourhood,
    spectral_entropy,
)
from bandprobe.metrics.jackknife import from_groups, from_influence, groups
from bandprobe.metrics.radial import radial_power


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def orthogonal(d: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(rng(seed).standard_normal((d, d)))[0]


# Effective rank


def test_rank_of_equal_singular_values_is_their_number():
    # Columns of a centred orthogonal design: k equal singular values and no other.
    k = 6
    design = np.linalg.qr(np.column_stack([np.ones(40), rng().standard_normal((40, k))]))[0][:, 1:]
    found = effective_rank(3.7 * design @ orthogonal(20)[:k] + 5)
    assert found.value == pytest.approx(k, rel=1e-9)
    line = np.outer(np.arange(9.0), [1, 2, 3])
    assert effective_rank(line).value == pytest.approx(1, abs=1e-4)


def test_rank_is_the_naive_formula_on_either_side_of_square():
    for shape in ((50, 8), (20, 70)):
        X = rng(1).standard_normal(shape) * 1 / np.arange(1, shape[1] + 1)
        s = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
        p = s / s.sum()
        p = p[p > 1e-9]
        assert effective_rank(X).value == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)


def test_rank_does_not_see_rotation_scale_or_shift():
    X = rng(2).standard_normal((30, 12)) * np.linspace(1, 3, 12)
    assert effective_rank(2 * X @ orthogonal(12) - 7).value == pytest.approx(effective_rank(X).value)


def test_influence_is_the_derivative_by_an_image_s_weight():
    X = rng(3).standard_normal((25, 6)) * np.linspace(1, 3, 6)

    def log_rank(weights):
        mean = weights @ X / weights.sum()
        s = np.linalg.svd((X - mean) * np.sqrt(weights)[:, None], compute_uv=False)
        return stats.entropy(s / s.sum())

    step = 1e-5
    for image in (0, 7):
        up, down = np.ones(25), np.ones(25)
        up[image] += step
        down[image] -= step
        slope = (log_rank(up) - log_rank(down)) / (2 * step)
        assert 25 * slope == pytest.approx(effective_rank(X).influence[image], rel=1e-4)


def test_intervals_of_rank_and_entropy_cover():
    """In 200 draws the interval holds the mean over draws about as often as it says."""
    d, draws = 12, 200
    scale, mix = 1 / np.arange(1, d + 1) ** 0.7, rng(9).standard_normal((d, d))
    hits = {"rank": [], "ratio": [], "entropy": [], "change": []}
    generator = rng(4)
    for _ in range(draws):
        A = generator.standard_normal((60, d)) * scale
        B = 0.4 * A @ mix + 0.3 * generator.standard_normal((60, d))
        a, b = neighbourhood(A), neighbourhood(B)
        ranks = effective_rank(A), effective_rank(B)
        hits["rank"].append(ranks[0][:3])
        hits["ratio"].append(effective_rank_ratio(*ranks))
        hits["entropy"].append(knn_entropy(A))
        hits["change"].append(knn_entropy_change(b, a))
    for name, found in hits.items():
        value, low, high = np.array(found).T
        covered = np.mean((low < value.mean()) & (value.mean() < high))
        assert 0.88 <= covered <= 0.995, name


# Nearest-neighbour entropy


def test_uniform_on_the_sphere_has_its_log_area():
    points = rng(5).standard_normal((1500, 32))
    found = knn_entropy(points / np.linalg.norm(points, axis=1, keepdims=True))
    area = np.log(2 * np.pi**16) - special.gammaln(16)
    assert found.value == pytest.approx(area, abs=0.1)
    assert found.low < area < found.high
    # With the volume of a flat ball in place of the cap's area it would be nats off, in 31 as in 32 dimensions.
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    radius = np.log(np.sort(cdist(unit, unit), axis=1)[:, 5])
    for d in (31, 32):
        ball = d / 2 * np.log(np.pi) - special.gammaln(d / 2 + 1)
        flat = special.digamma(1500) - special.digamma(5) + ball + d * radius.mean()
        assert abs(flat - area) > 1


def test_gaussian_without_the_sphere_has_its_entropy():
    scale = np.array([1.0, 2.0, 0.5])
    X = rng(6).standard_normal((3000, 3)) * scale @ orthogonal(3)
    exact = stats.multivariate_normal(cov=np.diag(scale**2)).entropy()
    found = knn_entropy(X, sphere=False)
    assert found.value == pytest.approx(exact, abs=0.06)
    assert found.low < exact < found.high


def test_formula_point_by_point():
    X, k = rng(7).standard_normal((40, 3)), 4
    distance = np.sort(cdist(X, X), axis=1)[:, k]  # column 0 is the point itself
    ball = 4 / 3 * np.pi
    exact = special.digamma(40) - special.digamma(k) + np.log(ball) + 3 * np.log(distance).mean()
    assert knn_entropy(X, k, sphere=False).value == pytest.approx(exact)


def test_groups_left_out_are_the_entropy_of_the_rest():
    X, k = rng(8).standard_normal((120, 4)), 5
    kept = groups(120) != 3
    whole = neighbourhood(X, k, sphere=False)
    rest = neighbourhood(X[kept], k, sphere=False)
    assert whole.entropy(kept) == pytest.approx(rest.entropy())


def test_change_is_zero_from_itself_and_known_from_a_scaled_copy():
    X = rng(9).standard_normal((80, 6))
    a = neighbourhood(X, sphere=False)
    assert knn_entropy_change(a, a) == pytest.approx((0, 0, 0))
    found = knn_entropy_change(neighbourhood(3 * X, sphere=False), a)
    assert found == pytest.approx((6 * np.log(3),) * 3)
    # Lengths do not count on the sphere.
    assert knn_entropy_change(neighbourhood(3 * X), neighbourhood(X)).value == pytest.approx(0, abs=1e-9)


def test_cap_areas_in_closed_form():
    chord = np.array([0.1, 1.0, 1.9, 2.0])
    np.testing.assert_allclose(log_cap_area(chord, 2), np.log(np.pi * chord**2))  # Archimedes
    arc = 2 * np.arcsin(chord / 2)
    np.testing.assert_allclose(log_cap_area(chord, 1), np.log(2 * arc))
    tiny = 1e-30  # far below where the incomplete beta function is a float
    flat = 31 * np.log(tiny) + 15.5 * np.log(np.pi) - special.gammaln(16.5)
    assert log_cap_area(tiny, 31) == pytest.approx(flat)


@pytest.mark.parametrize("call", [effective_rank, knn_entropy])
def test_what_cannot_be_measured_is_said_in_one_line(call):
    with pytest.raises(InputError, match="same embedding for every image") as error:
        call(np.ones((20, 4)))
    assert "\n" not in str(error.value)
    with pytest.raises(ShapeError, match=r"\(n, d\)"):
        call(np.ones(4))
    with pytest.raises(ShapeError, match="finite"):
        call(np.array([[0, np.nan], [1, 2], [3, 4]]))
    with pytest.raises(InputError, match="3 images or more"):
        call(np.eye(2))


def test_neighbours_that_are_not_there():
    with pytest.raises(InputError, match="fewer images than neighbours"):
        knn_entropy(rng().standard_normal((6, 3)), k=5)
    with pytest.raises(InputError, match="k must be at least 1"):
        knn_entropy(rng().standard_normal((6, 3)), k=0)
    with pytest.raises(InputError, match="equal embeddings"):
        knn_entropy(np.repeat(rng().standard_normal((4, 3)), 6, axis=0))
    with pytest.raises(InputError, match="two directions"):
        knn_entropy(np.outer(np.arange(20.0) ** 2, [1, 2, 3]))


# Jackknives


def test_jackknives_of_a_mean_are_its_t_interval():
    x = rng(10).standard_normal(50)
    exact = stats.t.interval(0.95, 49, x.mean(), stats.sem(x))
    assert from_influence(x.mean(), x)[1:] == pytest.approx(exact)
    without = [np.delete(x, i).mean() for i in range(50)]
    assert from_groups(x.mean(), without)[1:] == pytest.approx(exact)
    assert len(set(groups(300))) == 50
    assert len(set(groups(7))) == 7


# Spectral entropy


def naive(image: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Ring by ring with loops."""
    size = len(image)
    power = np.abs(np.fft.fftshift(np.fft.fft2(image))) ** 2
    rings: list[list[float]] = [[] for _ in range(size // 2 + 1)]
    for u in range(size):
        for v in range(size):
            ring = round(np.hypot(u - size // 2, v - size // 2))
            if ring <= size // 2:
                rings[ring].append(power[u, v])
    return (
        np.array([stats.entropy(ring) for ring in rings]),
        float(stats.entropy([sum(ring) for ring in rings[1:]])),
        float(stats.entropy(np.concatenate(rings[1:]))),
    )


def test_spectral_entropy_is_the_naive_one_whatever_the_scale():
    images = rng(11).standard_normal((3, 16, 16))
    found = spectral_entropy(images)
    for number, image in enumerate(images):
        ring, across, whole = naive(image)
        np.testing.assert_allclose(found.ring[number], ring, atol=1e-9)
        assert (found.across[number], found.whole[number]) == pytest.approx((across, whole))
    again = spectral_entropy(4 * images + 9)
    np.testing.assert_allclose(again.whole, found.whole)


def test_chain_rule():
    images = rng(12).standard_normal((4, 32, 32)).cumsum(axis=1)
    found = spectral_entropy(images)
    size = np.bincount(np.rint(np.hypot(*np.mgrid[-16:16, -16:16])).astype(int).ravel())[:17]
    power = radial_power(images)[:, 1:] * size[1:]
    share = power / power.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.whole, found.across + (share * found.ring[:, 1:]).sum(axis=1))


def test_one_wave_has_two_frequencies_and_noise_nearly_all():
    column = np.arange(64)
    wave = np.tile(np.cos(2 * np.pi * 5 * column / 64), (64, 1))
    found = spectral_entropy(wave[None])
    assert found.ring[0, 5] == pytest.approx(np.log(2))
    assert found.across[0] == pytest.approx(0, abs=1e-9)
    assert found.whole[0] == pytest.approx(np.log(2))
    # Power of white noise at K independent frequencies is exponential: its shares are uniform on the simplex,
    # whose mean entropy is psi(K + 1) - psi(2); each stands twice, at opposite frequencies.
    noise = spectral_entropy(rng(13).standard_normal((400, 64, 64)))
    ring = np.rint(np.hypot(*np.mgrid[-32:32, -32:32])).astype(int)
    K = (ring == 20).sum() / 2
    exact = special.digamma(K + 1) - special.digamma(2) + np.log(2)
    assert noise.ring[:, 20].mean() == pytest.approx(exact, abs=0.01)


def test_flat_images_have_no_entropy():
    found = spectral_entropy(np.full((2, 8, 8), 0.3))
    assert np.isnan(found.whole).all()
    assert np.isnan(found.across).all()
    with pytest.raises(ShapeError):
        spectral_entropy(np.zeros((1, 8, 9)))
