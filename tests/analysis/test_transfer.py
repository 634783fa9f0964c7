"""The transfer grid against scikit-learn, cell by cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from bandprobe.analysis import evaluate, test_sets
from bandprobe.analysis.logits import logits_of
from bandprobe.analysis.transfer import COLUMNS
from bandprobe.errors import InputError, StoreError
from bandprobe.metrics import METRICS
from bandprobe.metrics.batches import BATCHED
from bandprobe.probes import LinearProbe, ProbeFile, train
from bandprobe.protocol import Protocol
from bandprobe.store import EmbeddingStore, Rows, fingerprint

Grid = tuple[EmbeddingStore, list[ProbeFile], pd.DataFrame, Path]
SPECS = ("none", "identity", "lowpass:8px", "highpass:0.5nyq")


def manifest() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    plan = [("a", "Real", "real", 240), ("a", "ProGAN", "gan", 120), ("a", "DDPM", "diffusion", 100)]
    plan += [("b", "Real", "real", 90), ("b", "StyleGAN", "gan", 60)]
    rows = []
    for dataset, generator, family, n in plan:
        splits = rng.choice(["train", "val", "test"], n, p=[0.4, 0.1, 0.5])
        rows += [
            (
                f"{rng.integers(10**9):09d}{dataset}{generator}",
                int(generator != "Real"),
                generator,
                family,
                dataset,
                s,
            )
            for s in splits
        ]
    return pd.DataFrame(rows, columns=["image_id", "label", "generator", "family", "dataset", "split"])


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    folder, table, rng = tmp_path_factory.mktemp("grid"), manifest(), np.random.default_rng(1)
    store = EmbeddingStore(folder / "store")
    n, fake = len(table), table["label"].to_numpy()[:, None]
    base = rng.standard_normal((n, 5))
    with store:
        for encoder in ("one", "two"):
            for number, spec in enumerate(SPECS):
                made = fingerprint(
                    {"weights": encoder}, geometry="squash:24x32", background="white", filter=spec
                )
                X = base + fake * [0.8, 0.8, 0, 0, 0] * (number != 2) + 0.1 * rng.standard_normal((n, 5))
                removed = np.full(n, [0, 0, 0.6, 0.4][number], np.float32)
                store.write(
                    encoder, made, Rows(table["image_id"].to_numpy(object), X.astype("f4"), removed, removed)
                )
    probes = train(store, table, {"one": "one", "two": "two"}, ["each", "all"], SPECS, folder / "probes")
    results = evaluate(
        store,
        table,
        probes,
        SPECS,
        scores=folder / "scores.parquet",
        confusion=folder / "confusion.csv",
        resamples=200,
    )
    return store, probes, results, folder


def cell(results: pd.DataFrame, **where: str) -> pd.DataFrame:
    for column, value in where.items():
        results = results[results[column] == value]
    return results.set_index("metric")


def test_rows_are_every_probe_on_every_test_set(grid: Grid) -> None:
    results = grid[2]
    assert tuple(results.columns) == COLUMNS
    keys = ["encoder", "trained_on", "train_filter", "tested_on", "filter", "metric"]
    assert not results.duplicated(keys).any()
    # Reliance: 4 probes x 4 filters; information: 4 probes x 3 filters of their own; x 3 test sets x 2 encoders.
    assert len(results) == 2 * 3 * (4 * 4 + 4 * 3) * len(METRICS)
    information = results[results["train_filter"] != "none"]
    assert (information["train_filter"] == information["filter"]).all()


def test_a_cell_is_what_scikit_learn_says(grid: Grid) -> None:
    store, probes, results, _ = grid
    table = manifest()
    probe = next(p for p in probes if (p.encoder, p.trained_on, p.train_filter) == ("two", "ProGAN", "none"))
    test = table[
        (table["split"] == "test") & (table["dataset"] == "a") & table["generator"].isin(["Real", "DDPM"])
    ]
    held = store.read("two", "lowpass:8px", test["image_id"].tolist())
    logits, y = probe.probe.logits(held.embedding), test["label"].to_numpy()
    called = logits >= probe.probe.threshold
    found = cell(
        results,
        encoder="two",
        trained_on="ProGAN",
        train_filter="none",
        tested_on="DDPM",
        filter="lowpass:8px",
    )
    expected = {
        "auroc": sk.roc_auc_score(y, logits),
        "ap": sk.average_precision_score(y, logits),
        "accuracy": sk.accuracy_score(y, called),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called),
        "real_accuracy": (~called[y == 0]).mean(),
        "fake_accuracy": called[y == 1].mean(),
        "f1": sk.f1_score(y, called),
        "precision": sk.precision_score(y, called),
        "recall": sk.recall_score(y, called),
        "brier": sk.brier_score_loss(y, probe.probe.probabilities(logits)),
    }
    for metric, value in expected.items():
        assert found.loc[metric, "value"] == pytest.approx(value, abs=1e-8), metric
        assert found.loc[metric, "low"] <= value <= found.loc[metric, "high"]
    facts = found.loc["auroc"]
    assert (facts["n_real"], facts["n_fake"]) == ((y == 0).sum(), (y == 1).sum())
    assert (facts["family_from"], facts["family_to"], facts["dataset"]) == ("gan", "diffusion", "a")
    assert (facts["cutoff_px"], facts["cutoff_nyq"]) == (8, pytest.approx(8 / 12))
    assert facts["ac_removed"] == pytest.approx(0.6)
    n, z = len(y), 1.959963984540054
    p = (called == y).mean()
    middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    ends = [middle - half / (1 + z * z / n), middle + half / (1 + z * z / n)]  # Wilson 1927
    np.testing.assert_allclose(found.loc["accuracy", ["low", "high"]].astype(float), ends, atol=1e-8)


def test_blank_pd_has_its_reason_and_filters_without_cutoff_none(grid: Grid) -> None:
    results = grid[2]
    pd1 = results[results["metric"] == "pd@1%"]
    assert pd1["value"].isna().all()
    assert pd1["reason"].str.fullmatch(r"needs at least 1000 real images; has \d+").all()
    ten = results[(results["metric"] == "pd@10%") & (results["n_real"] >= 100)]
    assert len(ten)
    assert ten["value"].notna().all()
    assert (ten["reason"] == "").all()
    without = results[results["filter"].isin(["none", "identity"])]
    assert without[["cutoff_px", "cutoff_nyq"]].isna().all().all()


def test_scores_hold_a_row_for_each_image_and_condition(grid: Grid) -> None:
    store, probes, _, folder = grid
    scores = pd.read_parquet(folder / "scores.parquet")
    table = manifest()
    images = (table["split"] == "test").sum()
    assert len(scores) == images * 2 * (4 * 4 + 4 * 3)
    assert list(scores.columns) == [
        "image_id", "encoder", "trained_on", "train_filter", "filter", "logit", "probability", "output",
    ]  # fmt: skip
    probe = next(p for p in probes if (p.encoder, p.trained_on, p.train_filter) == ("one", "all", "identity"))
    mine = scores.query("encoder == 'one' and trained_on == 'all' and train_filter == 'identity'")
    logits = probe.probe.logits(store.read("one", "identity", mine["image_id"].tolist()).embedding)
    np.testing.assert_allclose(mine["logit"], logits, atol=1e-9)
    np.testing.assert_allclose(mine["probability"], probe.probe.probabilities(logits), atol=1e-9)
    # A linear head gives nothing before its logit.
    np.testing.assert_allclose(np.stack(mine["output"].to_list()), logits[:, None], rtol=1e-6)


def test_confusion_matrices_are_those_of_the_thresholds(grid: Grid) -> None:
    store, probes, results, folder = grid
    counts = pd.read_csv(folder / "confusion.csv")
    table = manifest()
    assert len(counts) == len(results) / len(METRICS)
    probe = next(p for p in probes if (p.encoder, p.trained_on, p.train_filter) == ("two", "all", "none"))
    test = table[
        (table["split"] == "test") & (table["dataset"] == "b") & table["generator"].isin(["Real", "StyleGAN"])
    ]
    logits = probe.probe.logits(store.read("two", "highpass:0.5nyq", test["image_id"].tolist()).embedding)
    [row] = counts.query(
        "encoder == 'two' and trained_on == 'all' and train_filter == 'none' and tested_on == 'StyleGAN' "
        "and filter == 'highpass:0.5nyq'"
    ).to_dict("records")
    tn, fp, fn, tp = sk.confusion_matrix(test["label"], logits >= probe.probe.threshold).ravel()
    assert (row["tp"], row["fn"], row["fp"], row["tn"]) == (tp, fn, fp, tn)
    assert row["threshold"] == pytest.approx(probe.probe.threshold)


def test_batch_metrics_replaces_the_metrics_that_were_averaged(grid: Grid) -> None:
    store, probes, results, _ = grid
    switched = evaluate(
        store, manifest(), probes, SPECS, resamples=200, protocol=Protocol.parse("batch_metrics")
    )
    batched = results["metric"].isin(BATCHED)
    assert (switched.loc[batched, "value"] != results.loc[batched, "value"]).mean() > 0.5
    pd.testing.assert_frame_equal(switched[~batched], results[~batched])
    # PD@1% of a batch is read whatever the number of reals, so nothing is blank.
    pd1 = switched[switched["metric"] == "pd@1%"]
    assert pd1["value"].notna().all()
    assert (pd1["reason"] == "").all()
    probe = next(p for p in probes if (p.encoder, p.trained_on, p.train_filter) == ("one", "DDPM", "none"))
    [one] = [one for one in test_sets(manifest()) if one.generator == "ProGAN"]
    logits = probe.probe.logits(store.read("one", "none", list(one.image_id)).embedding)
    parts = [slice(start, start + 128) for start in range(0, len(logits), 128)]
    mean = np.mean([sk.roc_auc_score(one.label[part], logits[part]) for part in parts])
    where = {"encoder": "one", "trained_on": "DDPM", "train_filter": "none", "tested_on": "ProGAN"}
    assert cell(switched, filter="none", **where).loc["auroc", "value"] == pytest.approx(mean, abs=1e-8)


def test_resampled_test_draws_other_images_for_every_filter(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, probes, *_ = grid
    monkeypatch.setattr("bandprobe.analysis.transfer.REDRAWN", 100)
    protocol = Protocol.parse("resampled_test")
    results = evaluate(store, manifest(), probes, SPECS, resamples=50, protocol=protocol)
    sizes = results["n_real"] + results["n_fake"]
    large = results["tested_on"] != "StyleGAN"
    assert (sizes[large] == 100).all()
    counts = results[large & (results["metric"] == "auroc")].groupby("filter")["n_real"].unique()
    assert len({tuple(sorted(values)) for values in counts}) > 1
    again = evaluate(store, manifest(), probes, SPECS, resamples=50, protocol=protocol)
    pd.testing.assert_frame_equal(again, results)


def test_labels_that_a_filter_changes_count_under_that_filter_alone(grid: Grid) -> None:
    """As `fda_relabel` does: here every third real becomes fake under the low-pass."""
    store, probes, results, _ = grid

    def relabel(spec: str, ids: np.ndarray, label: np.ndarray) -> np.ndarray:
        return np.maximum(label, np.arange(len(ids)) % 3 == 0).astype("int8") if "low" in spec else label

    switched = evaluate(store, manifest(), probes, SPECS, resamples=50, relabel=relabel)
    same = results["filter"] != "lowpass:8px"
    np.testing.assert_array_equal(switched.loc[same, "value"], results.loc[same, "value"])
    assert (switched.loc[~same, "n_fake"] > results.loc[~same, "n_fake"]).all()

    everything = evaluate(
        store, manifest(), probes, SPECS, resamples=50, relabel=lambda spec, ids, label: np.ones_like(label)
    )
    # What needs both classes is blank; the share called fake is not.
    one_class = {"accuracy", "fake_accuracy", "recall", "f1", "precision", "brier"}
    blank = everything["value"].isna()
    assert set(everything.loc[~blank, "metric"]) == one_class
    assert set(everything.loc[blank, "reason"]) == {"no image of this test set counts as real"}
    counts = pd.read_csv(grid[3] / "confusion.csv").iloc[0]
    where = ["encoder", "trained_on", "train_filter", "tested_on", "dataset", "filter"]
    cells = everything[(everything[where] == counts[where]).all(axis=1)].set_index("metric")["value"]
    called = (counts["tp"] + counts["fp"]) / counts[["tp", "fp", "tn", "fn"]].sum()
    assert cells["accuracy"] == cells["recall"] == pytest.approx(called, abs=1e-8)
    assert cells["f1"] == pytest.approx(2 * called / (1 + called), abs=1e-8)


def test_the_same_seed_gives_the_same_table(grid: Grid) -> None:
    store, probes, results, _ = grid
    again = evaluate(store, manifest(), probes, SPECS, resamples=200)
    pd.testing.assert_frame_equal(again, results)
    other = evaluate(store, manifest(), probes, SPECS, resamples=200, seed=1)
    drawn = results["metric"] == "ap"
    assert (other.loc[drawn, "low"] != results.loc[drawn, "low"]).any()
    np.testing.assert_array_equal(other["value"], results["value"])


def test_identical_conditions_get_identical_intervals(grid: Grid, tmp_path: Path) -> None:
    """Resamples are shared: the same scores under two encoders give the same ends."""
    store, *_ = grid
    table = manifest()
    twin = EmbeddingStore(tmp_path / "twin")
    with twin:
        rows = store.read("one", "none")
        for name in ("x", "y"):
            twin.write(name, store.fingerprint("one", "none") or {}, rows)
    probes = train(twin, table, {"x": "x", "y": "y"}, ["all"], ["none"], tmp_path / "p")
    results = evaluate(twin, table, probes, ["none"], resamples=100)
    one, two = (
        results[results["encoder"] == name].drop(columns="encoder").reset_index(drop=True) for name in "xy"
    )
    pd.testing.assert_frame_equal(one, two)


def test_each_fake_meets_the_reals_of_its_own_data_set() -> None:
    sets = {one.generator: one for one in test_sets(manifest())}
    assert list(sets) == ["DDPM", "ProGAN", "StyleGAN"]
    assert all("a" in image for image in sets["ProGAN"].image_id)
    np.testing.assert_array_equal(
        sets["ProGAN"].image_id[sets["ProGAN"].label == 0], sets["DDPM"].image_id[sets["DDPM"].label == 0]
    )


def test_errors(grid: Grid) -> None:
    store, probes, *_ = grid
    table = manifest()
    with pytest.raises(InputError, match="has no real image to test 'DDPM'"):
        evaluate(store, table[~((table["dataset"] == "a") & (table["label"] == 0))], probes, SPECS)
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(store, table, [p for p in probes if p.train_filter != "none"], ["none"])
    with pytest.raises(StoreError, match="no embeddings of 'one' at 'lowpass:9px'"):
        evaluate(store, table, probes, ["lowpass:9px"])


def test_a_probe_of_other_weights_is_refused(grid: Grid, tmp_path: Path) -> None:
    store, probes, *_ = grid
    other = EmbeddingStore(tmp_path / "other")
    made = {**(store.fingerprint("one", "none") or {}), "encoder.weights": "other"}
    with other:
        other.write("one", made, store.read("one", "none"))
    mine = [p for p in probes if p.encoder == "one" and p.train_filter == "none"]
    with pytest.raises(InputError, match=r"trained on embeddings made otherwise .*encoder\.weights"):
        evaluate(other, manifest(), mine, ["none"])


def test_results_and_scores_do_not_depend_on_how_the_store_was_filled(grid: Grid, tmp_path: Path) -> None:
    store, probes, results, folder = grid
    rng = np.random.default_rng(2)
    other = EmbeddingStore(tmp_path / "store")
    with other:
        for encoder, spec in store.conditions():
            made, rows = store.fingerprint(encoder, spec), store.read(encoder, spec)
            assert made is not None
            for piece in np.array_split(rng.permutation(len(rows.image_id)), 7):
                other.write(
                    encoder, made, Rows(*(getattr(rows, name)[piece] for name in Rows.__dataclass_fields__))
                )
    again = evaluate(other, manifest(), probes, SPECS, scores=tmp_path / "scores.parquet", resamples=200)
    pd.testing.assert_frame_equal(again, results, check_exact=True)
    one, two = (pd.read_parquet(at / "scores.parquet") for at in (folder, tmp_path))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def linear(weight: np.ndarray) -> ProbeFile:
    dim = len(weight)
    probe = LinearProbe(np.zeros(dim), np.ones(dim), weight, 0.0, 0.0, 1.0, 0.0, None, "split")
    return ProbeFile(probe, "one", "one", "ProGAN", "gan", "none", {}, {})


def test_equal_vectors_tie_wherever_they_stand() -> None:
    rng = np.random.default_rng(3)
    vector = rng.standard_normal(384).astype("f4")
    for probes in (1, 2, 5):
        files = [linear(rng.standard_normal(384)) for _ in range(probes)]
        found = [logits_of(files, np.tile(vector, (n, 1))) for n in (1, 3, 7, 8, 9, 1023)]
        for row in range(probes):
            assert len({value for logits in found for value in logits[row].tolist()}) == 1
        exact = [float(file.probe.weight @ vector.astype("f8")) for file in files]
        assert found[0][:, 0] == pytest.approx(exact, rel=1e-8)
