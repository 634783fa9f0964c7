"""Training sets, probe files, and what is fitted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from bandprobe import probes, seeding
from bandprobe.errors import InputError, StoreError
from bandprobe.probes import file_name, load, load_folder, save, train, training_sets
from bandprobe.probes.head_probe import HeadProbe
from bandprobe.probes.sets import bootstrapped
from bandprobe.protocol import Protocol
from bandprobe.store import EmbeddingStore, Rows, fingerprint

SPECS = ("none", "lowpass:5px")


def manifest() -> pd.DataFrame:
    """Two data sets: `a` with ProGAN and DDPM, `b` with StyleGAN alone."""
    rng = np.random.default_rng(0)
    rows = []
    plan = [("a", "Real", "real", 40), ("a", "ProGAN", "gan", 30), ("a", "DDPM", "diffusion", 25)]
    plan += [("b", "Real", "real", 50), ("b", "StyleGAN", "gan", 20)]
    for dataset, generator, family, n in plan:
        splits = rng.choice(["train", "val", "test"], n, p=[0.6, 0.2, 0.2])
        rows += [
            (f"{dataset}{generator}{i:03d}", int(generator != "Real"), generator, family, dataset, split)
            for i, split in enumerate(splits)
        ]
    return pd.DataFrame(rows, columns=["image_id", "label", "generator", "family", "dataset", "split"])


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    table, rng = manifest(), np.random.default_rng(1)
    filled = EmbeddingStore(tmp_path / "store")
    with filled:
        for encoder in ("one", "two"):
            for spec in SPECS:
                made = fingerprint(
                    {"weights": encoder}, geometry="squash:32", background="white", filter=spec
                )
                X = rng.standard_normal((len(table), 6)) + table["label"].to_numpy()[:, None] * [
                    1,
                    1,
                    0,
                    0,
                    0,
                    0,
                ]
                zeros = np.zeros(len(table), np.float32)
                filled.write(
                    encoder, made, Rows(table["image_id"].to_numpy(object), X.astype("f4"), zeros, zeros)
                )
    return filled


def test_each_family_and_all() -> None:
    table = manifest()
    sets = training_sets(table, ["each", "families", "all"])
    assert list(sets) == ["DDPM", "ProGAN", "StyleGAN", "family:diffusion", "family:gan", "all"]
    assert set(sets["ProGAN"]["generator"]) == {"ProGAN", "Real"}
    assert set(sets["ProGAN"]["dataset"]) == {"a"}  # a fake is trained against the reals of its own data set
    assert set(sets["family:gan"]["generator"]) == {"ProGAN", "StyleGAN", "Real"}
    assert set(sets["family:gan"]["dataset"]) == {"a", "b"}
    assert len(sets["all"]) == (table["split"] != "test").sum()
    for rows in sets.values():
        assert set(rows["split"]) == {"train", "val"}
        assert rows["image_id"].is_monotonic_increasing
        assert rows["image_id"].is_unique


def test_sets_by_name_and_names_that_are_none() -> None:
    assert list(training_sets(manifest(), ["all", "ProGAN"])) == ["ProGAN", "all"]
    assert list(training_sets(manifest(), ["family:gan"])) == ["family:gan"]
    with pytest.raises(InputError, match=r"no set 'ProGan'.*Did you mean 'ProGAN'"):
        training_sets(manifest(), ["ProGan"])


def test_probes_of_all_conditions_round_trip(tmp_path: Path, store: EmbeddingStore) -> None:
    made = train(
        store, manifest(), {"one": "one", "two": "folder/two"}, ["each", "all"], SPECS, tmp_path / "p"
    )
    assert len(made) == 2 * 2 * 4
    assert {(p.encoder, p.train_filter) for p in made} == {(e, s) for e in ("one", "two") for s in SPECS}
    back = {(p.encoder, p.trained_on, p.train_filter): p for p in load_folder(tmp_path / "p")}
    for probe in made:
        same = back[probe.encoder, probe.trained_on, probe.train_filter]
        for name in ("mean", "scale", "weight"):
            np.testing.assert_array_equal(getattr(same.probe, name), getattr(probe.probe, name))
        assert replace(same, probe=probe.probe) == probe
        assert same.fingerprint["filter"] == probe.train_filter
    assert back["two", "all", "none"].source == "folder/two"
    assert back["one", "all", "none"].family == "all"
    assert back["one", "ProGAN", "none"].family == "gan"


def test_files_are_safetensors_with_json_metadata(tmp_path: Path, store: EmbeddingStore) -> None:
    train(store, manifest(), {"one": "one"}, ["all"], ["lowpass:5px"], tmp_path)
    with safe_open(tmp_path / file_name("one", "all", "lowpass:5px"), framework="numpy") as file:
        names = set(file.keys())
        assert {"mean", "scale", "weight", "judged.real", "judged.fake", "novelty.mean"} <= names
        assert all(name.startswith(("judged.", "novelty.")) for name in names - {"mean", "scale", "weight"})
        metadata = file.metadata()
    assert metadata["trained_on"] == '"all"'
    assert (
        float(metadata["threshold"])
        == load(tmp_path / file_name("one", "all", "lowpass:5px")).probe.threshold
    )
    assert {"C", "slope", "intercept", "fingerprint", "training"} <= set(metadata)


def test_a_probe_is_fitted_once_and_anew_when_its_inputs_change(
    tmp_path: Path, store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real_fit = probes.recipe.fit
    monkeypatch.setattr(probes.recipe, "fit", lambda *a, **k: calls.append(1) or real_fit(*a, **k))
    first = train(store, manifest(), {"one": "one"}, ["each"], ["none"], tmp_path)
    again = train(store, manifest(), {"one": "one"}, ["each"], ["none"], tmp_path)
    assert len(calls) == 3
    assert [p.probe.threshold for p in first] == [p.probe.threshold for p in again]
    fewer = manifest().drop(index=manifest().query("generator == 'DDPM' and split == 'train'").index[0])
    train(store, fewer, {"one": "one"}, ["each"], ["none"], tmp_path)
    assert len(calls) == 4  # DDPM's alone
    (tmp_path / file_name("one", "ProGAN", "none")).write_bytes(b"damaged")
    train(store, fewer, {"one": "one"}, ["each"], ["none"], tmp_path)
    assert len(calls) == 5


def test_probes_do_not_depend_on_the_number_of_processes(tmp_path: Path, store: EmbeddingStore) -> None:
    names = {name: name for name in ("one", "two")}
    few = train(store, manifest(), names, ["each"], SPECS * 2, tmp_path / "1", workers=1)
    many = train(store, manifest(), names, ["each"], SPECS * 2, tmp_path / "2", workers=2)
    for one, two in zip(few, many, strict=True):
        np.testing.assert_array_equal(one.probe.weight, two.probe.weight)


def test_what_is_no_probe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no probe at"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not a probe")
    with pytest.raises(InputError, match="is no probe of format"):
        load(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="no probe"):
        load_folder(tmp_path / "empty")


def test_names_are_fit_for_files_and_tell_probes_apart() -> None:
    assert file_name("dinov2-giant", "family:gan", "lowpass:0.25nyq:order=2") == (
        "dinov2-giant__family-gan__lowpass-0-25nyq-order-2.safetensors"
    )
    alike = [("a/b", "x", "none"), ("a-b", "x", "none"), ("a.b", "x", "none"), ("a b", "x", "none")]
    names = {file_name(*parts) for parts in alike}
    assert len(names) == 4
    assert all("/" not in name and " " not in name for name in names)


def test_saved_probe_replaces_whole(tmp_path: Path, store: EmbeddingStore) -> None:
    [probe] = train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path)
    path = save(replace(probe, source="elsewhere"), tmp_path)
    assert load(path).source == "elsewhere"
    assert [p.name for p in tmp_path.glob("*.safetensors")] == [path.name]


def test_relative_paths_hold_when_the_process_moves(
    tmp_path: Path, store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worker processes outlive a call, and stand where they were started."""
    names = {name: name for name in ("one", "two")}
    train(store, manifest(), names, ["each"], SPECS * 2, tmp_path / "first", workers=2)
    monkeypatch.chdir(store.root.parent)
    relative = EmbeddingStore(store.root.name)
    assert len(train(relative, manifest(), names, ["each"], SPECS * 2, "second", workers=2)) == 24
    assert len(load_folder(tmp_path / "second")) == 12


