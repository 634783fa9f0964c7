from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics import kernels


@pytest.mark.parametrize("n", [2, 3, 40, 301, 600])  # even and odd numbers of pairs, one block and several
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_bandwidth_is_the_exact_median_of_all_pairs(n: int, offset: float) -> None:
    x = np.random.default_rng(n).normal(offset, 2, (n, 7))
    assert kernels.median_distance(x) == pytest.approx(np.median(pdist(x)), rel=1e-5)


def test_bandwidth_of_logits_with_an_outlier() -> None:
    x = np.random.default_rng(0).normal(size=(200, 1))
    x[0] = 1e4
    assert kernels.median_distance(x) == pytest.approx(np.median(pdist(x)), rel=1e-3)


def test_of_many_rows_some_are_taken_from_all_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "LARGEST_MEDIAN", 50)
    x = np.concatenate([np.zeros((60, 1)), np.ones((60, 1))]) + np.arange(120)[:, None] * 1e-3
    wanted = np.median(pdist(x[np.linspace(0, 119, 50).astype(int)]))
    assert kernels.median_distance(x) == pytest.approx(wanted, rel=1e-4)
    assert wanted > 0.5


@pytest.mark.parametrize("copies", [200, 150])
def test_rows_that_are_equal_have_no_bandwidth(copies: int) -> None:
    x = np.random.default_rng(0).normal(3, 1, (200, 64)).astype(np.float32)
    x[:copies] = x[0]
    with pytest.raises(InputError, match="bandwidth must be positive; half or more of the rows are equal"):
        kernels.median_distance(x)


@pytest.mark.parametrize(
    "values", [np.zeros(4), np.zeros((1, 4)), np.zeros((4, 0)), np.full((3, 2), np.nan), [[1.0], [np.inf]]]
)
def test_what_is_no_sample_is_refused(values: object) -> None:
    with pytest.raises(ShapeError, match=r"^x must "):
        kernels.median_distance(values)  # type: ignore[arg-type]


def test_kernels_by_their_formulas() -> None:
    d = np.linspace(0, 4, 9)
    width = 1.7
    wanted = {
        "gaussian": np.exp(-(d**2) / (2 * width**2)),
        "exponential": np.exp(-d / width),
        "rational-quadratic": (1 + d**2 / (2 * width**2)) ** -1,
    }
    assert set(wanted) == set(kernels.KERNELS)
    for name, values in wanted.items():
        found = kernels.KERNELS[name](((d / width) ** 2).astype(np.float32))
        np.testing.assert_allclose(found, values, rtol=3e-7)


def test_an_unknown_kernel_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"got 'gausian'\. Did you mean 'gaussian'\?"):
        kernels.check_kernel("gausian")


def test_distances_far_from_the_origin() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(1000, 1, (30, 50))
    scaled = kernels.in_bandwidths(x, 10.0)
    points = kernels.Points.of(scaled)
    found = points.distances(slice(3, 20), points, slice(0, 30))
    np.testing.assert_allclose(found, cdist(x, x, "sqeuclidean")[3:20] / 100, atol=2e-6)
    assert (np.diag(points.distances(slice(0, 30), points, slice(0, 30))) == 0).all()
