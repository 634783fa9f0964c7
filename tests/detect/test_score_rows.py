"""The detector: its numbers by hand, its rules by closed forms and on simulated images, what it takes and refuses."""

from __future__ import annotations

import http.server
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binom

import bandprobe as bp
from bandprobe import cli, encoders
from bandprobe.detect.contributions import consensus, contributions
from bandprobe.detect.decision import Decision, decide, share
from bandprobe.detect.inputs import inputs_of, standard_input
from bandprobe.detect.occlusion import heat_map
from bandprobe.errors import ImageError, InputError
from bandprobe.filters import parse
from bandprobe.images import Geometry
from bandprobe.probes import ProbeFile, load
from bandprobe.probes.judged import Judged
from bandprobe.probes.linear import LinearProbe
from bandprobe.probes.novelty import novelty
from small_detector import micro_table, pictures, write_probe


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return micro_table()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame) -> list[Path]:
    return write_probe(tmp_path_factory.mktemp("detector"), table, filters=("none", "lowpass:8px"))


@pytest.fixture(scope="module")
def probe(made: list[Path]) -> Path:
    return made[0]


@pytest.fixture(scope="module")
def detector(probe: Path) -> bp.Detector:
    return bp.Detector.load(probe, device="cpu")


def vectors(images: list[np.ndarray], spec: str = "none") -> np.ndarray:
    batch = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255
    return encoders.load("micro-dino", device="cpu").encode(parse(spec)(batch))


def test_rows_are_what_the_probe_says_by_hand(made: list[Path]) -> None:
    images = pictures("gan-style", 5)
    rows = bp.Detector.load(made, device="cpu").score(images)
    assert len(rows) == 10
    for path, spec in zip(made, ("none", "lowpass:8px"), strict=True):
        file, mine = load(path), rows[rows["probe"] == path.stem]
        embedding = vectors(images, spec).astype(float)
        logits = (embedding - file.probe.mean) / file.probe.scale @ file.probe.weight + file.probe.bias
        np.testing.assert_allclose(mine["logit"], logits, atol=1e-4)
        chance = 1 / (1 + np.exp(-(file.probe.slope * logits + file.probe.intercept)))
        np.testing.assert_allclose(mine["probability"], chance, atol=1e-4)
        assert list(mine["path"]) == [f"image {number}" for number in range(5)]


def test_what_stands_in_a_probe_file_comes_back(probe: Path) -> None:
    file = load(probe)
    judged, kept = file.probe.judged, file.novelty
    assert judged is not None
    assert kept is not None
    assert judged.n_real == len(judged.real)
    again = file.probe.judged.alarms(file.probe.threshold) / judged.n_real
    assert 0 <= again < 0.6
    assert kept.directions.shape[1] == file.probe.mean.size
    np.testing.assert_allclose(kept.directions @ kept.directions.T, np.eye(len(kept.directions)), atol=1e-5)


def file_of(
    judged: Judged | None, threshold: float = 0.0, slope: float = 1.0, intercept: float = 0.0
) -> ProbeFile:
    one = np.ones(1)
    probe = LinearProbe(0 * one, one, one, 0.0, threshold, slope, intercept, 1.0, "split", judged)
    return ProbeFile(probe, "e", "e", "all", "all", "none", {}, {})


@pytest.mark.parametrize("n", [50, 1000, 30_000])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_no_more_reals_are_alarms_than_asked(n: int, rate: float) -> None:
    rng = np.random.default_rng(n)
    logits, labels = rng.normal(size=2 * n), np.repeat([0, 1], n).astype(np.int8)
    judged = Judged.of(logits, labels)
    found = judged.threshold_at(rate)
    alarms = int((logits[:n] >= found).sum())
    assert alarms <= rate * n + max(1, n / 2001)
    if n <= 2001:
        assert alarms == int(rate * n + 1e-9)
        assert judged.alarms(found) == alarms
        assert judged.misses(found) == int((logits[n:] < found).sum())
    assert abs(judged.alarms(found) - alarms) <= max(1, n / 1000)
    sure = judged.sure_real(rate)
    assert int((logits[n:] < sure).sum()) <= rate * n + max(1, n / 2001)