@pytest.mark.parametrize(
    ("head", "loss"), [("linear", "focal"), ("mlp", "bce"), ("mlp", "triplet"), ("linear", "supcon")]
)
def test_heads_round_trip(tmp_path: Path, store: EmbeddingStore, head: str, loss: str) -> None:
    made = train(store, manifest(), {"one": "one"}, ["all", "DDPM"], ["none"], tmp_path, head=head, loss=loss)
    back = {probe.trained_on: probe for probe in load_folder(tmp_path)}
    X = store.read("one", "none").embedding
    for probe in made:
        same = back[probe.trained_on]
        assert type(same.probe) is type(probe.probe)
        assert isinstance(probe.probe, HeadProbe) == ((head, loss) != ("linear", "focal"))
        np.testing.assert_array_equal(same.probe.logits(X), probe.probe.logits(X))
        np.testing.assert_array_equal(same.probe.outputs(X), probe.probe.outputs(X))
        for name in ("threshold", "slope", "intercept", "validation"):
            assert getattr(same.probe, name) == getattr(probe.probe, name)
        assert (same.training["head"], same.training["loss"]) == (head, loss)
        assert replace(same, probe=probe.probe) == probe
    kept = train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path, head=head, loss=loss)
    assert kept[0].key == made[1].key
    other = train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path)
    assert other[0].key != made[1].key


