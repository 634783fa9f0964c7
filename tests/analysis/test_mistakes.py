"""The surest mistakes, against a straightforward reckoning with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bandprobe.analysis import small_pictures
from bandprobe.analysis.mistakes import FALSE_ALARM, MISS, mistakes, shown_filters, write_mistakes
from bandprobe.errors import InputError


@pytest.fixture
def scored(tmp_path):
    """Two encoders, three probes, two filters, 60 images; scores cut into row groups across cells."""
    rng = np.random.default_rng(1)
    manifest = pd.DataFrame(
        {
            "image_id": [f"{n:064x}" for n in rng.permutation(60)], "label": [0] * 20 + [1] * 40,
            "generator": ["Real"] * 20 + ["a"] * 20 + ["b"] * 20, "family": ["real"] * 20 + ["gan"] * 40,
            "dataset": "d", "path": "/nowhere.png",
        }
    )  # fmt: skip
    scores, thresholds = [], []
    for encoder in ("x", "y"):
        for trained in ("a", "b", "all"):
            threshold = float(rng.normal(0.5, 0.3))
            for spec in ("none", "lowpass:5px"):
                logit = rng.normal(manifest["label"], 1)
                logit[3] = logit[2]  # a tie
                scores.append(
                    manifest[["image_id"]].assign(
                        encoder=encoder, trained_on=trained, train_filter="none", filter=spec, logit=logit,
                        probability=1 / (1 + np.exp(-2 * logit)),
                    )
                )  # fmt: skip
                thresholds += [(encoder, trained, "none", spec, threshold)] * 2
    path = tmp_path / "scores.parquet"
    pd.concat(scores).to_parquet(path, index=False, row_group_size=97)
    columns = ["encoder", "trained_on", "train_filter", "filter", "threshold"]
    return path, pd.concat(scores), pd.DataFrame(thresholds, columns=columns), manifest


def test_they_are_those_beyond_the_threshold_with_the_surest_first(scored):
    path, scores, thresholds, manifest = scored
    found = mistakes(path, thresholds, manifest, ["none", "lowpass:5px"], most=5)
    label = manifest.set_index("image_id")["label"]
    cells = 0
    for row in thresholds.drop_duplicates().itertuples():
        mine = scores[(scores["encoder"] == row.encoder) & (scores["trained_on"] == row.trained_on)]
        mine = mine[mine["filter"] == row.filter]
        real = mine[mine["image_id"].map(label) == 0]
        fake = mine[mine["image_id"].map(label) == 1]
        alarms = real[real["logit"] >= row.threshold].sort_values("logit", ascending=False)
        misses = fake[fake["logit"] < row.threshold].sort_values("logit")
        for kind, wrong, of in ((FALSE_ALARM, alarms, 20), (MISS, misses, 40)):
            listed = found[
                (found["encoder"] == row.encoder) & (found["trained_on"] == row.trained_on)
                & (found["filter"] == row.filter) & (found["kind"] == kind)
            ]  # fmt: skip
            assert set(listed["mistakes"]) == {len(wrong)}
            assert set(listed["images"]) == {of}
            listed = listed[listed["rank"] > 0].sort_values("rank")
            assert listed["rank"].tolist() == list(range(1, min(5, len(wrong)) + 1))
            assert listed["logit"].tolist() == pytest.approx(wrong["logit"].head(5).tolist(), abs=1e-6)
            assert listed["probability"].tolist() == pytest.approx(
                wrong["probability"].head(5).tolist(), abs=1e-6
            )
            assert set(listed["image_id"]) <= set(wrong["image_id"])
            assert (listed["generator"] == "Real").all() == (kind == FALSE_ALARM or listed.empty)
            cells += 1
    assert cells == 2 * 3 * 2 * 2


def test_a_probe_without_mistakes_keeps_its_numbers(scored):
    path, _, thresholds, manifest = scored
    found = mistakes(path, thresholds.assign(threshold=-100.0), manifest, ["none"])
    misses = found[found["kind"] == MISS]
    assert set(misses["rank"]) == {0}
    assert set(misses["mistakes"]) == {0}
    assert set(misses["images"]) == {40}
    assert set(misses["image_id"]) == {""}
    assert set(found.loc[found["kind"] == FALSE_ALARM, "mistakes"]) == {20}


def test_pictures_that_are_gone_leave_the_table(scored, tmp_path):
    path, _, thresholds, manifest = scored
    out = tmp_path / "mistakes.csv"
    write_mistakes(out, path, thresholds, manifest, {"none": np.nan, "lowpass:5px": 0.15})
    assert len(pd.read_csv(out)) > 50
    assert not out.with_suffix(".parquet").exists()
    assert small_pictures.load(out.with_suffix(".parquet"), ["image_id"]).empty


def test_a_damaged_score_file_is_named(scored, tmp_path):
    _, _, thresholds, manifest = scored
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match=r"bad\.parquet cannot be read"):
        mistakes(tmp_path / "bad.parquet", thresholds, manifest, ["none"])
    with pytest.raises(InputError, match="lacks the columns threshold"):
        mistakes(tmp_path / "bad.parquet", thresholds.drop(columns="threshold"), manifest, ["none"])


def test_conditions_shown_are_controls_and_where_bands_begin():
    thesis = {"none": np.nan, "identity": np.nan} | {
        f"lowpass:{px}px": px / 112 for px in (1, *range(5, 190, 5))
    }
    assert shown_filters(thesis) == ["none", "identity", "lowpass:15px", "lowpass:55px"]
    assert shown_filters({"ideal-lowpass:16px": 0.15, "lowpass:1px": 0.01, "none": np.nan}) == ["none"]
    assert shown_filters({"jpeg:75": np.nan}) == ["jpeg:75"]
