"""Localisation on made-up detectors whose band is known, and its tables from a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandprobe.analysis import band_bank
from bandprobe.analysis.band_bank import CONDITIONS, PASSES, RANDOM, STOPS, Ring
from bandprobe.analysis.bands import COLUMNS, TESTED_COLUMNS, bands
from bandprobe.analysis.localisation import Localisation, localise
from bandprobe.errors import InputError, ShapeError
from bandprobe.filters import expand, gain
from bandprobe.metrics import Resamples, auroc
from bandprobe.probes import EXTERNAL, LinearProbe, ProbeFile
from bandprobe.store import EmbeddingStore, Rows, fingerprint

GRID = np.linspace(0.0005, 1.4495, 1450)  # radii, as fractions of Nyquist


def passed(spec: str) -> np.ndarray:
    """What a condition passes at each radius, written anew: the spec's numbers read by hand."""
    if spec == "identity":
        return np.ones_like(GRID)
    kind, centre, width = spec.split(":")
    middle, wide = float(centre.removesuffix("nyq")), float(width.removeprefix("width=").removesuffix("nyq"))
    inside = (np.abs(GRID - middle) < wide / 2).astype(float)
    return inside if kind == "ideal-bandpass" else 1 - inside


def detector(
    used: list[tuple[float, float, float]], n: int = 150, seed: int = 0, compares: float = 0.0
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, float]]:
    """Logits of a detector that adds up what it sees band by band.

    Args:
        used: low, high, and how much more of it fakes have when all of the band is there.
        n: images of each class.
        compares: how much of a noise common to all radii it cancels with the others.
    """
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], n)
    common = rng.standard_normal(2 * n)
    own = rng.standard_normal((2 * n, len(used))) * 0.3
    logits, removed = {}, {}
    density = 1 / GRID  # energy of a 1/f^2 spectrum in rings
    for spec in CONDITIONS:
        share = passed(spec)
        logit = rng.standard_normal(2 * n) * 0.05
        for k, (low, high, gap) in enumerate(used):
            band = np.abs(GRID - (low + high) / 2) < (high - low) / 2
            there = share[band].mean()
            logit += there * (label * gap + own[:, k] + compares * common)
            logit -= compares * common * share[~band].mean()
        logits[spec] = logit
        removed[spec] = float(((1 - share) * density).sum() / density.sum())
    return logits, label, removed


def asked(found: tuple[dict[str, np.ndarray], np.ndarray, dict[str, float]], seed: int = 0) -> Localisation:
    logits, label, removed = found
    fakes = int(label.sum())
    resamples = Resamples.draw(len(label) - fakes, fakes, 200, np.random.default_rng(seed))
    return localise(logits, label, removed, resamples, np.random.default_rng(seed), permutations=499)


# --- the bank ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 64, 96, 224, 518])
def test_every_frequency_is_passed_by_two_passes_and_taken_by_a_stop(size: int) -> None:
    masks = {str(spec): gain(spec.steps[0], (size, size)) for spec in expand("bands")}
    assert list(masks) == list(CONDITIONS)
    assert len(masks) == 41
    besides = np.ones((size, size), bool)
    besides[0, 0] = False
    assert (sum(masks[ring.filter] for ring in PASSES)[besides] == 2).all()
    assert (np.prod([masks[ring.filter] for ring in STOPS], axis=0)[besides] == 0).all()
    assert all(mask[0, 0] == 1 for mask in masks.values())  # the mean stays


def test_rings_are_what_their_masks_pass() -> None:
    size = 200
    u = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(u[:, None], u[None, :]) / (size / 2)
    for ring in (*PASSES, *STOPS, *RANDOM):
        [spec] = expand(ring.filter)
        inside = (ring.low_nyq <= radius) & (radius < ring.high_nyq)
        inside[0, 0] = spec.kind == "ideal-bandpass"
        np.testing.assert_array_equal(
            gain(spec.steps[0], (size, size)) == 1, inside ^ (spec.kind != "ideal-bandpass")
        )


def test_candidates_say_what_must_be_nothing() -> None:
    found = band_bank.CANDIDATES
    at = next(k for k, ring in enumerate(found.rings) if (ring.low_nyq, ring.high_nyq) == (0.423, 0.473))
    free = [PASSES[k] for k in np.flatnonzero(~found.passes[:, at])]
    assert [(ring.low_nyq, ring.high_nyq) for ring in free] == [(0.373, 0.473), (0.423, 0.523)]
    stopping = [STOPS[k] for k in np.flatnonzero(found.stops[:, at])]
    assert [(ring.low_nyq, ring.high_nyq) for ring in stopping] == [(0.323, 0.523), (0.423, 0.623)]
    assert found.steps[at] == 1


