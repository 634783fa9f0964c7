from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest, ttest_1samp

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics import mmd
from bandprobe.metrics.kernels import KERNELS, median_distance
from bandprobe.seeding import generator

FORMS = {"two samples": mmd.two_sample, "pairs": mmd.paired}


def kernel_value(name: str, a: np.ndarray, b: np.ndarray, width: float) -> float:
    d = float(np.sqrt(((a - b) ** 2).sum()))
    if name == "gaussian":
        return float(np.exp(-(d**2) / (2 * width**2)))
    if name == "exponential":
        return float(np.exp(-d / width))
    return 1 / (1 + d**2 / (2 * width**2))


def naive_two_sample(x: np.ndarray, y: np.ndarray, name: str, width: float, biased: bool) -> float:
    """Gretton et al. 2012, equations 3 and 5, term by term."""
    m, n = len(x), len(y)
    xx = sum(
        kernel_value(name, x[i], x[j], width) for i, j in product(range(m), repeat=2) if biased or i != j
    )
    yy = sum(
        kernel_value(name, y[i], y[j], width) for i, j in product(range(n), repeat=2) if biased or i != j
    )
    xy = sum(kernel_value(name, x[i], y[j], width) for i, j in product(range(m), range(n)))
    if biased:
        return xx / m**2 + yy / n**2 - 2 * xy / (m * n)
    return xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n)


def naive_paired(x: np.ndarray, y: np.ndarray, name: str, width: float, biased: bool) -> float:
    """Gretton et al. 2012, equation 4, term by term."""
    n = len(x)
    total = sum(
        kernel_value(name, x[i], x[j], width)
        + kernel_value(name, y[i], y[j], width)
        - kernel_value(name, x[i], y[j], width)
        - kernel_value(name, x[j], y[i], width)
        for i, j in product(range(n), repeat=2)
        if biased or i != j
    )
    return total / (n**2 if biased else n * (n - 1))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", list(KERNELS))
@pytest.mark.parametrize(("m", "n"), [(12, 12), (9, 14), (2, 3)])
def test_two_samples_against_the_double_loop(m: int, n: int, name: str, biased: bool) -> None:
    rng = np.random.default_rng(m * n)
    x, y = rng.normal(size=(m, 5)) + 20, rng.normal(0.4, 1.2, (n, 5)) + 20
    found = mmd.two_sample(x, y, name, 2.3, 10, rng, biased=biased)
    assert found.mmd2 == pytest.approx(naive_two_sample(x, y, name, 2.3, biased), abs=5e-7)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", list(KERNELS))
def test_pairs_against_the_double_loop(name: str, biased: bool) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(13, 4))
    y = x + rng.normal(0.2, 0.4, x.shape)
    y[[2, 7]] = x[[2, 7]]  # pairs that are equal count in n
    found = mmd.paired(x, y, name, 1.9, 10, rng, biased=biased)
    assert found.mmd2 == pytest.approx(naive_paired(x, y, name, 1.9, biased), abs=5e-7)


def test_every_division_by_re_indexing_the_kernel_matrix() -> None:
    rng = np.random.default_rng(0)
    m, n = 11, 17
    points = rng.normal(size=(m + n, 3))
    K = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(-1))
    drawn = mmd.divisions(m, n, 40, rng)
    signs = drawn.signs
    assert signs.shape == (m + n, 41)
    assert ((signs == 1).sum(axis=0) == m).all()
    assert (signs[:m, 0] == 1).all()
    assert len(np.unique(signs, axis=1).T) == 41
    for biased in (False, True):
        found = mmd.mmd2_of_divisions(
            lambda rows, columns: K[rows, columns].astype(np.float32), drawn, biased=biased
        )
        for column, value in zip(signs.T, found, strict=True):
            order = np.concatenate([np.flatnonzero(column > 0), np.flatnonzero(column < 0)])
            P = K[np.ix_(order, order)]
            xx, yy, xy = P[:m, :m], P[m:, m:], P[:m, m:]
            wanted = (
                xx.mean() + yy.mean() - 2 * xy.mean()
                if biased
                else (xx.sum() - m) / (m * (m - 1)) + (yy.sum() - n) / (n * (n - 1)) - 2 * xy.mean()
            )
            assert value == pytest.approx(wanted, abs=3e-7)


