"""Every kind of probe scores new pictures: compound encoders, tokens, heads, finished detectors; each encoder once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bandprobe as bp
from bandprobe import encoders, probes
from bandprobe.detect.contributions import contributions
from bandprobe.detect.curves import radius_curve
from bandprobe.detect.occlusion import heat_map
from bandprobe.detect.scorer import load_scorers
from bandprobe.encoders import Encoder
from bandprobe.extract import extract
from bandprobe.filters import parse
from bandprobe.images import Geometry, build
from bandprobe.probes import load
from bandprobe.probes.external import external
from bandprobe.store import EmbeddingStore, fingerprint
from small_picture import small_picture

SIZE = 32


@pytest.fixture(scope="module")
def table(world: Path) -> pd.DataFrame:
    return build([str(world)]).table


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [small_picture(rng, source, 40) for source in ("Real", "ProGAN", "DDPM")]


def trained(
    folder: Path, table: pd.DataFrame, source: str, head: str = "linear", spec: str = "none", on: str = "all"
) -> Path:
    """The file of one probe of 32 px images."""
    model = encoders.load(source, device="cpu")
    store = EmbeddingStore(folder / "store", {model.name: source})
    extract(store, table, [model], [parse(spec)], geometry=Geometry.parse(f"squash:{SIZE}"))
    made = probes.train(store, table, {model.name: source}, [on], [spec], folder, head=head)
    return folder / made[0].file_name


def logits_by_hand(path: Path, images: list[np.ndarray], spec: str = "none") -> np.ndarray:
    """By the encoder's and the probe's own calls, a picture at a time."""
    file = load(path)
    model = encoders.load(file.source, device="cpu")
    grid = Geometry.parse(f"squash:{SIZE}")
    found = []
    for image in images:
        pixels = grid.apply(image).transpose(2, 0, 1)[None].astype(np.float32) / 255
        found.append(file.probe.logits(np.asarray(model.encode(parse(spec)(pixels))))[0])
    return np.array(found)


@pytest.mark.parametrize(
    ("source", "head"),
    [
        ("spectral", "linear"),
        ("spectral", "mlp"),
        ("TINY#tokens", "attention"),
        ("spectral@lowpass:4px+TINY", "linear"),
    ],
)
def test_a_probe_of_any_kind_says_what_it_says(
    source: str, head: str, table: pd.DataFrame, checkpoint: Path, tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    few = table.groupby(["label", "split"]).head(12)
    path = trained(tmp_path, few, source.replace("TINY", str(checkpoint)), head)
    detector = bp.Detector.load(path, device="cpu")
    rows = detector.score(pictures)
    by_hand = logits_by_hand(path, pictures)
    np.testing.assert_allclose(rows["logit"], by_hand, atol=2e-3)
    [scorer] = detector.scorers
    whole = contributions(pictures[1], scorer).whole
    # `identity` rounds, and a logarithm of next to no power makes much of it.
    np.testing.assert_allclose(whole, by_hand[1], atol=0.1)
    heat = heat_map(pictures[1], scorer, cells=2)
    assert heat.shape == (1, 2, 2)
    assert np.isfinite(heat).all()
    assert (heat != 0).any()


def test_a_finished_detector_s_logit_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "redness_for_tests.py").write_text(
        "def predict(images):\n    return 4 * images[:, 0].mean((1, 2)) - 1\n"
    )
    source = "detector:redness_for_tests:predict"
    model = encoders.load(source, device="cpu")
    made_with = fingerprint(model.fingerprint, geometry=f"squash:{SIZE}", background="white", filter="none")
    file = external(model.name, source, made_with, tmp_path)
    rows = bp.Detector.load(tmp_path / file.file_name, device="cpu").score(pictures)
    grid = Geometry.parse(f"squash:{SIZE}")
    expected = np.array([4 * grid.apply(image)[..., 0].mean() / 255 - 1 for image in pictures])
    np.testing.assert_allclose(rows["logit"], expected, atol=1e-5)
    np.testing.assert_allclose(rows["probability"], 1 / (1 + np.exp(-expected)), atol=1e-5)
    assert list(rows["verdict"]) == ["fake" if value >= 0 else "real" for value in expected]
    assert rows["outside"].isna().all()
    assert rows["false_alarm_rate"].isna().all()


def test_each_filtered_picture_is_encoded_once_for_all_probes(
    table: pd.DataFrame, tmp_path: Path, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [
        trained(tmp_path, table, "spectral", on=on, spec=spec)
        for on, spec in (("all", "none"), ("ProGAN", "none"), ("DDPM", "none"), ("DDPM", "lowpass:4px"))
    ]
    detector = bp.Detector.load(paths, device="cpu")
    [scorer] = detector.scorers
    seen: list[int] = []
    kind = type(scorer.model)
    encode = kind.encode

    def counted(self: Encoder, images, *more):  # type: ignore[no-untyped-def]
        seen.append(len(images))
        return encode(self, images, *more)

    monkeypatch.setattr(kind, "encode", counted)
    detector.score(pictures)
    assert sum(seen) == 3 * 2  # pictures, filters that probes were trained under
    seen.clear()
    specs = [parse(spec) for spec in ("none", "identity", "lowpass:2px", "lowpass:4px", "highpass:4px")]
    curve = radius_curve(pictures[0], detector.scorers, specs)
    assert sum(seen) == 5
    assert len(curve) == 4 * 5


def test_a_curve_is_the_transfer_grid_s_or_the_decision_s(
    table: pd.DataFrame, tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    path = trained(tmp_path, table, "spectral", spec="lowpass:4px")
    scorers = load_scorers([path], device="cpu")
    specs = [parse(spec) for spec in ("none", "identity", "lowpass:0.5nyq", "jpeg:75")]
    image = pictures[1]
    placed = radius_curve(image, scorers, specs)
    assert list(placed["filter"]) == ["none", "identity", "lowpass:0.5nyq", "jpeg:75"]
    np.testing.assert_allclose(placed["cutoff_px"], [np.nan, np.nan, 8, np.nan])
    np.testing.assert_allclose(placed["cutoff_nyq"], [np.nan, np.nan, 0.5, np.nan])
    for own in (False, True):
        told: list[int] = []
        curve = radius_curve(image, scorers, specs, told.append, own=own)
        assert sum(told) == 4
        chain = "+lowpass:4px" if own else ""
        by_hand = [logits_by_hand(path, [image], f"{spec}{chain}")[0] for spec in placed["filter"]]
        np.testing.assert_allclose(curve["logit"], by_hand, atol=1e-2)
        probe = load(path).probe
        np.testing.assert_allclose(
            curve["probability"], probe.probabilities(curve["logit"].to_numpy()), rtol=1e-12
        )
    decided = bp.Detector.load(path, device="cpu").score(image)["logit"][0]
    assert radius_curve(image, scorers, specs[:1], own=True)["logit"][0] == pytest.approx(decided, abs=1e-9)
    assert abs(placed["logit"][0] - decided) > 0.05


def test_a_slider_does_not_fill_the_memory(
    table: pd.DataFrame, tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    scorers = load_scorers([trained(tmp_path, table, "spectral")], device="cpu")
    for radius in range(1, 60):
        radius_curve(pictures[0], scorers, [parse(f"lowpass:{radius / 4}px")])
    assert len(scorers[0]._banks) <= 16
