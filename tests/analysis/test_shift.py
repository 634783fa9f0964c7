"""MMD of stored embeddings: which images meet which, under which kernel, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import false_discovery_control

from bandprobe.analysis.shift import COLUMNS, EXPERIMENTS, shift
from bandprobe.errors import InputError, StoreError
from bandprobe.metrics.mmd import paired, two_sample
from bandprobe.probes import ProbeFile, train
from bandprobe.store import EmbeddingStore, Rows, fingerprint

SPECS = ("none", "identity", "lowpass:4px", "lowpass:8px")
SIZES = {"Real": 40, "ProGAN": 30, "DDPM": 20, "Tiny": 3}
FAMILY = {"Real": "real", "ProGAN": "gan", "DDPM": "diffusion", "Tiny": "other"}
Made = tuple[EmbeddingStore, pd.DataFrame, list[ProbeFile]]


def manifest() -> pd.DataFrame:
    rows = [
        (
            f"{dataset}{source}{split}{number:03d}",
            int(source != "Real"),
            source,
            FAMILY[source],
            dataset,
            split,
        )
        for dataset, sources in (("a", ("Real", "ProGAN", "DDPM")), ("b", ("Real", "Tiny")))
        for source in sources
        for split, share in (("train", 1), ("val", 1), ("test", 1))
        for number in range(SIZES[source] * share)
    ]
    return pd.DataFrame(rows, columns=["image_id", "label", "generator", "family", "dataset", "split"])


def vectors(table: pd.DataFrame, spec: str, seed: int = 0) -> np.ndarray:
    """Fakes lie apart until the strongest low-pass; filters move all alike; identity rounds."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((len(table), 6)) + 5
    X[:, 0] += 1.5 * (table["label"].to_numpy() == 1) * (spec != "lowpass:4px")
    moved = {"none": 0.0, "identity": 1e-6, "lowpass:8px": 0.1, "lowpass:4px": 0.8}[spec]
    return (X + moved).astype(np.float32)