def test_a_damaged_head_is_refused(tmp_path: Path, store: EmbeddingStore) -> None:
    [probe] = train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path, head="mlp")
    assert isinstance(probe.probe, HeadProbe)
    fewer = {name: value for name, value in probe.probe.weights.items() if name != "last.bias"}
    path = save(replace(probe, probe=replace(probe.probe, weights=fewer)), tmp_path)
    with pytest.raises(InputError, match=r"is no probe of format .*last\.bias") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_heads_are_checked_before_anything_is_fitted(tmp_path: Path, store: EmbeddingStore) -> None:
    with pytest.raises(InputError, match="'one' are one vector an image; embed with one#tokens"):
        train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path, head="attention")
    with pytest.raises(InputError, match="loss must be one of"):
        train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path, loss="hinge")
    assert not list(tmp_path.glob("*.safetensors"))


def test_replicates_redraw_the_training_images_within_class_and_data_set(
    tmp_path: Path, store: EmbeddingStore
) -> None:
    rows = training_sets(manifest(), ["all"])["all"]
    again = bootstrapped(rows, seeding.generator(0, "replicate", "1", "all"))
    counts = ["dataset", "label", "split"]
    pd.testing.assert_series_equal(
        again.value_counts(counts).sort_index(), rows.value_counts(counts).sort_index()
    )
    fresh = rows["split"] == "val"
    assert again.loc[again["split"] == "val", "image_id"].tolist() == rows.loc[fresh, "image_id"].tolist()
    drawn = again.loc[again["split"] == "train", "image_id"]
    assert 0.5 < drawn.nunique() / len(drawn) < 0.75  # 1 - 1/e of the images, give or take
    names = {"one": "one"}
    plain = train(store, manifest(), names, ["all"], ["none"], tmp_path)
    first = train(store, manifest(), names, ["all"], ["none"], tmp_path, replicate=1)
    second = train(store, manifest(), names, ["all"], ["none"], tmp_path, replicate=2)
    assert [probe.replicate for probe in (*plain, *first, *second)] == [0, 1, 2]
    assert len({probe.file_name for probe in (*plain, *first, *second)}) == len(load_folder(tmp_path)) == 3
    assert len({tuple(probe.probe.weight) for probe in (*plain, *first, *second)}) == 3
    assert first[0].file_name == "one__all__none__replicate-1.safetensors"
    assert load(tmp_path / first[0].file_name).training["replicate"] == 1