def test_swaps_are_those_of_the_pairs() -> None:
    """p from the formula with signs against p from pairs that are really swapped, by the same draws."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(10, 3))
    y = x + rng.normal(0, 0.6, x.shape)
    swaps = np.random.default_rng(7).integers(0, 2, (10, 61), np.int8)
    observed = naive_paired(x, y, "gaussian", 1.5, False)
    as_large = 0
    for swap in swaps.T[1:, :, None]:
        a, b = np.where(swap, y, x), np.where(swap, x, y)
        as_large += naive_paired(a, b, "gaussian", 1.5, False) >= observed - 1e-12
    found = mmd.paired(x, y, "gaussian", 1.5, 60, np.random.default_rng(7))
    assert found.p_value == pytest.approx((1 + as_large) / 61)
    assert 0.05 < found.p_value < 0.95  # a count that says something


@pytest.mark.parametrize("form", FORMS)
def test_blocks_give_what_the_whole_matrix_gives(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 90, 6))
    found = []
    for rows in (1000, 32, 7):
        monkeypatch.setattr("bandprobe.metrics.kernels.ROWS", rows)
        monkeypatch.setattr("bandprobe.metrics.divisions.ROWS", rows)
        width = median_distance(x)
        found.append((width, *FORMS[form](x, y, "gaussian", width, 50, np.random.default_rng(0))))
    np.testing.assert_allclose(found[1], found[0], atol=1e-8, rtol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-8, rtol=1e-6)


@pytest.fixture(scope="module")
def null() -> dict[str, np.ndarray]:
    """MMD^2 and p of 200 draws without a difference; the pairs share most of what they are."""
    found: dict[str, list[mmd.MMD]] = {name: [] for name in FORMS}
    for number in range(200):
        rng = generator(0, "mmd null", number)
        x, y = rng.normal(size=(2, 40, 5))
        found["two samples"].append(mmd.two_sample(x, y[:30], "gaussian", 3.0, 199, rng))
        shared = rng.normal(size=(40, 5))
        found["pairs"].append(mmd.paired(shared + 0.3 * x, shared + 0.3 * y, "gaussian", 3.0, 199, rng))
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("form", FORMS)
def test_zero_mean_without_a_difference(form: str, null: dict[str, np.ndarray]) -> None:
    values = null[form][:, 0]
    assert ttest_1samp(values, 0).pvalue > 0.01
    assert (values < 0).any()  # unbiased: it cannot but be below zero now and then
    assert abs(values.mean()) < 0.2 * values.std()


@pytest.mark.parametrize("form", FORMS)
def test_p_is_uniform_without_a_difference(form: str, null: dict[str, np.ndarray]) -> None:
    p = null[form][:, 1]
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.01 <= (p <= 0.05).mean() <= 0.1


@pytest.mark.parametrize("name", list(KERNELS))
def test_power_against_a_shifted_gaussian(name: str) -> None:
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=(2, 100, 5))
    two = mmd.two_sample(x, y + 0.7, name, median_distance(x), 199, rng)
    pairs = mmd.paired(x, x + 0.1 * rng.normal(1, 1, x.shape), name, median_distance(x), 199, rng)
    assert two.p_value == pairs.p_value == 1 / 200
    assert two.mmd2 > pairs.mmd2 > 0


def test_a_shifted_gaussian_has_the_closed_form() -> None:
    """For N(0, I) against N(shift, I) and a Gaussian kernel, MMD^2 is known."""
    dim, width, shift = 3, 2.0, 0.8
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 3000, dim))
    y[:, 0] += shift
    spread = width**2 + 2  # the kernel's variance and both Gaussians'
    wanted = 2 * (width**2 / spread) ** (dim / 2) * (1 - np.exp(-(shift**2) / (2 * spread)))
    assert mmd.two_sample(x, y, "gaussian", width, 1, rng).mmd2 == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("name", list(KERNELS))
@pytest.mark.parametrize("biased", [False, True])
def test_pairs_of_equal_members_give_zero_and_one(name: str, biased: bool) -> None:
    x = np.random.default_rng(0).normal(50, 3, (70, 33)).astype(np.float32)
    assert mmd.paired(x, x.copy(), name, None, 99, biased=biased) == (0.0, 1.0)
    one = x.copy()
    one[4] += 1  # a single pair that differs has no other to be compared with
    if not biased:
        assert mmd.paired(x, one, name, 5.0, 99) == (0.0, 1.0)


def test_pooled_permutation_is_wrong_for_pairs() -> None:
    """Why pairs have a form of their own: pooled, p is near 1 whatever the filter does."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(150, 6))
    y = x + 0.05
    assert mmd.two_sample(x, y, "gaussian", 3.0, 199, rng).p_value > 0.9
    assert mmd.paired(x, y, "gaussian", 3.0, 199, rng).p_value == 1 / 200


def test_symmetric_in_the_samples_and_blind_to_shift_and_scale() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(25, 4)), rng.normal(0.3, 1, (31, 4))
    there = mmd.two_sample(x, y, "gaussian", 2.0, 20, np.random.default_rng(0)).mmd2
    assert mmd.two_sample(y, x, "gaussian", 2.0, 20).mmd2 == pytest.approx(there, abs=1e-7)
    assert mmd.two_sample(8 * x + 99, 8 * y + 99, "gaussian", 16.0, 20).mmd2 == pytest.approx(there, abs=1e-6)


