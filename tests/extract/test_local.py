"""Extraction: what is computed, what is saved, what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bandprobe import encoders
from bandprobe.encoders import Encoder
from bandprobe.encoders.preprocessing import Preprocessing
from bandprobe.errors import FilterError, InputError, StoreError
from bandprobe.extract import Extraction, extract, plan
from bandprobe.filters import expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.store import EmbeddingStore

SPECS = expand(["none", "identity", "lowpass:6px", "highpass:4px:dc=zero:bits=8"])
GRID = Geometry.squash(32)


class Counting(Encoder):
    """Pixels averaged 8 x 8; counts the images it sees."""

    def __init__(self, name: str = "counting", weights: str = "a") -> None:
        super().__init__(
            name=name,
            dim=48,
            device=torch.device("cpu"),
            precision="fp32",
            preprocessing=Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3),
            fingerprint={"weights": weights},
        )
        self.seen = 0
        self.stop_at: int | None = None

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.stop_at is not None and self.seen >= self.stop_at:
            raise KeyboardInterrupt
        self.seen += len(pixels)
        return torch.nn.functional.avg_pool2d(pixels, 8).flatten(1)


@pytest.fixture
def images(tmp_path: Path) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(11):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
        rows.append((image_id(decode(path)), str(path)))
    return pd.DataFrame(rows, columns=["image_id", "path"])


def run(store: EmbeddingStore, images: pd.DataFrame, *models: Encoder, **options: object) -> Extraction:
    return extract(store, images, models, SPECS, geometry=GRID, **{"batch_size": 4, "workers": 2, **options})


def test_vectors_are_those_of_the_filtered_images(tmp_path: Path, images: pd.DataFrame) -> None:
    store, model = EmbeddingStore(tmp_path / "s"), Counting()
    done = run(store, images, model)
    assert (done.passes, done.saved, done.left_out) == (44, 0, {})
    assert model.seen == 44
    for spec in SPECS:
        held = store.read("counting", str(spec), images["image_id"].tolist())
        for row, path in enumerate(images["path"]):
            pixels = np.asarray(Image.open(path).resize((32, 32), Image.Resampling.BILINEAR)) / np.float32(
                255
            )
            filtered = spec(pixels.transpose(2, 0, 1)[None].astype(np.float32))
            np.testing.assert_allclose(held.embedding[row], model.encode(filtered)[0], atol=1e-6)
            unclipped = (
                filtered
                if spec.steps[0].bits is None
                else expand("highpass:4px:dc=zero")[0](pixels.transpose(2, 0, 1)[None].astype(np.float32))
            )
            outside = ((unclipped < -1e-4) | (unclipped > 1 + 1e-4)).mean()
            assert held.clipped_share[row] == pytest.approx(outside, abs=1e-3)
    assert (store.read("counting", "identity").ac_removed < 1e-6).all()
    assert (store.read("counting", "lowpass:6px").ac_removed > 0.5).all()


def test_only_what_is_missing_is_computed(tmp_path: Path, images: pd.DataFrame) -> None:
    store = EmbeddingStore(tmp_path / "s")
    first = Counting()
    extract(store, images[:6], [first], SPECS[:2], geometry=GRID, batch_size=4)
    assert first.seen == 12
    again, other = Counting(), Counting("other")
    done = run(store, images, again, other)
    assert (again.seen, other.seen) == (44 - 12, 44)
    assert (done.passes, done.saved) == (88 - 12, 12)
    rerun = Counting()
    done = run(store, images, rerun, Counting("other"))
    assert (rerun.seen, done.passes, done.saved) == (0, 0, 88)


def test_a_stopped_run_keeps_what_was_finished_and_goes_on_to_equal_vectors(
    tmp_path: Path, images: pd.DataFrame
) -> None:
    whole, stopped = EmbeddingStore(tmp_path / "whole"), EmbeddingStore(tmp_path / "stopped")
    run(whole, images, Counting())
    model = Counting()
    model.stop_at = 21  # in the middle of a batch's filters
    with pytest.raises(KeyboardInterrupt):
        run(stopped, images, model)
    kept = sum(len(stopped.read(*condition).image_id) for condition in stopped.conditions())
    assert kept == model.seen == 24
    rest = Counting()
    run(stopped, images, rest)
    assert rest.seen == 44 - 24
    for spec in SPECS:
        one, two = (store.read("counting", str(spec)) for store in (whole, stopped))
        np.testing.assert_array_equal(one.embedding, two.embedding)
        np.testing.assert_array_equal(one.image_id, two.image_id)


def test_embeddings_do_not_depend_on_batches_or_order(tmp_path: Path, images: pd.DataFrame) -> None:
    found = []
    for number, (size, order) in enumerate([(1, 1), (4, -1), (64, 1)]):
        store = EmbeddingStore(tmp_path / str(number))
        extract(store, images[::order], [encoders.load("spectral")], SPECS, geometry=GRID, batch_size=size)
        found.append([store.read("spectral", str(spec)).embedding for spec in SPECS])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5)


def test_pictures_that_broke_or_changed_are_left_out_and_listed(tmp_path: Path, images: pd.DataFrame) -> None:
    Path(images["path"][3]).write_bytes(b"")
    Image.new("RGB", (40, 30)).save(images["path"][5])
    store = EmbeddingStore(tmp_path / "s")
    done = run(store, images, Counting())
    assert set(done.left_out) == {images["path"][3], images["path"][5]}
    assert "changed since it was indexed" in done.left_out[images["path"][5]]
    assert done.lost == {images["image_id"][3], images["image_id"][5]}
    assert len(store.read("counting", "none").image_id) == 9


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path, images: pd.DataFrame) -> None:
    store = EmbeddingStore(tmp_path / "s")
    run(store, images, Counting())
    with pytest.raises(StoreError, match=r"encoder\.weights: stored 'a', asked 'b'"):
        run(store, images, Counting(weights="b"))


def test_wrong_use_is_refused_before_any_work(tmp_path: Path, images: pd.DataFrame) -> None:
    store = EmbeddingStore(tmp_path / "s")
    with pytest.raises(InputError, match="different names"):
        run(store, images, Counting(), Counting())
    model = Counting()
    with pytest.raises(FilterError, match="removes everything"):
        extract(store, images, [model], expand(["none", "ideal-highpass:99px"]), geometry=GRID)
    assert model.seen == 0
    with pytest.raises(InputError, match="no native geometry"):
        extract(store, images, [Counting()], SPECS, geometry=None)


def test_a_plan_groups_images_by_what_they_lack(tmp_path: Path, images: pd.DataFrame) -> None:
    store = EmbeddingStore(tmp_path / "s")
    extract(store, images[:4], [Counting()], SPECS[:1], geometry=GRID)
    made = {
        ("counting", s): {**(store.fingerprint("counting", "none") or {}), "filter": str(s)}
        for s in SPECS[:2]
    }
    found = plan(store, images["image_id"].tolist(), made)
    assert (found.passes, found.saved) == (11 * 2 - 4, 4)
    assert sorted(len(job.image_ids) for job in found.jobs) == [4, 7]
    assert all(list(job.image_ids) == sorted(job.image_ids) for job in found.jobs)
