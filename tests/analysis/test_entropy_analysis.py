"""The table of entropies and correspondences, row by row from the metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_store import SOURCES, fill, small_manifest

from bandprobe.analysis.entropy import COLUMNS, CORRESPONDENCES, ENTROPIES, entropy
from bandprobe.analysis.equal_sources import equal_sources
from bandprobe.analysis.filter_pairs import control_of, opposite, stored_opposite
from bandprobe.analysis.image_entropy import image_entropy
from bandprobe.analysis.sources import Source
from bandprobe.analysis.twins import is_twin, twin_of, twins_beside
from bandprobe.errors import InputError
from bandprobe.filters import expand, parse
from bandprobe.images import Geometry
from bandprobe.metrics.correspondence import cosine_correspondence, debiased_cka, mutual_knn
from bandprobe.metrics.entropy import effective_rank, knn_entropy_change, neighbourhood, spectral_entropy
from bandprobe.store import EmbeddingStore

SPECS = {
    "none": 1.0, "identity": 1.0, "lowpass:0.25nyq": 0.3, "highpass:4px": 0.5, "lowpass:8px": 0.7,
    "highpass:8px:dc=zero": 0.4,
}  # fmt: skip
N = 27  # test images of the smallest source


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddingStore, pd.DataFrame, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("entropy")
    store, manifest = EmbeddingStore(folder / "store"), small_manifest(folder)
    for encoder in ("random:one", "one"):
        fill(store, manifest, encoder, SPECS)
    return store, manifest, entropy(store, manifest)


def test_every_source_filter_and_measure_has_its_row(made) -> None:
    _, _, table = made
    assert tuple(table.columns) == COLUMNS
    assert not table.duplicated(["encoder", "source", "filter", "measure"]).any()
    sources = {name for name, _, _ in SOURCES} | {"family:gan", "family:diffusion", "all"}
    assert set(table["source"]) == sources
    # Two pairs of low- with high-pass: one by another unit, one by another treatment of the mean.
    assert len(table) == 2 * len(sources) * (len(SPECS) * len(ENTROPIES) + 2 * len(CORRESPONDENCES))
    assert (table["n"] == N).all()
    assert (table["reason"] == "").all()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    pairs = table[table["measure"].isin(CORRESPONDENCES)]
    assert set(pairs["filter"]) == {"lowpass:0.25nyq", "lowpass:8px"}
    assert set(table.loc[table["filter"] == "lowpass:0.25nyq", "cutoff_px"]) == {4.0}
    assert set(table.loc[table["filter"] == "lowpass:8px", "cutoff_nyq"]) == {0.5}
    assert table.loc[table["filter"].isin(["none", "identity"]), "cutoff_px"].isna().all()
    assert list(dict.fromkeys(table["encoder"])) == ["one", "random:one"]
    assert (table["twin"] == (table["encoder"] == "random:one")).all()


def test_values_are_the_metrics_on_the_images_of_the_smallest_source(made) -> None:
    store, manifest, table = made
    test = manifest[(manifest["split"] == "test") & (manifest["generator"] == "StyleGAN")]
    ids = sorted(test["image_id"])
    assert len(ids) == N
    of = {spec: store.read("one", spec, ids).embedding for spec in SPECS}
    found = table[(table["encoder"] == "one") & (table["source"] == "StyleGAN")].set_index(
        ["filter", "measure"]
    )
    low, high = of["lowpass:8px"], of["highpass:8px:dc=zero"]
    rank, reference = effective_rank(low), effective_rank(of["identity"])
    change = knn_entropy_change(neighbourhood(low), neighbourhood(of["identity"]))
    expected = {
        "effective_rank": rank[:3],
        "knn_entropy": change,
        "cosine": cosine_correspondence(low, high),
        "cka": debiased_cka(low, high),
        "mutual_knn": mutual_knn(low, high),
    }
    for measure, ends in expected.items():
        row = found.loc[("lowpass:8px", measure)]
        assert tuple(row[["value", "low", "high"]]) == pytest.approx(tuple(ends), abs=1e-8)
    ratio = found.loc[("lowpass:8px", "effective_rank_ratio")]
    assert ratio["value"] == pytest.approx(rank.value / reference.value, abs=1e-8)
    same = found.loc[("identity", "knn_entropy")]
    assert tuple(same[["value", "low", "high"]]) == (0, 0, 0)
    assert ratio["high"] < 1  # the filter has taken directions, and the interval knows


def test_the_draw_is_seeded_and_rows_do_not_depend_on_other_encoders(made) -> None:
    store, manifest, table = made
    alone = entropy(
        store, manifest, encoders=["one"], filters=["identity", "lowpass:8px"], samples=20, seed=3
    )
    again = entropy(
        store, manifest, encoders=["one"], filters=["lowpass:8px", "identity"], samples=20, seed=3
    )
    other = entropy(
        store, manifest, encoders=["one"], filters=["identity", "lowpass:8px"], samples=20, seed=4
    )
    keys = ["source", "filter", "measure"]
    pd.testing.assert_frame_equal(
        alone.sort_values(keys).reset_index(drop=True), again.sort_values(keys).reset_index(drop=True)
    )
    assert (alone["n"] == 20).all()
    assert not np.allclose(alone["value"], other["value"])
    one = table[(table["encoder"] == "one") & table["filter"].isin(["identity", "lowpass:8px"])]
    whole = entropy(store, manifest, encoders=["one"], filters=["identity", "lowpass:8px"])
    shared = one[one["measure"].isin(ENTROPIES)].reset_index(drop=True)
    pd.testing.assert_frame_equal(shared, whole.reset_index(drop=True))


def test_what_is_not_there_is_blank_with_its_reason(made, tmp_path: Path) -> None:
    store, manifest, _ = made
    table = entropy(store, manifest, encoders=["one"], filters=["none", "lowpass:8px"])
    blank = table[table["value"].isna()]
    assert set(blank["measure"]) == {"effective_rank_ratio", "knn_entropy"}
    assert blank["reason"].str.contains("identity is not stored").all()
    few = manifest[(manifest["generator"] != "DDPM") | (manifest.groupby("generator").cumcount() < 8)]
    table = entropy(store, few, encoders=["one"])
    blank = table[table["value"].isna()]
    assert set(blank["source"]) == {"DDPM", "family:diffusion"}
    assert set(blank["reason"]) == {"8 images, where 12 are needed"}
    assert set(table.loc[table["source"] == "Real", "n"]) == {N}
    flat = EmbeddingStore(tmp_path / "store")
    fill(flat, manifest, "flat", {"identity": 1.0})
    rows = flat.read("flat", "identity")
    rows.embedding[:] = 1
    flat.remove("flat", "identity")
    with flat:
        flat.write("flat", {"filter": "identity", "geometry": "squash:32"}, rows)
    table = entropy(flat, manifest)
    assert table["value"].isna().all()
    assert table["reason"].str.contains("same embedding for every image").all()


def test_wrong_use_is_one_line(made) -> None:
    store, manifest, _ = made
    for words, given in (
        ("fewer images than neighbours", {"mutual_k": 60}),
        ("holds no embeddings of 'onne'. Did you mean 'one'", {"encoders": ["onne"]}),
        ("'lowpass:3px' is not stored for all of", {"filters": ["lowpass:3px"]}),
        ("k and mutual_k must be at least 1", {"k": 0}),
    ):
        with pytest.raises(InputError, match=words) as error:
            entropy(store, manifest, **given)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no image of the manifest"):
        entropy(store, manifest.assign(image_id="else"))
    with pytest.raises(InputError, match="no embeddings in"):
        entropy(EmbeddingStore(store.root / "nothing"), manifest)


def test_pools_take_their_sources_alike_and_span_data_sets(tmp_path: Path) -> None:
    other = small_manifest(tmp_path, "b", (("Real", "real", 90), ("ADM", "diffusion", 80)))
    both = pd.concat([small_manifest(tmp_path, "a"), other])
    found = {(one.dataset, one.name): one for one in equal_sources(both, 1000, 0, 12)}
    assert {len(one.image_id) for one in found.values()} == {N}
    assert {name for dataset, name in found if not dataset} == {"Real", "family:diffusion", "all"}
    assert ("a", "family:gan") in found  # of one data set
    families = dict(zip(both["image_id"], both["family"], strict=True))
    assert {families[i] for i in found["", "family:diffusion"].image_id} == {"diffusion"}
    assert {families[i] for i in found["", "Real"].image_id} == {"real"}
    single = set().union(*(one.image_id for key, one in found.items() if key[0]))
    assert set(found["", "all"].image_id) <= single  # nothing more needs to be read


def test_low_and_high_belong_together() -> None:
    assert str(opposite(parse("lowpass:30px:order=2"))) == "highpass:30px:order=2"
    assert str(opposite(parse("ideal-lowpass:0.1nyq:bits=8"))) == "ideal-highpass:0.1nyq:bits=8"
    assert str(opposite(parse("lowpass:30px+identity:bits=8"))) == "highpass:30px+identity:bits=8"
    for spec in ("highpass:3px", "none", "lowpass:9px+highpass:3px", "bandpass:9px"):
        assert opposite(parse(spec)) is None
    stored = expand(["highpass:8px:dc=zero", "highpass:8px", "highpass:0.25nyq", "ideal-highpass:8px"])
    assert str(stored_opposite(parse("lowpass:8px"), stored, (32, 32))) == "highpass:8px"
    assert str(stored_opposite(parse("lowpass:4px"), stored, (32, 32))) == "highpass:0.25nyq"
    assert stored_opposite(parse("lowpass:4px"), stored, None) is None
    assert stored_opposite(parse("lowpass:8px:order=2"), stored, (32, 32)) is None
    controls = expand(["identity", "identity:bits=8", "none"])
    assert control_of(parse("lowpass:8px:bits=8"), controls) == "identity:bits=8"
    assert control_of(parse("lowpass:8px"), controls) == "identity"
    assert control_of(parse("lowpass:8px"), expand(["none"])) is None


def test_twins_are_told_by_their_names() -> None:
    names = [
        "random:a",
        "b",
        "a",
        "random:7:a",
        "random-b",
        "random-c",
        "a@identity+b",
        "random:a@identity+random:b",
    ]
    assert [twin_of(name, names) for name in names] == ["a", None, None, "a", "b", None, None, "a@identity+b"]
    assert is_twin("random:x", ["random:x"])
    assert not is_twin("random-c", names)
    assert twins_beside(["random:a", "b", "a"]) == ["a", "random:a", "b"]


def test_images_have_the_entropy_of_their_grey_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = np.array([f"{i}" for i in range(5)], dtype=object)
    paths, grey = {}, []
    for image in ids:
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        paths[image] = str(tmp_path / f"{image}.png")
        Image.fromarray(pixels).save(paths[image])
        grey.append(pixels @ np.array([0.299, 0.587, 0.114]) / 255)
    paths["lost"] = str(tmp_path / "lost.png")
    source = Source("Real", "", "d", np.array([*ids, "lost"], dtype=object))
    filters = [parse("identity"), parse("ideal-lowpass:4px"), parse("jpeg:75")]
    rows = list(image_entropy([source], paths, filters, Geometry.parse("squash:16")))
    found = {(row.filter, row.measure): row for row in rows}
    assert all(row.n == 5 for row in rows)
    assert ("jpeg:75", "spectral_entropy") not in found
    exact = spectral_entropy(np.stack(grey))
    none = found["none", "spectral_entropy"].estimate
    assert none.value == pytest.approx(exact.whole.mean(), abs=1e-5)
    spread = 2.776 * exact.whole.std(ddof=1) / np.sqrt(5)  # t with 4 degrees of freedom
    assert none.high - none.value == pytest.approx(spread, rel=1e-3)
    assert found["identity", "radial_entropy"].estimate.value == pytest.approx(exact.across.mean(), abs=1e-5)
    ring = found["ideal-bandpass:3px:width=1px", "spectral_entropy"].estimate.value
    assert ring == pytest.approx(exact.ring[:, 3].mean(), abs=1e-5)
    # A ring's entropy is that of the image under the filter which is its name.
    passed = parse("ideal-bandpass:3px:width=1px")(np.stack(grey)[:, None])
    assert ring == pytest.approx(spectral_entropy(passed[:, 0]).whole.mean(), abs=1e-5)
    assert found["ideal-lowpass:4px", "radial_entropy"].estimate.value < np.log(4) + 1e-6
    with pytest.raises(InputError, match="square"):
        list(image_entropy([source], paths, filters, Geometry.parse("squash:16x20")))


def test_images_rows_are_in_the_table_where_paths_can_be_read(made, tmp_path: Path) -> None:
    store, manifest, _ = made
    rng = np.random.default_rng(1)
    for name in ("Real", "DDPM"):
        for i in range(40):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                tmp_path / f"{name}{i}.png"
            )
    moved = manifest.assign(path=[str(tmp_path / Path(path).name) for path in manifest["path"]])
    table = entropy(store, moved, encoders=["one"], filters=["identity", "lowpass:8px"], images=moved)
    images = table[table["encoder"] == "images"]
    assert set(images["source"]) == {"Real", "DDPM", "family:diffusion", "all"}
    assert set(images["measure"]) == {"spectral_entropy", "radial_entropy"}
    rings = images[images["filter"].str.startswith("ideal-bandpass")]
    assert sorted(set(rings["cutoff_px"])) == list(range(1, 17))
    gone = entropy(store, manifest, encoders=["one"], filters=["identity"], images=manifest)
    assert "images" not in set(gone["encoder"])