def write(
    store: EmbeddingStore, encoder: str, table: pd.DataFrame, specs: tuple[str, ...], **change: str
) -> None:
    with store:
        for spec in specs:
            made = {"geometry": "squash:24x32", "background": "white", **change}
            made_with = fingerprint({"weights": encoder}, filter=spec, **made)
            zeros = np.zeros(len(table), np.float32)
            rows = Rows(table["image_id"].to_numpy(object), vectors(table, spec), zeros, zeros)
            store.write(encoder, made_with, rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, table = tmp_path_factory.mktemp("shift"), manifest()
    store = EmbeddingStore(folder / "store")
    write(store, "one", table, SPECS)
    write(store, "two", table, SPECS[:3])
    probes = train(store, table, {"one": "one"}, ["each", "all"], ["none", "identity"], folder / "probes")
    return store, table, probes


@pytest.fixture(scope="module")
def found(made: Made) -> pd.DataFrame:
    store, table, probes = made
    return shift(store, table, probes, samples=25, permutations=99)


def ids(table: pd.DataFrame, dataset: str, source: str) -> list[str]:
    its = table[(table["split"] == "test") & (table["dataset"] == dataset) & (table["generator"] == source)]
    return sorted(its["image_id"])


def test_the_table_has_its_columns_and_one_row_each(found: pd.DataFrame) -> None:
    assert tuple(found.columns) == COLUMNS
    assert COLUMNS[:10] == (
        "encoder", "space", "experiment", "source", "filter", "cutoff_px", "mmd2", "p_value", "q_value", "n",
    )  # fmt: skip
    keys = ["encoder", "space", "experiment", "dataset", "source", "filter", "trained_on"]
    assert not found.duplicated(keys).any()
    counts = found.groupby(["encoder", "space", "experiment"]).size().to_dict()
    assert counts == {
        ("one", "embedding", "fake_vs_real"): 3 * 4,
        ("one", "embedding", "no_filter_vs_filter"): 5 * 3,
        # a generator's own probe and that of all; for reals that of all alone
        ("one", "logit", "fake_vs_real"): 3 * 2 * 4,
        ("one", "logit", "no_filter_vs_filter"): (3 * 2 + 2) * 3,
        ("two", "embedding", "fake_vs_real"): 3 * 3,
        ("two", "embedding", "no_filter_vs_filter"): 5 * 2,
    }
    assert list(found["filter"].unique()) == list(SPECS)  # the controls, then cut-offs rising
    reals = found[(found["source"] == "Real") & (found["space"] == "logit")]
    assert set(reals["trained_on"]) == {"all"}
    assert set(found.loc[found["space"] == "embedding", "trained_on"]) == {""}


def test_a_comparison_is_what_the_metric_says_of_those_images(made: Made) -> None:
    store, table, _ = made
    found = shift(store, table, encoders=["one"], permutations=19)
    reals = np.concatenate([store.read("one", "none", ids(table, d, "Real")).embedding for d in "ab"])
    width = float(np.median(pdist(reals)))
    cell = found.set_index(["experiment", "dataset", "source", "filter"])
    np.testing.assert_allclose(found.loc[found["reason"] == "", "bandwidth"], width, rtol=1e-5)
    fakes = store.read("one", "lowpass:8px", ids(table, "a", "DDPM")).embedding
    others = store.read("one", "lowpass:8px", ids(table, "a", "Real")).embedding
    row = cell.loc[("fake_vs_real", "a", "DDPM", "lowpass:8px")]
    assert row["mmd2"] == pytest.approx(two_sample(fakes, others, "gaussian", width, 1).mmd2, abs=1e-7)
    assert (row["n"], row["n_real"]) == (20, 40)
    plain = store.read("one", "none", ids(table, "a", "DDPM")).embedding
    row = cell.loc[("no_filter_vs_filter", "a", "DDPM", "lowpass:8px")]
    assert row["mmd2"] == pytest.approx(paired(plain, fakes, "gaussian", width, 1).mmd2, abs=1e-7)
    assert row["n"] == 20
    assert pd.isna(row["n_real"])


def test_the_logit_space_is_that_of_probe_outputs(made: Made) -> None:
    store, table, probes = made
    found = shift(store, table, probes, encoders=["one"], permutations=19)
    (file,) = [p for p in probes if (p.trained_on, p.train_filter) == ("DDPM", "none")]
    logits = {
        name: file.probe.logits(store.read("one", "none", ids(table, *name)).embedding)[:, None]
        for name in (("a", "DDPM"), ("a", "Real"), ("b", "Real"))
    }
    width = float(np.median(pdist(np.concatenate([logits["a", "Real"], logits["b", "Real"]]))))
    wanted = two_sample(logits["a", "DDPM"], logits["a", "Real"], "gaussian", width, 1).mmd2
    rows = found[
        (found["space"] == "logit") & (found["source"] == "DDPM") & (found["trained_on"] == "DDPM")
        & (found["experiment"] == "fake_vs_real") & (found["filter"] == "none")
    ]  # fmt: skip
    assert rows["mmd2"].item() == pytest.approx(wanted, abs=1e-6)
    assert rows["bandwidth"].item() == pytest.approx(width, rel=1e-4)


def test_what_moves_is_found_and_the_identity_moves_nothing(found: pd.DataFrame) -> None:
    kept = found[found["reason"] == ""]
    fakes = kept[(kept["experiment"] == "fake_vs_real") & (kept["space"] == "embedding")]
    there = fakes[fakes["filter"] != "lowpass:4px"]
    gone = fakes[fakes["filter"] == "lowpass:4px"]
    assert (there["p_value"] == 0.01).all()
    assert (gone["p_value"] > 0.01).any()
    assert there["mmd2"].min() > gone["mmd2"].max()
    moved = kept[kept["experiment"] == "no_filter_vs_filter"]
    identity = moved["filter"] == "identity"
    assert (moved.loc[identity, "mmd2"] == 0).all()
    assert (moved.loc[identity, "p_value"] == 1).all()
    embedded = moved[~identity & (moved["space"] == "embedding")]
    assert (embedded["p_value"] == 0.01).all()
    by_filter = embedded.groupby("filter")["mmd2"].mean()
    assert by_filter["lowpass:4px"] > by_filter["lowpass:8px"] > 0


def test_q_is_benjamini_hochberg_within_its_family(found: pd.DataFrame) -> None:
    for _, rows in found.groupby(["encoder", "space", "experiment"]):
        made = rows[rows["p_value"].notna()]
        np.testing.assert_allclose(made["q_value"], false_discovery_control(made["p_value"]), atol=1e-9)


def test_too_few_images_are_blank_with_the_reason(found: pd.DataFrame) -> None:
    tiny = found[found["source"] == "Tiny"]
    assert tiny[["mmd2", "p_value", "q_value"]].isna().all(axis=None)
    assert set(tiny["reason"]) == {"3 images, and a test needs 5"}
    assert set(tiny["n"]) == {3}
    assert found.loc[found["source"] != "Tiny", "reason"].eq("").all()


def test_at_most_so_many_images_the_same_for_all(made: Made, found: pd.DataFrame) -> None:
    assert set(found["n"]) == {25, 20, 3}
    store, table, _ = made
    again = shift(store, table, permutations=99, samples=25, encoders=["two"])
    first = found[found["encoder"] == "two"].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, again)  # drawn by name, not by turn
    other = shift(store, table, permutations=99, samples=25, encoders=["two"], seed=1)
    assert not np.allclose(again["mmd2"], other["mmd2"], equal_nan=True)


