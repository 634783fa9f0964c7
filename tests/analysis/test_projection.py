"""Layouts in the plane: what is in the table, and what a layout must keep."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_store import fill, small_manifest

from bandprobe.analysis.projection import COLUMNS, project
from bandprobe.errors import EncoderError, InputError
from bandprobe.store import EmbeddingStore

SPECS = {"none": 1.0, "lowpass:8px": 0.3}
TEST_IMAGES = 40 + 34 + 30 + 32 - 4 * 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddingStore, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("projection")
    store, manifest = EmbeddingStore(folder / "store"), small_manifest(folder)
    for encoder in ("one", "two"):
        fill(store, manifest, encoder, SPECS)
    return store, manifest


def test_pca_is_the_two_widest_directions_of_all_points(made) -> None:
    store, manifest = made
    done = project(store, manifest, encoders=["one"], filters=list(SPECS), methods=["pca"])
    table = done.table
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * TEST_IMAGES
    assert not table.duplicated(["image_id", "filter"]).any()
    of = manifest.set_index("image_id")
    assert (table["source"].to_numpy() == of.loc[table["image_id"], "generator"].to_numpy()).all()
    assert (table["family"].to_numpy() == of.loc[table["image_id"], "family"].to_numpy()).all()
    X = np.concatenate(
        [
            store.read("one", spec, list(table["image_id"][table["filter"] == spec])).embedding
            for spec in SPECS
        ]
    )
    u, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    for axis, column in enumerate(("x", "y")):
        turned = (u * s)[:, axis]
        np.testing.assert_allclose(np.abs(table[column]), np.abs(turned), atol=1e-3)
    share = 100 * s**2 / (s**2).sum()
    assert f"{share[0]:.0f} % and {share[1]:.0f} %" in done.notes["one", "pca"]


def test_tsne_keeps_an_image_near_itself_and_is_seeded(made, tmp_path: Path) -> None:
    _, manifest = made
    store, rng = EmbeddingStore(tmp_path / "store"), np.random.default_rng(0)
    fill(store, manifest, "far", {"none": 1.0})
    # Three clusters that stand far apart must stand apart in the plane too.
    rows = store.read("far", "none")
    groups = rng.integers(0, 3, len(rows.embedding))
    rows.embedding[:, :3] += 30 * np.eye(3)[groups]
    store.remove("far", "none")
    with store:
        store.write("far", {"filter": "none", "geometry": "squash:32"}, rows)
    cluster = dict(zip(rows.image_id, groups, strict=True))
    first = project(store, manifest, methods=["tsne"], seed=1)
    assert "perplexity 30" in first.notes["far", "tsne"]
    points = first.table[["x", "y"]].to_numpy()
    apart = np.linalg.norm(points[:, None] - points, axis=2) + 1e9 * np.eye(len(points))
    mine = np.array([cluster[image] for image in first.table["image_id"]])
    assert (mine == mine[apart.argmin(axis=1)]).all()
    pd.testing.assert_frame_equal(first.table, project(store, manifest, methods=["tsne"], seed=1).table)
    few, same, other = (project(store, manifest, methods=["pca"], samples=9, seed=s).table for s in (1, 1, 2))
    assert list(few["image_id"]) == list(same["image_id"]) != list(other["image_id"])


def test_perplexity_fits_few_points(made) -> None:
    store, manifest = made
    done = project(store, manifest, encoders=["one"], samples=3)
    assert len(done.table) == 12
    assert done.notes["one", "tsne"] == "12 points; perplexity 3.67"


def test_umap_where_it_is_installed(made, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("umap") is None:
        pytest.skip("the extra umap is not installed here")
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)  # compiling takes longer than 32 points do
    store, manifest = made
    done = project(store, manifest, encoders=["one"], methods=["umap"], samples=8, neighbours=5)
    assert np.isfinite(done.table[["x", "y"]]).all().all()
    assert done.notes["one", "umap"] == "32 points; 5 neighbours"


def test_umap_that_is_not_installed_says_what_to_run(made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)  # Python's way to say: not there
    store, manifest = made
    with pytest.raises(EncoderError, match=r'pip install "bandprobe\[umap\]"') as error:
        project(store, manifest, encoders=["one"], methods=["umap"], samples=8)
    assert "\n" not in str(error.value)


def test_wrong_use_is_one_line(made) -> None:
    store, manifest = made
    for words, given in (
        ("fewer images than perplexity: perplexity 500 .* there are 124", {"perplexity": 500}),
        ("fewer images than neighbours: neighbours 124", {"neighbours": 124, "methods": ["umap"]}),
        ("method must be one of tsne, pca, umap; got 'tsn'. Did you mean 'tsne'", {"methods": ["tsn"]}),
        ("perplexity must be at least 1", {"perplexity": 0.5}),
        ("4 points or more; got 1", {"samples": 1, "keep": "Real"}),
        ("'lowpass:3px' is not stored", {"filters": ["lowpass:3px"]}),
        ("holds no embeddings of 'three'", {"encoders": ["three"]}),
        ("samples must be at least 1", {"samples": 0}),
    ):
        kept = manifest[manifest["generator"] == given.pop("keep")] if "keep" in given else manifest
        with pytest.raises(InputError, match=words) as error:
            project(store, kept, **given)
        assert "\n" not in str(error.value)
