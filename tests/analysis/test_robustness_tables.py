"""The tables of degradations, against pandas and scipy: falls, their means, and whether ranks survive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandprobe.analysis.hierarchy import student_stretch
from bandprobe.analysis.rank_stability import ALL, OVERTAKEN, STAYS, UNDECIDED, Ranking, stability
from bandprobe.analysis.robustness import CELLS, MEANS, RANKS, robustness
from bandprobe.analysis.robustness_grid import Tally
from bandprobe.errors import InputError
from bandprobe.filters.degradations import Condition
from bandprobe.metrics.intervals import delong_paired

JPEG = ("jpeg:95", "jpeg:85", "jpeg:75", "jpeg:50", "jpeg:30")
BLUR = ("blur:0.5:bits=8", "blur:1:bits=8")
LOW = "lowpass:0.5nyq"
GANS = [f"gan{number}" for number in range(6)]
DIFFUSION = ["ddpm", "ldm"]
REALS = 110


def manifest_of(generators: dict[str, str], fakes: int = 40, reals: int = REALS) -> pd.DataFrame:
    sources = [("Real", "real", 0, reals), *((name, of, 1, fakes) for name, of in generators.items())]
    rows = [
        (f"{number * 7919 % 9973:04d}-{name}", label, name, family, "d", "test")
        for name, family, label, n in sources
        for number in range(n)
    ]
    return pd.DataFrame(rows, columns=["image_id", "label", "generator", "family", "dataset", "split"])


def written(path: Path, cells: dict[tuple, np.ndarray], ids: pd.Series, group: int | None = None) -> Path:
    """A score file: logits of `ids` by encoder, trained_on, train_filter and filter."""
    names = ("encoder", "trained_on", "train_filter", "filter")
    parts = [
        pd.DataFrame({"image_id": ids, **dict(zip(names, cell, strict=True)), "logit": logit})
        for cell, logit in cells.items()
    ]
    pd.concat(parts).to_parquet(path, index=False, row_group_size=group or len(ids))
    return path


def auroc(scores: pd.Series, manifest: pd.DataFrame, generator: str) -> float:
    """By Mann and Whitney's U."""
    logit = scores.loc[manifest["image_id"]].to_numpy()
    fake, real = logit[manifest["generator"] == generator], logit[manifest["label"] == 0]
    return float(stats.mannwhitneyu(fake, real).statistic / (len(fake) * len(real)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two encoders, three probes: JPEG takes the signal, the more the worse; blur nothing; both alone and after a
    low-pass. `strong` is better throughout, but for JPEG of quality 30, which turns them round."""
    rng = np.random.default_rng(3)
    manifest = manifest_of(dict.fromkeys(GANS, "gan") | dict.fromkeys(DIFFUSION, "diffusion"))
    fake = manifest["label"].to_numpy()
    cells = {}
    for encoder, signal in (("strong", 2.2), ("weak", 1.2)):
        for probe in ("gan0", "ddpm", "all"):
            content = rng.standard_normal(len(manifest))  # what all conditions share
            for before in ("none", LOW):
                for spec in ("none", *JPEG, *BLUR):
                    loss = 0.2 * (JPEG.index(spec) + 1) if spec in JPEG else 0.0
                    left = signal * (1 - loss) + (1.0 if (spec, encoder) == (JPEG[4], "weak") else 0)
                    name = spec if before == "none" else before if spec == "none" else f"{before}+{spec}"
                    noise = 0.3 * rng.standard_normal(len(manifest))
                    cells[encoder, probe, "none", name] = left * fake + content + noise
    path = written(tmp_path_factory.mktemp("scores") / "scores.parquet", cells, manifest["image_id"])
    by_cell = {key: pd.Series(value, index=manifest["image_id"]) for key, value in cells.items()}
    return path, manifest, by_cell, robustness(path, manifest, seed=1, resamples=200)


def test_a_cell_is_mann_whitneys_and_its_fall_delongs(made):
    _, manifest, scores, found = made
    cells = found.cells[found.cells["metric"] == "auroc"]
    assert list(found.cells.columns) == list(CELLS)
    assert len(cells) == 2 * 3 * 8 * 2 * 8  # encoders, probes, generators, before, conditions
    for row in cells.sample(60, random_state=0).to_dict("records"):
        probe = row["encoder"], row["trained_on"], row["train_filter"]
        assert row["value"] == pytest.approx(
            auroc(scores[(*probe, row["filter"])], manifest, row["tested_on"])
        )
        if row["degradation"] == "none":
            assert np.isnan([row["fall"], row["fall_low"], row["fall_high"]]).all()
            continue
        mine = manifest[(manifest["label"] == 0) | (manifest["generator"] == row["tested_on"])]
        pair = [scores[(*probe, spec)].loc[mine["image_id"]] for spec in (row["before"], row["filter"])]
        expected = delong_paired(mine["label"], *(one.to_numpy() for one in pair))
        assert (row["fall"], row["fall_low"], row["fall_high"]) == pytest.approx(
            (expected.difference, expected.low, expected.high), abs=1e-8
        )
    pd_rows = found.cells[found.cells["metric"] != "auroc"]
    assert set(pd_rows["metric"]) == {"pd@10%"}  # 110 reals are enough for no lower rate
    for row in pd_rows.sample(40, random_state=0).to_dict("records"):
        logit = scores[row["encoder"], row["trained_on"], "none", row["filter"]].loc[manifest["image_id"]]
        real = np.sort(logit[manifest["label"].to_numpy() == 0])
        fake = logit[manifest["generator"].to_numpy() == row["tested_on"]]
        assert row["value"] == pytest.approx((fake > real[-12]).mean())  # with eleven false alarms of 110
        assert row["low"] <= row["value"] <= row["high"]


def test_planted_falls_are_found_and_none_where_there_is_none(made):
    cells = made[3].cells.query("metric == 'auroc' and encoder == 'strong'")
    jpeg = cells[cells["degradation"] == "jpeg"]
    falls = jpeg.groupby(["before", "severity"])["fall"].mean().unstack()
    assert (np.diff(falls.to_numpy(), axis=1) > 0).all()
    assert (jpeg.loc[jpeg["severity"] > 3, "fall_low"] > 0).all()
    blur = cells[cells["degradation"] == "blur"]
    missed = ((blur["fall_low"] > 0) | (blur["fall_high"] < 0)).mean()
    assert missed < 0.2  # 0.05 of independent cells; these share their reals
    means = made[3].means.query("metric == 'auroc' and degradation == 'blur'")
    assert means["fall_low"].le(0).mean() > 0.8
    assert means["fall_high"].ge(0).mean() > 0.8


def test_means_are_over_the_generators_they_say(made):
    _, manifest, scores, found = made
    assert list(found.means.columns) == list(MEANS)
    means = found.means.query("metric == 'auroc' and encoder == 'weak'").set_index(["probes", "filter"])
    value = {
        (probe, spec, name): auroc(scores["weak", probe, "none", spec], manifest, name)
        for probe in ("gan0", "ddpm", "all")
        for spec in ("none", "jpeg:50")
        for name in (*GANS, *DIFFUSION)
    }
    for spec in ("none", "jpeg:50"):
        own = [value[name, spec, name] for name in ("gan0", "ddpm")]
        others = [
            np.mean([value[probe, spec, name] for probe in ("gan0", "ddpm") if probe != name])
            for name in (*GANS, *DIFFUSION)
        ]
        every = [value["all", spec, name] for name in (*GANS, *DIFFUSION)]
        for probes, cells, expected in (("own", 2, own), ("others", 14, others), ("all", 8, every)):
            row = means.loc[(probes, spec)]
            assert (row["value"], row["cells"]) == (pytest.approx(np.mean(expected)), cells)
            assert row["low"] < row["value"] < row["high"]
            if spec != "none":
                assert row["fall"] == pytest.approx(means.loc[(probes, "none"), "value"] - row["value"])
    # Two generators of two families are too few to speak of generators.
    resampled = means.groupby("probes")["resampled"].unique().str.join("|")
    assert resampled["own"] == "images"
    assert resampled["others"] == resampled["all"] == "images and generators of gan"


def test_the_interval_of_one_cell_is_delongs(tmp_path):
    """Over one generator the resamples of the mean have nothing but images to draw."""
    rng = np.random.default_rng(8)
    manifest = manifest_of({"gan0": "gan"}, fakes=150, reals=150)
    content, fake = rng.standard_normal(300), manifest["label"].to_numpy()
    cells = {
        ("e", "gan0", "none", spec): (1.2 - 0.3 * at) * fake + content + 0.5 * rng.standard_normal(300)
        for at, spec in enumerate(("none", "jpeg:95", "jpeg:85"))
    }
    path = written(tmp_path / "s.parquet", cells, manifest["image_id"])
    found = robustness(path, manifest, resamples=2000)
    cells_, means = (part[part["metric"] == "auroc"].reset_index() for part in (found.cells, found.means))
    assert list(means["probes"]) == ["own"] * 3
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(means[name], cells_[name], atol=0.006)
    for name in ("fall", "fall_low", "fall_high"):
        np.testing.assert_allclose(means[name][1:], cells_[name][1:], atol=0.006)
    assert found.ranks.empty  # one probe is no ranking


def test_falls_that_differ_by_generator_are_students(tmp_path):
    """Where images hardly matter the interval is that of a mean of six numbers."""
    rng = np.random.default_rng(2)
    manifest = manifest_of(dict.fromkeys(GANS, "gan"), fakes=400, reals=400)
    left = dict(zip(GANS, (1.5, 1.2, 0.9, 0.6, 0.3, 0.1), strict=True))
    content = rng.standard_normal(len(manifest))
    cells = {}
    for spec in ("none", *JPEG[:2]):
        signal = 1.5 * manifest["label"] if spec == "none" else manifest["generator"].map(left).fillna(0)
        cells["e", "all", "none", spec] = signal.to_numpy() + content
    path = written(tmp_path / "s.parquet", cells, manifest["image_id"])
    found = robustness(path, manifest, resamples=1000)
    falls = found.cells.query("metric == 'auroc' and filter == 'jpeg:95'")["fall"]
    (row,) = found.means.query("metric == 'auroc' and filter == 'jpeg:95'").to_dict("records")
    half = stats.t.ppf(0.975, 5) * falls.std() / np.sqrt(6)
    assert row["fall"] == pytest.approx(falls.mean())
    assert (row["fall_high"] - row["fall_low"]) / 2 == pytest.approx(half, rel=0.12)


def test_a_mean_over_few_of_a_familys_generators_counts_images_alone(made):
    """Weights drawn among all six would not sum to the number of the two that a mean is over."""
    means = made[3].means.query("metric == 'auroc' and degradation != 'none'")
    cells = made[3].cells.query("metric == 'auroc' and trained_on == tested_on and degradation != 'none'")
    widths = {
        name: (rows["fall_high"] - rows["fall_low"]).max()
        for name, rows in (("own", means[means["probes"] == "own"]), ("cell", cells))
    }
    assert 0.3 * widths["cell"] < widths["own"] < widths["cell"]


def test_a_tally_does_not_divide_by_weights_that_cancel():
    rng = np.random.default_rng(4)
    values = rng.normal(0.7, 0.01, (14, 3, 1001))
    stretch = student_stretch(5)
    drawn = 1 + stretch * (rng.multinomial(5, [0.2] * 5, 1001).T - 1)
    drawn[:, 0] = 1
    tally, even = Tally(3, 1000), Tally(3, 1000)
    for at, value in enumerate(values):
        tally.add(value, drawn[max(at - 9, 0)])  # the first generator has ten test sets
    for value, weight in zip(values, drawn, strict=False):
        even.add(value, weight)
    total = sum(drawn[max(at - 9, 0)] for at in range(14))
    assert np.abs(total).min() < 0.3  # in some resamples
    np.testing.assert_allclose(tally.mean[:, 0], values[:, :, 0].mean(axis=0))
    assert tally.mean.std() < 0.02
    expected = (values[:5] * drawn[:, None]).sum(axis=0) / drawn.sum(axis=0)  # these sum to five
    np.testing.assert_allclose(even.mean, expected)
    assert (tally.cells, even.cells) == (14, 5)


def test_rankings_are_those_of_mean_auroc(made):
    _, manifest, scores, found = made
    assert list(found.ranks.columns) == list(RANKS)
    score = {
        key: np.mean([auroc(series, manifest, name) for name in (*GANS, *DIFFUSION)])
        for key, series in scores.items()
    }
    probes = ("gan0", "ddpm", "all")
    detectors = [(encoder, probe) for encoder in ("strong", "weak") for probe in probes]
    for before in ("none", LOW):
        ranks = found.ranks[found.ranks["before"] == before]
        assert set(ranks["ranked"]) == {"encoders", "probes", "detectors"}
        for spec in JPEG:
            name = spec if before == "none" else f"{before}+{spec}"
            here = [score[(*one, "none", before)] for one in detectors]
            there = [score[(*one, "none", name)] for one in detectors]
            (row,) = ranks.query("ranked == 'detectors' and filter == @name").to_dict("records")
            assert row["tau"] == pytest.approx(stats.kendalltau(here, there).statistic)
            assert row["rho"] == pytest.approx(stats.spearmanr(here, there).statistic)
            assert (row["items"], row["winner_there"]) == (6, ": ".join(detectors[int(np.argmax(there))]))
        encoders = ranks[(ranks["ranked"] == "encoders") & (ranks["degradation"] == "jpeg")]
        by_severity = encoders.set_index("severity")
        assert by_severity.loc[1, ["winner_there", "verdict", "tau"]].tolist() == ["strong", STAYS, 1]
        assert by_severity.loc[5, ["winner_there", "verdict", "tau"]].tolist() == ["weak", OVERTAKEN, -1]
        family = encoders[encoders["severity"].isna()].iloc[0]
        alone = encoders[encoders["severity"].notna()]
        assert family["tau"] == pytest.approx(alone["tau"].mean())
        assert family["kept"] == pytest.approx((alone["winner_there"] == "strong").mean())
        assert family["pairs"] == alone["pairs"].sum() == 5
    probes_of = found.ranks[(found.ranks["ranked"] == "probes") & found.ranks["severity"].notna()]
    assert set(probes_of["encoder"]) == {"strong", "weak"}


def test_row_groups_across_cells_change_nothing(made, tmp_path):
    _, manifest, scores, found = made
    # Two probes suffice; images in another order.
    some = {key: series for key, series in scores.items() if key[0] == "weak" and key[1] != "all"}
    ids = manifest["image_id"].sample(frac=1, random_state=1)
    path = written(tmp_path / "s.parquet", {key: s.loc[ids].to_numpy() for key, s in some.items()}, ids, 777)
    again = robustness(path, manifest, seed=1, resamples=200)
    expected = found.cells[(found.cells["encoder"] == "weak") & (found.cells["trained_on"] != "all")]
    pd.testing.assert_frame_equal(again.cells, expected.reset_index(drop=True))


def test_encoders_that_are_left_out_are_in_no_table_and_no_ranking(made):
    path, manifest, _, whole = made
    found = robustness(path, manifest, without={"weak"}, seed=1, resamples=200)
    mine = whole.means[whole.means["encoder"] == "strong"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.means, mine)
    assert set(found.cells["encoder"]) == {"strong"}
    assert set(found.ranks["ranked"]) == {"probes"}
    with pytest.raises(InputError, match="no degradation was tested"):
        robustness(path, manifest, without={"weak", "strong"}, resamples=20)


# --- rankings by themselves ------------------------------------------------------------------------


def conditions(*specs: str) -> tuple[Condition, ...]:
    known = {spec: ("jpeg", at) for at, spec in enumerate(JPEG, 1)}
    known |= {spec: ("blur", at) for at, spec in enumerate(BLUR, 1)}
    return (Condition("none", "none", 0), *(Condition(spec, *known[spec]) for spec in specs))


def test_planted_rankings():
    rng = np.random.default_rng(6)
    truth = np.array([0.9, 0.8, 0.7, 0.6])
    means = np.stack([truth, truth, truth[::-1], truth[[1, 0, 2, 3]], np.full(4, 0.75)])
    scores = means.T[:, :, None] + np.concatenate(
        [np.zeros((4, 5, 1)), 0.01 * rng.standard_normal((4, 5, 400))], axis=2
    )
    ranking = Ranking(list("abcd"), scores, conditions(*JPEG[:2], *BLUR))
    rows = pd.DataFrame(stability(ranking))
    alone = rows[rows["severity"].notna()].set_index("filter")
    assert alone.loc["jpeg:95", ["tau", "tau_low", "tau_high", "rho"]].tolist() == [1, 1, 1, 1]
    assert alone.loc["jpeg:85", ["tau", "tau_low", "tau_high", "rho"]].tolist() == [-1, -1, -1, -1]
    assert alone["verdict"].tolist() == [STAYS, OVERTAKEN, OVERTAKEN, UNDECIDED]
    assert alone["winner_there"].tolist() == ["a", "d", "b", "a = b = c = d"]
    assert alone["pairs_turned"].tolist() == [0, 6, 1, 0]
    assert alone["pairs_kept"].tolist() == [6, 0, 5, 0]
    last = alone.iloc[3]
    assert np.isnan(last["tau"])
    assert "no ranking" in last["reason"]
    assert (last["tau_low"], last["tau_high"]) == (-1, 1)
    together = rows[rows["degradation"] == ALL].iloc[0]
    assert together["tau"] == pytest.approx(np.mean([1, -1, stats.kendalltau(truth, means[3]).statistic]))
    assert together["kept"] == 0.5  # jpeg:95, and where all lead together
    assert (together["pairs"], together["filter"], together["verdict"]) == (24, "", "")
    assert (rows["winner"] == "a").all()


def test_equal_items_are_not_told_apart():
    """Four items of one truth: seen in any order, of which nothing is certain."""
    rng = np.random.default_rng(9)
    decided = 0
    for _ in range(60):
        noise = 0.02 * rng.standard_normal((4, 3, 1))
        scores = 0.7 + noise + np.concatenate(
            [np.zeros((4, 3, 1)), 0.02 * rng.standard_normal((4, 3, 200))], axis=2
        )  # fmt: skip
        rows = list(stability(Ranking(list("abcd"), scores, conditions(*JPEG[:2]))))
        singles = [row for row in rows if row["severity"] is not None]
        decided += sum(row["verdict"] != UNDECIDED for row in singles)
        assert all(row["tau_low"] <= row["tau"] <= row["tau_high"] for row in rows)
        assert all(row["tau_repeat"] < 0.9 for row in rows)
    assert decided <= 0.1 * 120


def test_bad_files_are_refused_in_a_line(made, tmp_path):
    path, manifest, scores, _ = made
    one = {key: s.to_numpy() for key, s in scores.items() if key[:2] == ("weak", "all")}
    ids = manifest["image_id"]
    without = {key: value for key, value in one.items() if key[3] in ("none", LOW, JPEG[0])}
    (tmp_path / "torn").write_bytes(path.read_bytes()[:-100])
    pd.DataFrame({"image_id": ids}).to_parquet(tmp_path / "columns")
    fewer = {key: value[1:] for key, value in one.items()}
    for file, words in (
        (tmp_path / "nowhere", "cannot be read"),
        (tmp_path / "torn", "cannot be read"),
        (tmp_path / "columns", "lacks the columns encoder, trained_on, train_filter, filter, logit"),
        (written(tmp_path / "plain", without, ids), "no degradation was tested in two severities"),
        (written(tmp_path / "fewer", fewer, ids[1:]), "no score of 1 of 430 test images"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            robustness(file, manifest, resamples=20)
        assert "\n" not in str(caught.value)