def test_cutoffs_stand_in_px_and_nyquist(found: pd.DataFrame) -> None:
    swept = found[found["filter"] == "lowpass:8px"]
    assert set(swept["cutoff_px"]) == {8.0}
    np.testing.assert_allclose(swept["cutoff_nyq"], 8 / 12)
    assert found.loc[found["filter"].isin(["none", "identity"]), "cutoff_px"].isna().all()


def test_biased_keeps_the_diagonal_and_has_a_bandwidth_a_pair(made: Made) -> None:
    store, table, _ = made
    found = shift(store, table, encoders=["one"], permutations=19, biased=True)
    kept = found[found["reason"] == ""]
    assert kept["bandwidth"].nunique() > 5
    assert (kept["mmd2"] >= 0).all()
    fakes = store.read("one", "none", ids(table, "a", "ProGAN")).embedding
    reals = store.read("one", "none", ids(table, "a", "Real")).embedding
    wanted = two_sample(fakes, reals, "gaussian", None, 1, biased=True).mmd2
    row = kept[
        (kept["source"] == "ProGAN") & (kept["experiment"] == EXPERIMENTS[0]) & (kept["filter"] == "none")
    ]
    assert row["mmd2"].item() == pytest.approx(wanted, abs=1e-7)


def test_a_filter_of_some_encoders_is_passed_over_for_the_others(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    store, table, _ = made
    found = shift(store, table, filters=["lowpass:8px"], permutations=19)
    assert "mmd: two has no embeddings at lowpass:8px: left out for it." in capsys.readouterr().err
    assert set(found.loc[found["encoder"] == "two", "filter"]) == {"none"}
    assert set(found.loc[found["encoder"] == "one", "filter"]) == {"none", "lowpass:8px"}


def test_embeddings_that_do_not_vary_are_blank(tmp_path: Path) -> None:
    table, store = manifest(), EmbeddingStore(tmp_path / "store")
    zeros = np.zeros(len(table), np.float32)
    made = fingerprint({"weights": "w"}, geometry="squash:32", background="white", filter="none")
    with store:
        store.write(
            "flat",
            made,
            Rows(table["image_id"].to_numpy(object), np.ones((len(table), 4), "f4"), zeros, zeros),
        )
    found = shift(store, table, permutations=9)
    wide = found[found["source"] != "Tiny"]
    assert wide["mmd2"].isna().all()
    assert wide["reason"].str.startswith("bandwidth must be positive").all()


def test_errors(made: Made, tmp_path: Path) -> None:
    store, table, probes = made
    reals = table[table["label"] == 0]
    fakes = table[table["label"] == 1]
    few = table[table["image_id"].isin([f"aReal{s}00{n}" for s in ("train", "test") for n in range(3)])]
    for change, words in (
        ({"kernel": "gauss"}, r"kernel must be one of .* got 'gauss'\. Did you mean 'gaussian'\?"),
        ({"experiments": ["fake_vs_fake"]}, "experiment must be .* got 'fake_vs_fake'"),
        ({"samples": 4}, "samples must be at least 5; got 4"),
        ({"permutations": 0}, "permutations must be at least 1; got 0"),
        ({"manifest": fakes}, "the test split has no real image"),
        ({"manifest": reals}, "holds reals alone, and fake_vs_real needs both classes"),
        ({"manifest": few, "experiments": EXPERIMENTS[1:]}, "needs at least 5 test images .* there are is 3"),
        ({"filters": ["none"], "experiments": EXPERIMENTS[1:]}, "needs a filter besides 'none'"),
    ):
        given: dict[str, object] = {"manifest": table, **change}
        with pytest.raises(InputError, match=words) as caught:
            shift(store, **given)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="holds no embeddings at lowpass:99px"):
        shift(store, table, filters=["lowpass:99px"])
    bare = EmbeddingStore(tmp_path / "bare")
    with pytest.raises(InputError, match=r"no embeddings in .*bandprobe embed"):
        shift(bare, table)
    with pytest.raises(InputError, match="holds no embeddings of 'three'"):
        shift(store, table, encoders=["three"])
    write(bare, "one", table, ("identity",))
    with pytest.raises(StoreError, match=r"no unfiltered embeddings \('none'\) of 'one'"):
        shift(bare, table)
    other = EmbeddingStore(tmp_path / "other")
    write(other, "one", table, ("none",), background="black")
    with pytest.raises(InputError, match=r"was trained on embeddings made otherwise .*background"):
        shift(other, table, probes, experiments=EXPERIMENTS[:1])