# --- where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high"), [(0.03, 0.06), (0.2, 0.22), (0.36, 0.385), (0.44, 0.56), (0.61, 0.9), (1.38, 1.42)]
)
def test_one_band_is_found_with_an_interval_around_it(low: float, high: float) -> None:
    found = asked(detector([(low, high, 1.0)]))
    assert found.auroc > 0.9
    [band] = found.used
    assert abs(band.centre_nyq - (low + high) / 2) <= 0.05
    assert band.low_nyq <= low + 0.005
    assert high - 0.005 <= band.high_nyq
    assert band.high_nyq - band.low_nyq < high - low + 0.2
    assert band.strength > 0.9
    assert band.p_value == pytest.approx(1 / 500)


def test_bands_that_are_only_compared_with_are_not_claimed() -> None:
    """Without the rest the detector is much worse, and still the rest tells nothing."""
    made = detector([(0.52, 0.57, 0.8)], compares=2.0)
    found = asked(made)
    elsewhere = [
        band for band in found.tried if band.kind == "stop" and band.ring.apart(Ring("", 0.52, 0.57))
    ]
    assert max(band.fall for band in elsewhere) > 0.1
    [band] = found.used
    assert abs(band.centre_nyq - 0.545) <= 0.05
    assert band.high_nyq - band.low_nyq < 0.3


def test_two_bands_with_nothing_between_are_two() -> None:
    found = asked(detector([(0.2, 0.25, 0.6), (0.7, 0.8, 0.9)]))
    assert len(found.used) == 2
    centres = sorted(band.centre_nyq for band in found.used)
    np.testing.assert_allclose(centres, [0.225, 0.75], atol=0.05)
    assert found.used[0].strength >= found.used[1].strength


def test_a_shift_or_a_scale_of_all_logits_changes_nothing() -> None:
    logits, label, removed = detector([(0.3, 0.4, 0.8)])
    rng = np.random.default_rng(1)
    moved = {spec: 3 * logit + rng.normal(0, 100) for spec, logit in logits.items()}
    plain = asked((logits, label, removed))
    other = asked((moved, label, removed))
    assert plain.used == other.used
    for mine, its in zip(plain.tried, other.tried, strict=True):
        np.testing.assert_equal(mine.p_value, its.p_value)  # NaN is NaN


def test_nothing_is_claimed_where_classes_are_alike() -> None:
    silent = sum(not asked(detector([(0.4, 0.5, 0.0)], n=40, seed=seed), seed).used for seed in range(40))
    assert silent >= 34  # of 40 at a true rate of 95 %, fewer have a chance of 1 in 70


# --- what is reported -------------------------------------------------------------------------------


def test_what_was_tried_is_what_auroc_says() -> None:
    logits, label, removed = detector([(0.3, 0.4, 0.5)], seed=3)
    found = asked((logits, label, removed))
    whole = auroc(label, logits["identity"])
    assert found.auroc == pytest.approx(whole)
    assert [band.ring.filter for band in found.tried] == list(CONDITIONS[1:])
    for band in found.tried:
        assert band.auroc == pytest.approx(auroc(label, logits[band.ring.filter]))
        assert band.fall == pytest.approx(whole - band.auroc)
        assert np.isnan(band.p_value) == (band.kind == "random")
        assert np.isnan(band.control_fall) == (band.kind != "stop")


def test_controls_lie_elsewhere_and_take_the_nearest_energy() -> None:
    logits, label, removed = detector([(0.3, 0.4, 0.5)], seed=3)
    found = asked((logits, label, removed))
    falls = {band.ring.filter: band.fall for band in found.tried}
    for band in (band for band in found.tried if band.kind == "stop"):
        elsewhere = [ring for ring in (*STOPS, *RANDOM) if ring.apart(band.ring)]
        ratio = [abs(np.log(removed[ring.filter] / removed[band.ring.filter])) for ring in elsewhere]
        nearest = [elsewhere[k].filter for k in np.argsort(ratio, kind="stable")[:3]]
        assert band.control_fall == pytest.approx(np.mean([falls[spec] for spec in nearest]))


def test_p_values_are_those_of_permuted_labels() -> None:
    """Against a slow permutation test of the passes alone: correcting for the stops as well raises p a little."""
    logits, label, removed = detector([(0.3, 0.4, 0.12)], n=60, seed=5)
    found = asked((logits, label, removed))
    scores = [logits[ring.filter] for ring in PASSES]
    rng = np.random.default_rng(9)
    permuted = [rng.permutation(label) for _ in range(300)]
    largest = np.array([max(auroc(labels, score) for score in scores) for labels in permuted])
    for band, score in zip(found.tried, scores, strict=False):
        slow = float((largest >= auroc(label, score)).mean())
        assert slow - 0.09 <= band.p_value <= 2 * slow + 0.09