def test_ties_count_against_a_difference() -> None:
    """Samples of a few repeated values: many permutations give the observed statistic exactly."""
    x, y = np.repeat([[0.0], [1.0]], 3, axis=0), np.repeat([[0.0], [1.0]], 3, axis=0)
    K = np.exp(-((np.vstack([x, y]) - np.vstack([x, y]).T) ** 2) / 2)
    signs = mmd.divisions(6, 6, 300, np.random.default_rng(0)).signs
    exact = [float(s @ K @ s) for s in signs.T.astype(float)]
    wanted = (1 + sum(value >= exact[0] - 1e-9 for value in exact[1:])) / 301
    assert mmd.two_sample(x, y, "gaussian", 1.0, 300, np.random.default_rng(0)).p_value == wanted == 1.0


@pytest.mark.parametrize("form", FORMS)
def test_the_bandwidth_is_the_pooled_median_by_default(form: str) -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(2, 40, 3))
    width = median_distance(np.vstack([x, y]))
    assert FORMS[form](x, y, permutations=9).mmd2 == FORMS[form](x, y, "gaussian", width, 9).mmd2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            {"kernel": "laplace"},
            InputError,
            "kernel must be one of gaussian, exponential, rational-quadratic",
        ),
        ({"bandwidth": 0.0}, InputError, "bandwidth must be a positive number; got 0.0"),
        ({"bandwidth": np.nan}, InputError, "bandwidth must be a positive number"),
        ({"permutations": 0}, InputError, "permutations must be at least 1; got 0"),
        ({"x": np.zeros((1, 3))}, ShapeError, r"x must have shape \(n, dim\) with n at least 2"),
        ({"y": np.zeros((5, 2))}, ShapeError, "x and y must have one dimension; got 3 and 2"),
        ({"y": np.full((6, 3), np.nan)}, ShapeError, "y must hold finite numbers"),
    ],
)
def test_wrong_arguments(form: str, change: dict[str, object], error: type[Exception], words: str) -> None:
    given = {"x": np.ones((6, 3)), "y": np.zeros((6, 3)), "bandwidth": 1.0, **change}
    with pytest.raises(error, match=words) as caught:
        FORMS[form](**given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_pairs_need_two_members() -> None:
    with pytest.raises(ShapeError, match="pairs must have two members"):
        mmd.paired(np.zeros((5, 2)), np.zeros((6, 2)), "gaussian", 1.0)


def test_memory_stays_far_below_the_kernel_matrix() -> None:
    """Twice 3,000 rows: the pooled kernel matrix alone would be 144 MB in float32."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3000, 16)).astype(np.float32)
    tracemalloc.start()
    mmd.two_sample(x, y, "gaussian", 5.0, 20, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmd, "LARGEST", 30)
    monkeypatch.setattr(mmd, "_BLOCK", 16)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("form", FORMS)
def test_a_large_sample_is_the_mean_over_blocks_of_rows(form: str) -> None:
    rng = generator(0, "mmd blocks", form)
    n = 40
    m = 33 if form == "two samples" else n
    x, y = rng.standard_normal((m, 3)), rng.standard_normal((n, 3)) + 0.2
    found = FORMS[form](x, y, bandwidth=1.5, permutations=5, generator=np.random.default_rng(7))
    draw = np.random.default_rng(7)
    orders = [draw.permutation(size) for size in ((m, n) if form == "two samples" else (n,))]
    parts = [np.array_split(order, 3) for order in (orders[0], orders[-1])]
    naive = naive_two_sample if form == "two samples" else naive_paired
    each = [naive(x[a], y[b], "gaussian", 1.5, False) for a, b in zip(*parts, strict=True)]
    assert found.mmd2 == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("form", FORMS)
def test_the_mean_over_blocks_has_no_bias_and_keeps_the_level(form: str) -> None:
    found = []
    for number in range(300):
        rng = generator(number, "mmd blocks null", form)
        x, y = rng.standard_normal((2, 36, 4))
        found.append(FORMS[form](x, y, bandwidth=2.0, permutations=99, generator=rng))
    values, p = np.array(found).T
    assert ttest_1samp(values, 0).pvalue > 0.01
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.02 < (p <= 0.05).mean() < 0.085  # 3 standard deviations of 5 %


@pytest.mark.usefixtures("_small_blocks")
def test_blocks_do_not_follow_the_order_of_rows() -> None:
    rng = generator(0, "mmd order of rows")
    x = np.sort(rng.standard_normal((200, 1)), axis=0)
    y = np.sort(rng.standard_normal((200, 1)), axis=0)[::-1]
    assert mmd.two_sample(x, y, permutations=199, generator=rng).p_value > 0.01


def test_permutations_drawn_before_are_those_drawn_in_the_test() -> None:
    rng = generator(0, "mmd shared permutations")
    x, y = rng.standard_normal((30, 3)), rng.standard_normal((20, 3)) + 0.3
    drawn = mmd.divisions(30, 20, 99, np.random.default_rng(5))
    plain = mmd.two_sample(x, y, permutations=99, generator=np.random.default_rng(5))
    assert mmd.two_sample(x, y, labels=drawn) == plain
    with pytest.raises(ShapeError, match="labels must divide 29 and 20 rows; they divide 30 and 20"):
        mmd.two_sample(x[1:], y, labels=drawn)