def test_reals_alone_can_be_set_against_themselves(made: Made) -> None:
    store, table, _ = made
    found = shift(store, table[table["label"] == 0], experiments=EXPERIMENTS[1:], permutations=9)
    assert set(found["source"]) == {"Real"}
    assert set(found["experiment"]) == {"no_filter_vs_filter"}


def test_large_samples_are_cut_into_blocks_which_is_said(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, table, _ = made
    given = {"encoders": ["one"], "filters": ["lowpass:8px"], "permutations": 19}
    whole = shift(store, table, **given)
    assert "blocks" not in capsys.readouterr().err
    monkeypatch.setattr("bandprobe.analysis.shift.LARGEST", 32)
    monkeypatch.setattr("bandprobe.metrics.mmd.LARGEST", 32)
    monkeypatch.setattr("bandprobe.metrics.mmd._BLOCK", 20)
    cut = shift(store, table, **given)
    assert "mmd: samples of more than 32 images are cut into blocks" in capsys.readouterr().err
    differ = (cut["mmd2"] - whole["mmd2"]).abs() > 1e-6
    # whatever meets data set a's 40 reals, and those of b
    met = (cut["source"] == "Real") | ((cut["experiment"] == EXPERIMENTS[0]) & (cut["source"] != "Tiny"))
    assert differ.equals(met)
    assert (cut.loc[cut["filter"] == "lowpass:8px", "p_value"].dropna() == 0.05).all()