def test_what_cannot_be_used_is_refused() -> None:
    logits, label, removed = detector([(0.3, 0.4, 0.5)], n=20)
    with pytest.raises(InputError, match=r"1 are missing, e\.g\. 'identity'"):
        asked(({spec: logit for spec, logit in logits.items() if spec != "identity"}, label, removed))
    with pytest.raises(InputError, match="reals and fakes"):
        localise(
            logits,
            np.ones(40),
            removed,
            Resamples.draw(20, 20, 9, np.random.default_rng(0)),
            np.random.default_rng(0),
        )
    with pytest.raises(ShapeError, match="logits"):
        asked((logits | {"identity": np.zeros(3)}, label, removed))


# --- from a store -----------------------------------------------------------------------------------


def manifest() -> pd.DataFrame:
    rows = [
        (f"{source}{number:03d}", int(source != "Real"), source, family, "d", "test")
        for source, family in (("Real", "real"), ("A", "gan"), ("B", "gan"), ("C", "diffusion"))
        for number in range(60)
    ]
    return pd.DataFrame(rows, columns=["image_id", "label", "generator", "family", "dataset", "split"])


def filled(folder: Path, specs: tuple[str, ...] = CONDITIONS) -> EmbeddingStore:
    """One-number embeddings: A's fakes differ from 0.40 to 0.47, B's nowhere."""
    store, table = EmbeddingStore(folder), manifest()
    rng = np.random.default_rng(0)
    band = (GRID > 0.4) & (GRID < 0.47)
    with store:
        for spec in specs:
            share = passed(spec)
            X = rng.standard_normal((len(table), 1)) * 0.3
            X[:, 0] += share[band].mean() * (table["generator"] == "A")
            taken = np.full(len(table), 1 - share.mean(), np.float32)
            made = fingerprint({"weights": "w"}, geometry="squash:32", background="white", filter=spec)
            store.write("e", made, Rows(table["image_id"].to_numpy(object), X.astype("f4"), taken, taken))
    return store


def probe(trained_on: str, train_filter: str = "none", family: str = "gan") -> ProbeFile:
    one = LinearProbe(np.zeros(1), np.ones(1), np.ones(1), 0.0, 0.0, 1.0, 0.0, 1.0, "split")
    return ProbeFile(one, "e", "e", trained_on, family, train_filter, {}, {})


def test_tables_of_a_store(tmp_path: Path) -> None:
    probes = [probe("A"), probe("B"), probe("family:gan"), probe("A", "lowpass:3px"), probe(EXTERNAL)]
    found = bands(filled(tmp_path), manifest(), probes, seed=1)
    claimed, tested = found
    assert tuple(claimed.columns) == COLUMNS
    assert tuple(tested.columns) == TESTED_COLUMNS
    assert claimed[["trained_on", "tested_on"]].to_numpy().tolist() == [
        ["A", "A"],
        ["family:gan", "A"],
        [EXTERNAL, "A"],
    ]
    assert (abs(claimed["centre_nyq"] - 0.435) < 0.05).all()
    assert ((claimed["low_nyq"] <= 0.41) & (claimed["high_nyq"] >= 0.46)).all()
    assert set(tested["train_filter"]) == {"none"}
    rows = tested.groupby(["trained_on", "tested_on"]).size().to_dict()
    assert rows == {
        ("A", "A"): 40, ("B", "B"): 1, ("family:gan", "A"): 40, ("family:gan", "B"): 1,
        (EXTERNAL, "A"): 40, (EXTERNAL, "B"): 1, (EXTERNAL, "C"): 1,
    }  # fmt: skip
    low = tested[(tested["trained_on"] == "B")].iloc[0]
    assert low["outcome"].startswith("not asked: AUROC 0.")
    assert low["own_auroc"] < 0.75
    assert set(tested.loc[tested["kind"] == "pass", "outcome"]) == {"1 claimed"}
    pd.testing.assert_frame_equal(bands(filled(tmp_path / "b"), manifest(), probes, seed=1).claimed, claimed)


def test_a_store_without_the_bank_says_so(tmp_path: Path) -> None:
    claimed, tested = bands(filled(tmp_path, CONDITIONS[:-2]), manifest(), [probe("A")])
    assert claimed.empty
    assert tuple(claimed.columns) == COLUMNS
    [outcome] = tested["outcome"]
    assert outcome == f"not asked: no embeddings under 2 filters, e.g. {CONDITIONS[-2]}"
