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
from bandprobe.extract import Extraction, extract, local, plan
from bandprobe.filters import References, abs_uint8, expand, gain
from bandprobe.images import Geometry, decode, image_id
from bandprobe.protocol import Protocol
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


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stopped_run_keeps_what_was_finished_and_goes_on_to_equal_vectors(
    tmp_path: Path, images: pd.DataFrame, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "lanes", lambda _: threads)
    whole, stopped = EmbeddingStore(tmp_path / "whole"), EmbeddingStore(tmp_path / "stopped")
    run(whole, images, Counting())
    model = Counting()
    model.stop_at = 21  # in the middle of a batch's filters
    with pytest.raises(KeyboardInterrupt):
        run(stopped, images, model)
    kept = sum(len(stopped.read(*condition).image_id) for condition in stopped.conditions())
    assert 21 <= kept == model.seen <= 28
    rest = Counting()
    run(stopped, images, rest)
    assert rest.seen == 44 - kept
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


@pytest.fixture
def sources(images: pd.DataFrame) -> pd.DataFrame:
    return images.assign(generator=["Real"] * 6 + ["GAN"] * 5, split="train")


def drawn(images: pd.DataFrame, image: str, spec: str) -> np.ndarray:
    """The reference that an image gets, float (1, 3, 32, 32)."""
    step = expand(spec)[0].steps[0]
    found = References(images, geometry=GRID)(step, [image])
    return found.numpy()


def test_every_kind_is_a_condition_whatever_the_batch(tmp_path: Path, sources: pd.DataFrame) -> None:
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
        tmp_path / "r.png"
    )
    specs = expand(["fda:0.1:reference=Real", "fda:0.05..0.1/0.05:reference=r.png", "inject:6px:reference=GAN",
                    "random-lowpass:3..9px", "noise:5", "jpeg:75+lowpass:6px", "webp:80", "blur:1", "resize:0.5",
                    "crop:0.8", "flip"])  # fmt: skip
    stores = []
    for number, (size, table) in enumerate([(4, sources), (11, sources[::-1])]):
        stores.append(EmbeddingStore(tmp_path / str(number)))
        done = extract(stores[-1], table, [Counting()], specs, geometry=GRID, batch_size=size,
                       reference_folder=tmp_path)  # fmt: skip
        assert (done.passes, done.left_out) == (11 * len(specs), {})
    for spec in specs:
        one, two = (store.read("counting", str(spec)) for store in stores)
        np.testing.assert_allclose(one.embedding, two.embedding, atol=1e-5, err_msg=str(spec))
    for row in (2, 8):
        image, path = sources["image_id"][row], sources["path"][row]
        pixels = np.asarray(Image.open(path).resize((32, 32), Image.Resampling.BILINEAR)) / np.float32(255)
        planes = pixels.transpose(2, 0, 1)[None].astype(np.float32)
        for spec in specs:
            name = str(spec)
            references = drawn(sources, image, name) if "Real" in name or "GAN" in name else None
            if "r.png" in name:
                references = np.asarray(Image.open(tmp_path / "r.png")).transpose(2, 0, 1)[None] / np.float32(
                    255
                )
            expected = Counting().encode(spec(planes, ids=[image], references=references))
            held = stores[0].read("counting", name, [image])
            np.testing.assert_allclose(held.embedding, expected, atol=2e-5, err_msg=name)
    assert "references" in (stores[0].fingerprint("counting", "fda:0.1:reference=Real") or {})
    assert "references" not in (stores[0].fingerprint("counting", "noise:5") or {})


def test_other_references_under_the_same_name_are_refused(tmp_path: Path, sources: pd.DataFrame) -> None:
    store, spec = EmbeddingStore(tmp_path / "s"), expand("fda:0.1:reference=Real")
    extract(store, sources, [Counting()], spec, geometry=GRID)
    with pytest.raises(StoreError, match="references: stored"):
        extract(store, sources[1:], [Counting()], spec, geometry=GRID)
    model = Counting()
    with pytest.raises(InputError, match="no source of the data, which holds GAN, Real"):
        extract(store, sources, [model], expand("none,fda:0.1:reference=Rael"), geometry=GRID)
    assert model.seen == 0


def test_published_filtering_and_the_two_resizes(tmp_path: Path, images: pd.DataFrame) -> None:
    specs = expand(["none", "identity", "lowpass:6px", "flip"])
    stores = {}
    for words in ("corrected", "abs_uint8", "resize_mismatch", "abs_uint8,resize_mismatch"):
        stores[words] = EmbeddingStore(tmp_path / words)
        done = extract(stores[words], images, [Counting()], specs, geometry=GRID, batch_size=4,
                       protocol=Protocol.parse(words))  # fmt: skip
        assert (done.passes, done.saved) == (44, 0)
        assert extract(stores[words], images, [Counting()], specs, geometry=GRID,
                       protocol=Protocol.parse(words)).saved == 44  # fmt: skip
    plain = stores.pop("corrected")
    for words, store in stores.items():
        for spec in map(str, specs):
            changed = ("abs" in words and spec in ("identity", "lowpass:6px")) or (
                "mis" in words and spec in ("none", "flip")
            )
            one, two = plain.read("counting", spec).embedding, store.read("counting", spec).embedding
            assert (np.abs(one - two).max() > 1e-4) == changed, (words, spec)
            made = [held.fingerprint("counting", spec) for held in (plain, store)]
            assert (made[0] != made[1]) == changed
    picture = np.asarray(Image.open(images["path"][3]))
    both = stores["abs_uint8,resize_mismatch"]
    square = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BILINEAR)).transpose(
        2, 0, 1
    )
    mask = gain(specs[2].steps[0], (32, 32))
    held = both.read("counting", "lowpass:6px", [images["image_id"][3]]).embedding
    expected = Counting().encode(abs_uint8(square, mask)[None].astype(np.float32) / 255)
    np.testing.assert_allclose(held, expected, atol=1e-5)
    aliased = Geometry.parse("squash:32:aliased").apply(picture).transpose(2, 0, 1)[None] / np.float32(255)
    held = both.read("counting", "none", [images["image_id"][3]]).embedding
    np.testing.assert_allclose(held, Counting().encode(aliased.astype(np.float32)), atol=1e-5)


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