def test_a_prior_is_bayes_rule() -> None:
    judged = Judged(np.sort(np.linspace(-3, 1, 200)), np.sort(np.linspace(-1, 3, 200)), 200, 200)
    file = file_of(judged, slope=1.7, intercept=-0.4)
    logits = np.array([-2.0, 0.3, 2.5])
    even = decide(file, abstain="none").probability(logits)
    for prior in (0.001, 0.01, 0.5, 0.9):
        rule = decide(file, prior=prior, abstain="none")
        odds = even / (1 - even) * prior / (1 - prior)
        np.testing.assert_allclose(rule.probability(logits), odds / (1 + odds))
        assert rule.probability(np.array([rule.threshold]))[0] == pytest.approx(0.5)


def test_probabilities_hold_at_a_prior() -> None:
    rng = np.random.default_rng(1)
    fake = rng.random(400_000) < 0.03
    logits = np.where(fake, 1.5, -1.5) + rng.normal(0, np.sqrt(1.5 * 2 / 2), len(fake))  # log odds 2 * logit
    rule = decide(file_of(None, slope=2.0), prior=0.03, abstain="none")
    chances = rule.probability(logits)
    for low, high in ((0.02, 0.1), (0.1, 0.4), (0.4, 0.8), (0.8, 0.98)):
        inside = (chances >= low) & (chances < high)
        hits, n, expected = int(fake[inside].sum()), int(inside.sum()), float(chances[inside].mean())
        assert binom.ppf(1e-4, n, expected) <= hits <= binom.ppf(1 - 1e-4, n, expected)


def test_outside_the_band_of_abstention_few_are_wrong() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 20_000).astype(np.int8)
    judged = Judged.of(rng.normal(size=40_000) + 1.2 * labels, labels)
    rule = decide(file_of(judged, threshold=0.6))
    assert rule.low < rule.threshold < rule.high
    new = rng.normal(size=40_000) + 1.2 * labels
    verdicts = np.array([rule.verdict(value) for value in new])
    assert set(verdicts) == {"fake", "real", "abstain"}
    for label, wrong in ((0, "fake"), (1, "real")):
        assert (verdicts[labels == label] == wrong).mean() == pytest.approx(0.05, abs=0.006)
    # Classes that do not overlap leave no band.
    apart = Judged.of(labels * 4.0 + rng.normal(0, 0.1, 40_000), labels)
    rule = decide(file_of(apart, threshold=2.0))
    assert rule.low == rule.high == rule.threshold
    given = decide(file_of(None, slope=2.0), abstain="0.2..0.8")
    assert [rule.verdict(value) for value in (-0.7, -0.69, 0.69, 0.7)] == ["real"] * 4
    assert [given.verdict(value) for value in (-0.7, -0.69, 0.69, 0.7)] == [
        "real",
        "abstain",
        "abstain",
        "fake",
    ]


def test_the_rate_is_said_with_its_interval(detector: bp.Detector, probe: Path) -> None:
    row = detector.score(pictures("Real", 1)).iloc[0]
    judged = load(probe).probe.judged
    assert judged is not None
    share_of = float((judged.real >= row["threshold"]).mean())
    assert row["false_alarm_rate"] == pytest.approx(share_of)
    assert row["false_alarm_low"] < share_of < row["false_alarm_high"]
    assert row["n_real"] == judged.n_real