def test_threshold_at_one_half(tmp_path: Path, store: EmbeddingStore) -> None:
    names = {"one": "one"}
    [plain] = train(store, manifest(), names, ["all"], ["none"], tmp_path / "1")
    half = Protocol.parse("threshold_half")
    [switched] = train(store, manifest(), names, ["all"], ["none"], tmp_path / "2", protocol=half)
    assert plain.probe.threshold != 0
    assert replace(plain.probe, weight=0, mean=0, scale=0, threshold=0.0) == replace(
        switched.probe, weight=0, mean=0, scale=0
    )
    assert switched.training["protocol"] == ["threshold_half"]
    [mlp] = train(store, manifest(), names, ["all"], ["none"], tmp_path / "3", head="mlp", protocol=half)
    assert mlp.probe.threshold == 0


def test_selection_on_adm(tmp_path: Path, store: EmbeddingStore) -> None:
    table = manifest().replace({"generator": {"DDPM": "ADM"}})
    adm = Protocol.parse("adm_validation")
    made = train(store, table, {"one": "one"}, ["StyleGAN", "ADM"], ["none"], tmp_path, protocol=adm)
    style = next(probe for probe in made if probe.trained_on == "StyleGAN")
    val = table[table["split"] == "val"]
    counts = [int(((val["dataset"] == "a") & (val["generator"] == name)).sum()) for name in ("ADM", "Real")]
    assert [style.training["images"]["val fake"], style.training["images"]["val real"]] == counts
    assert style.training["generators"] == ["StyleGAN"]
    assert style.probe.validation == "split"  # however small ADM's validation is
    with pytest.raises(InputError, match="validation split has no image of ADM; add ADM to the data or turn"):
        train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path, protocol=adm)


def test_published_optimiser_takes_mirrored_embeddings(tmp_path: Path, store: EmbeddingStore) -> None:
    thesis, table = Protocol.parse("thesis_optimiser"), manifest()
    with pytest.raises(StoreError, match=r"holds no embeddings of 'one' at 'flip\+lowpass:5px'"):
        train(store, table, {"one": "one"}, ["all"], ["lowpass:5px"], tmp_path, protocol=thesis)
    with store:
        for spec in ("flip", "flip+lowpass:5px"):
            made_with = fingerprint({"weights": "one"}, geometry="squash:32", background="white", filter=spec)
            rows = store.read("one", "none")
            store.write("one", made_with, replace(rows, embedding=rows.embedding + 1))
    made = train(store, table, {"one": "one"}, ["all"], SPECS, tmp_path, protocol=thesis)
    assert [probe.train_filter for probe in made] == list(SPECS)
    for probe in made:
        assert probe.training["protocol"] == ["thesis_optimiser"]
        assert not probe.probe.mean.any()
        assert probe.probe.C is None
        assert load(tmp_path / probe.file_name).probe.C is None


def test_labels_under_a_filter_can_be_others(tmp_path: Path, store: EmbeddingStore) -> None:
    fda = Protocol.parse("fda_relabel")
    asked = []

    def relabel(spec: str, ids: Sequence[str], labels: np.ndarray) -> np.ndarray:
        asked.append(spec)
        return np.where([image.endswith("7") for image in ids], 1, labels).astype(np.int8)

    [plain] = train(store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path / "1")
    [other] = train(
        store, manifest(), {"one": "one"}, ["all"], ["none"], tmp_path / "2", protocol=fda, relabel=relabel
    )
    assert asked == ["none"]
    assert other.training["images"]["train fake"] > plain.training["images"]["train fake"]
    assert other.training["generators"] == plain.training["generators"]
    assert other.family == "all"
    with pytest.raises(InputError, match="which labels images have under 'fda:"):
        train(store, manifest(), {"one": "one"}, ["all"], ["fda:0.1:reference=Real"], tmp_path, protocol=fda)
