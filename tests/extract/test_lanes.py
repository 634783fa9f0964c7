"""Lanes: the same results as one after the other, whatever ends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bandprobe import encoders
from bandprobe.extract import extract
from bandprobe.extract.lanes import in_lanes, lanes
from bandprobe.filters import expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.store import EmbeddingStore


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def squares(item: int) -> Iterator[int]:
    for power in range(3):
        time.sleep(0.001 * (item % 3))
        yield item**power


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_result_comes_once_and_an_items_results_in_their_order(count: int) -> None:
    found = list(in_lanes(squares, range(20), count))
    assert sorted(found) == sorted((item, item**power) for item in range(20) for power in range(3))
    for item in range(20):
        assert [value for place, value in found if place == item] == [1, item, item**2]


def test_a_processor_has_a_lane_for_each_thread() -> None:
    torch.set_num_threads(2)
    assert lanes(torch.device("cpu")) == 2
    torch.set_num_threads(1)
    assert lanes(torch.device("cpu")) == 1
    assert lanes(torch.device("cuda")) == 2
    assert lanes(torch.device("mps")) == 1


def test_threads_are_shared_out_and_given_back() -> None:
    torch.set_num_threads(4)
    assert {got for _, got in in_lanes(lambda _: [torch.get_num_threads()], range(8), 2)} == {2}
    assert torch.get_num_threads() == 4


def test_an_error_comes_after_all_that_was_finished() -> None:
    finished = []

    def work(item: int) -> Iterator[int]:
        if item == 7:
            raise ValueError("seven")
        finished.append(item)
        yield item

    got: list[int] = []
    with pytest.raises(ValueError, match="seven"):
        got.extend(value for _, value in in_lanes(work, range(1000), 3))
    assert sorted(got) == sorted(finished)
    assert len(got) < 1000


def test_leaving_early_ends_the_threads() -> None:
    results = in_lanes(squares, iter(range(10**9)), 3)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lane-")]


def test_a_store_filled_in_lanes_holds_the_same_vectors_in_the_same_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(13):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        rows.append((image_id(decode(path)), str(path)))
    table = pd.DataFrame(rows, columns=["image_id", "path"])
    specs, stores = expand(["none", "lowpass:6px", "highpass:4px:dc=zero:bits=8"]), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        store = EmbeddingStore(tmp_path / f"store-{threads}")
        done = extract(
            store, table, [encoders.load("micro-dino")], specs, geometry=Geometry.squash(64), batch_size=2 * threads
        )  # fmt: skip
        assert (done.passes, done.saved) == (39, 0)
        stores.append(store)
    for spec in specs:
        plain, in_two = (store.read("micro-dino", str(spec)) for store in stores)
        np.testing.assert_array_equal(plain.image_id, in_two.image_id)
        np.testing.assert_allclose(plain.embedding, in_two.embedding, atol=1e-6)
        np.testing.assert_array_equal(plain.clipped_share, in_two.clipped_share)