def test_rules_that_cannot_be_followed() -> None:
    none = file_of(None)
    for options, words in (
        ({"prior": 1.0}, "--prior must be a share"),
        ({"prior": 0.0}, "--prior must be a share"),
        ({"false_alarms": 0.01}, "needs the probe's held-out logits"),
        ({"abstain": "0.8..0.2"}, "--abstain must be auto, none or LOW..HIGH"),
        ({"abstain": "0.2-0.8"}, "--abstain must be auto, none or LOW..HIGH"),
    ):
        with pytest.raises(InputError, match=words):
            decide(none, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no calibration"):
        decide(file_of(None, slope=0.0), prior=0.1)
    assert share("1%", "--prior") == share(" 0.01 ", "--prior") == 0.01
    with pytest.raises(InputError, match="--prior must be a share such as"):
        share("often", "--prior")


def test_distances_are_mahalanobis() -> None:
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(6, 6))
    label = rng.integers(0, 2, 900).astype(np.int8)
    X = (rng.normal(size=(900, 6)) @ mixing + 3 * label[:, None]).astype(np.float32)
    split = np.array(["train"] * 600 + ["val"] * 300, dtype=object)
    found = novelty(X, label, split)
    assert found is not None
    Z = (X[:600] - X[:600].mean(0)) / X[:600].std(0)
    centres = [Z[label[:600] == value].mean(0) for value in (0, 1)]
    within = Z - np.stack([centres[value] for value in label[:600]])
    inverse = np.linalg.inv(within.T @ within / 600)
    new = (X[600:] - X[:600].mean(0)) / X[:600].std(0)
    expected = np.min([np.einsum("ij,jk,ik->i", new - c, inverse, new - c) for c in centres], 0)
    np.testing.assert_allclose(found.distance(X[600:]), np.sqrt(expected / 6), rtol=0.02)
    assert (found.distance(X[600:]) > found.threshold).mean() <= 0.01
    assert (found.distance(X[:50] + 40) > found.threshold).all()
    assert novelty(X[:30], label[:30], split[:30]) is None


def test_noise_is_outside_and_photographs_of_the_world_are_not(detector: bp.Detector) -> None:
    rng = np.random.default_rng(4)
    noise = [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(20)]
    rows = detector.score([*noise, *pictures("Real", 40)])
    assert rows["outside"][:20].mean() > 0.9
    assert rows["outside"][20:].mean() < 0.2
    assert ((rows["novelty"] > 1) == rows["outside"]).all()


def test_a_file_from_before_has_no_novelty(
    probe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bandprobe.probes import save

    file = load(probe)
    old = save(replace(file, probe=replace(file.probe, judged=None), novelty=None), tmp_path)
    Image.fromarray(pictures("Real", 1)[0]).save(tmp_path / "a.png")
    assert cli.run(["score", str(tmp_path / "a.png"), "--probe", str(old), "--json"]) == 0
    out, err = capsys.readouterr()
    [row] = json.loads(out)
    assert row["outside"] is None
    assert row["false_alarm_rate"] is None
    assert err.count("novelty is not known") == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    for number, picture in enumerate([*pictures("Real", 3), *pictures("gan-style", 4)]):
        Image.fromarray(picture).save(place / f"{number}.png")
    return place


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_long_run_goes_on_where_it_stopped(
    kind: str, folder: Path, made: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"scores.{kind}"
    probes = [part for path in made for part in ("--probe", str(path))]
    command = ["score", str(folder), *probes, "--out", str(out), "--quiet", "--batch-size", "2"]
    assert cli.run(command) == 0
    whole = lines_of(out)
    extra = int(kind == "csv")
    assert len(whole) == 14 + extra
    # Killed in the middle of a row, and between the two rows of an image.
    for kept, rest in ((6, whole[6][:9]), (7, ""), (5, "")):
        content = "".join(f"{line}\n" for line in whole[: kept + extra]) + rest
        out.write_text(content, encoding="utf-8")
        assert cli.run(command) == 0
        assert lines_of(out) == whole
        assert f"{7 - kept // 2} images were there already" not in capsys.readouterr().out or kept
    assert cli.run(command) == 0
    assert lines_of(out) == whole
    assert "7 images were there already" in capsys.readouterr().out
    assert cli.run([*command[:2], "--probe", str(made[1]), "--out", str(out)]) == 2
    assert "which is not asked now" in capsys.readouterr().err
    assert cli.run([*command, "--prior", "1%"]) == 2
    assert "holds rows with prior none, and now it is 0.01; give another --out" in capsys.readouterr().err
    assert lines_of(out) == whole
    (tmp_path / f"else.{kind}").write_text("something else\n", encoding="utf-8")
    assert cli.run([*command[:4], "--out", str(tmp_path / f"else.{kind}")]) == 2
    assert "holds something else than rows of `score`" in capsys.readouterr().err


def test_forms_of_output_agree(folder: Path, probe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(folder), "--probe", str(probe), "--quiet"]
    assert cli.run([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert cli.run([*command, "--format", "jsonl"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows
    assert cli.run([*command, "--format", "csv"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(table["logit"]) == [row["logit"] for row in rows]
    assert cli.run(command) == 0
    text = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in text] == [f"{row['probability']:.3f}" for row in rows]


class Pipe(io.RawIOBase):
    """A pipe's reading end that gives what is there."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()

    def read(self, size: int = -1) -> bytes:
        return os.read(self.source, size if size > 0 else 1 << 20)

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)


def test_a_list_that_pauses_is_answered_meanwhile(folder: Path) -> None:
    pipe = Pipe()
    batches = standard_input(pipe, 4, allow_urls=False)  # type: ignore[arg-type]
    names = [str(path) for path in sorted(folder.glob("*.png"))]
    os.write(pipe.sink, f"{names[0]}\n{names[1]}\r\n".encode())
    began = time.monotonic()
    assert [item.name for item in next(batches)] == names[:2]
    assert time.monotonic() - began < 5
    os.write(pipe.sink, "\n".join(names[2:]).encode())
    os.close(pipe.sink)
    assert [item.name for batch in batches for item in batch] == names[2:]


def test_standard_input_takes_names_apart_by_nul_and_whole_images(folder: Path) -> None:
    names = [str(path) for path in sorted(folder.glob("*.png"))][:3]
    [batch] = standard_input(io.BytesIO("\0".join(names).encode()), 8, allow_urls=False)
    assert [item.name for item in batch] == names
    [[one]] = standard_input(io.BytesIO(Path(names[0]).read_bytes()), 8, allow_urls=False)
    np.testing.assert_array_equal(one.read((255, 255, 255)), np.asarray(Image.open(names[0])))
    assert list(standard_input(io.BytesIO(b""), 8, allow_urls=False)) == []
    with pytest.raises(InputError, match="add --allow-urls"):
        list(standard_input(io.BytesIO(b"https://example.org/a.png\n"), 8, allow_urls=False))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "file:///etc/passwd")
                self.end_headers()
            elif self.path == "/large":
                self.send_response(200)
                self.end_headers()
                for _ in range(66):
                    self.wfile.write(bytes(2**20))
            elif (folder / self.path[1:]).is_file():
                self.send_response(200)
                self.end_headers()
                self.wfile.write((folder / self.path[1:]).read_bytes())
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_urls_are_fetched_only_when_asked(
    server: str, folder: Path, probe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["score", f"{server}/0.png", "--probe", str(probe), "--json", "--quiet"]
    assert cli.run(command) == 2
    assert "nothing is fetched unless asked; add --allow-urls" in capsys.readouterr().err
    assert cli.run([*command, "--allow-urls"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert cli.run(["score", str(folder / "0.png"), "--probe", str(probe), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["logit"] == row["logit"]
    for place, words in (
        ("none.png", "404"),
        ("away", "neither http nor https|not allowed"),
        ("large", "larger than 64 MiB"),
    ):
        [item] = inputs_of([f"{server}/{place}"], allow_urls=True)
        with pytest.raises(ImageError, match=words):
            item.read((255, 255, 255))
    with pytest.raises(InputError, match="only http and https"):
        inputs_of(["ftp://example.org/a.png"], allow_urls=True)


def test_contributions_sum_to_the_decision(detector: bp.Detector) -> None:
    [scorer] = detector.scorers
    image = pictures("gan-style", 1)[0]
    found = contributions(image, scorer)
    np.testing.assert_allclose(found.values.sum(1), found.whole - found.bare, atol=1e-9)
    whole = detector.score(image)["logit"]
    np.testing.assert_allclose(found.whole, whole, atol=1e-4)
    assert len(found.bands) == 6
    # One band alone, and one left out, by an independent mask.
    batch = image.transpose(2, 0, 1)[None].astype(np.float64) / 255
    u = np.fft.fftfreq(64, 1 / 64)
    D = np.hypot(u[:, None], u[None, :])
    inside = (D >= 0.15 * 32) & (D < 0.3 * 32)  # the third band
    file = scorer.probes[0].file

    def logit(mask: np.ndarray) -> float:
        filtered = np.fft.ifft2(np.fft.fft2(batch) * mask).real.astype(np.float32)
        [vector] = encoders.load("micro-dino", device="cpu").encode(filtered).astype(float)
        return float((vector - file.probe.mean) / file.probe.scale @ file.probe.weight + file.probe.bias)

    slow = D < 1.2
    assert found.alone[0, 2] == pytest.approx(logit(slow | inside) - logit(slow), abs=1e-3)
    assert found.without[0, 2] == pytest.approx(logit(~inside) - logit(np.ones_like(slow)), abs=1e-3)


def test_consensus_counts_radii_on_one_side(detector: bp.Detector) -> None:
    [scorer] = detector.scorers
    found = consensus(pictures("Real", 1)[0], scorer)
    logits = found.logits[0]
    threshold = float(np.sort(logits)[6])
    agreed = found.agreement(np.array([threshold]), np.array([True]))
    assert agreed[0] == pytest.approx((logits >= threshold).mean()) == pytest.approx(0.4)
    assert found.mean[0] == pytest.approx(logits.mean())


def test_the_heat_map_points_at_what_was_put_in(detector: bp.Detector) -> None:
    [scorer] = detector.scorers
    rng = np.random.default_rng(5)
    image = np.full((64, 64, 3), 128, np.uint8)
    image[40:56, 8:24] = rng.integers(0, 256, (16, 16, 3))  # all detail stands in rows 5, 6 and columns 1, 2
    heat = np.abs(heat_map(image, scorer)[0])
    assert heat.shape == (8, 8)
    assert heat[5:7, 1:3].sum() > 0.4 * heat.sum()  # a cell's window reaches half into its neighbours
    assert heat[4:8, 0:4].sum() > 0.99 * heat.sum()


def test_an_explanation_is_written(folder: Path, made: list[Path], tmp_path: Path) -> None:
    probes = [part for path in made for part in ("--probe", str(path))]
    out = tmp_path / "why"
    command = ["score", str(folder / "5.png"), *probes, "--explain", str(out), "--bands", "--consensus"]
    assert cli.run([*command, "--out", str(tmp_path / "rows.jsonl"), "--quiet"]) == 0
    rows = [json.loads(line) for line in lines_of(tmp_path / "rows.jsonl")]
    assert [row["probe"] for row in rows] == [path.stem for path in made]
    for row in rows:
        assert 0 <= row["consensus"] <= 1
        assert sum(name.startswith("band ") for name in row) == 6
    figures = sorted(out.glob("*.png"))
    assert len(figures) == 2
    assert all(Image.open(path).width == 1400 for path in figures)
    facts = json.loads(figures[0].with_suffix(".json").read_text(encoding="utf-8"))
    total = sum(band["contribution"] for band in facts["bands"].values())
    whole = next(one["logit"] for one in facts["curve"] if one["filter"] == "identity")
    assert total == pytest.approx(whole - facts["without_bands"], abs=1e-6)


def test_a_probe_on_a_table_scores_no_new_image(probe: Path, tmp_path: Path) -> None:
    from bandprobe.probes import save

    path = save(replace(load(probe), source="table:embeddings.parquet"), tmp_path)
    with pytest.raises(InputError, match="was trained on a table of embeddings"):
        bp.Detector.load(path)
    with pytest.raises(InputError, match="no probe"):
        bp.Detector.load(tmp_path / "nowhere")


def test_what_is_no_image_is_refused(detector: bp.Detector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="uint8 of shape"):
        detector.score(np.zeros((4, 4)))
    with pytest.raises(InputError, match="got int"):
        detector.score([3])
    (tmp_path / "a.png").write_bytes(b"no")
    rows = detector.score([tmp_path / "a.png", Image.new("RGB", (20, 30))])
    assert len(rows) == 1
    assert list(rows.attrs["left_out"]) == [str(tmp_path / "a.png")]


def test_grids_are_the_probes(detector: bp.Detector) -> None:
    [scorer] = detector.scorers
    assert scorer.geometry == Geometry.parse("squash:64")
    assert isinstance(next(iter(detector.decisions.values())), Decision)
