"""The same study on Ray: the same answer, whatever becomes of workers, machines and pictures."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fault_commands import content
from PIL import Image

import bandprobe as bp
from bandprobe import cluster as clusters
from bandprobe import encoders, parallel
from bandprobe.cluster import Cluster, Node
from bandprobe.errors import EncoderError, InputError
from bandprobe.extract import extract
from bandprobe.filters import expand
from bandprobe.images import Geometry, Manifest, build
from bandprobe.store import EmbeddingStore
from small_study import write_study

ray = pytest.importorskip("ray", reason="Ray is an extra, and not installed")

SPECS = ("none", "lowpass:6px", "identity")
STUDY = """
[data]
root = "world"
[encoders]
names = ["spectral", "tiny-dinov2"]
geometry = "squash:32"
[filters]
test = ["none", "lowpass:6px"]
train = ["none", "lowpass:6px"]
[analysis]
samples = 20
entropy = false
claims = false
bands = false
audit = false
calibration = false
"""
# Says of an image how bright it is, slowly; a picture whose first pixel is white ends the process.
DEADLY = """
import os, signal, time
def brightness(images):
    time.sleep({delay} * len(images))
    if (images[:, :, 0, 0] > 0.999).all(1).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return images.mean((1, 2, 3))
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two machines with a worker each, on this one."""
    from ray.cluster_utils import Cluster as Machines

    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    made = Machines(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def cluster(nodes: Any) -> Cluster:
    return Cluster(nodes.address, device="cpu")


@pytest.fixture(scope="module")
def manifest(pictures: Path) -> Manifest:
    return build(str(pictures))


def detector(folder: Path, delay: float = 0.0) -> Any:
    file = folder / "deadly.py"
    file.write_text(DEADLY.format(delay=delay))
    return encoders.load(f"detector:{file}:brightness", device="cpu")


def fill(store: Path, table: pd.DataFrame, model: Any, cluster: Cluster | None, specs: Any = SPECS) -> Any:
    return extract(
        EmbeddingStore(store), table, [model], expand(list(specs)), geometry=Geometry.parse("squash:32"),
        batch_size=4, cluster=cluster,
    )  # fmt: skip


def workers() -> list[int]:
    """Processes that hold encoders."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and b"MapWorker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def meanwhile(run: Callable[[], Any], when: Callable[[], bool], act: Callable[[], None]) -> Any:
    """What a call gives, something having been done to it once it had got so far."""
    found: dict[str, Any] = {}

    def call() -> None:
        try:
            found["result"] = run()
        except BaseException as error:
            found["error"] = error

    thread = threading.Thread(target=call)
    thread.start()
    end = time.monotonic() + 120
    while not when():
        assert thread.is_alive(), found
        assert time.monotonic() < end
        time.sleep(0.02)
    assert thread.is_alive(), "it ended before anything happened to it"
    act()
    thread.join()
    if "error" in found:
        raise found["error"]
    return found["result"]


def test_a_study_gives_the_same_files(
    nodes: Any, pictures: Path, checkpoint: Path, tmp_path: Path, no_figures: None
) -> None:
    study = bp.Study.from_toml(write_study(tmp_path, pictures, checkpoint, STUDY))
    here = study.run(tmp_path / "here")
    there = study.with_options(engine="ray", address=nodes.address, device="cpu").run(tmp_path / "there")
    for name in ("results.csv", "confusion.csv", "mmd.csv"):
        assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes(), name
    mine, other = (np.load(run.folder / "spectra.npz") for run in (here, there))
    assert mine.files == other.files
    assert all(np.array_equal(mine[name], other[name]) for name in mine.files)
    for probe in (here.folder / "probes").iterdir():
        assert (there.folder / "probes" / probe.name).read_bytes() == probe.read_bytes()
    stores = [EmbeddingStore(run.folder / "store") for run in (here, there)]
    assert stores[0].conditions() == stores[1].conditions() != []
    for condition in stores[0].conditions():
        one, two = (store.read(*condition) for store in stores)
        assert (one.image_id == two.image_id).all()
        np.testing.assert_allclose(one.embedding, two.embedding, rtol=0, atol=1e-6)
    assert there.record["encoder_passes"] == here.record["encoder_passes"]
    content(there.folder / "store")
    again = study.run(tmp_path / "there")  # finished, wherever it was done
    assert again.record["encoder_passes"]["done"] == 0


def test_decoders_apart_from_encoders(cluster: Cluster, manifest: Manifest, tmp_path: Path) -> None:
    model = encoders.load("spectral", device="cpu")
    fill(tmp_path / "here", manifest.table, model, None)
    apart = Cluster(cluster.address, device="cpu", actors=1, apart=True)
    done = fill(tmp_path / "there", manifest.table, model, apart)
    assert done.passes == 64 * 3
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_only_what_is_missing_is_done(cluster: Cluster, manifest: Manifest, tmp_path: Path) -> None:
    model = detector(tmp_path)
    fill(tmp_path / "there", manifest.table[:30], model, None, ["none"])
    done = fill(tmp_path / "there", manifest.table, model, cluster)
    assert (done.passes, done.saved) == (64 * 3 - 30, 30)
    fill(tmp_path / "here", manifest.table, model, None)
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert fill(tmp_path / "there", manifest.table, model, cluster).passes == 0


@pytest.mark.long
def test_killed_workers_lose_and_double_nothing(
    cluster: Cluster, manifest: Manifest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, store = detector(tmp_path, delay=0.01), EmbeddingStore(tmp_path / "there")

    def kill() -> None:
        for pid in workers():
            os.kill(pid, signal.SIGKILL)

    done = meanwhile(
        lambda: fill(store.root, manifest.table, model, cluster), lambda: len(store.parts()) > 2, kill
    )
    assert done.left_out == {}
    fill(tmp_path / "here", manifest.table, detector(tmp_path, delay=0.01), None)
    assert content(store.root) == content(tmp_path / "here")
    assert "begun again" in capfd.readouterr().err


@pytest.mark.long
def test_a_picture_that_kills_its_workers_is_left_out(
    cluster: Cluster, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pictures, tmp_path / "data")
    bad = np.asarray(Image.open(tmp_path / "data/Real/07.png")).copy()
    bad[0, 0] = 255
    Image.fromarray(bad).save(tmp_path / "data/Real/07.png")
    table, model = build(str(tmp_path / "data")).table, detector(tmp_path)
    bad_one = table["path"].str.endswith("Real/07.png")
    table = pd.concat([table[bad_one], table[~bad_one][:9]])
    done = fill(tmp_path / "there", table, model, cluster, ["none"])
    [(path, reason)] = done.left_out.items()
    assert Path(path).name == "07.png"
    assert reason == "the worker died of it"
    rest = table[table["path"] != path]
    fill(tmp_path / "here", rest, model, None, ["none"])
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert "images are done again" in capfd.readouterr().err


@pytest.mark.long
def test_a_machine_that_leaves(nodes: Any, cluster: Cluster, manifest: Manifest, tmp_path: Path) -> None:
    model, store = detector(tmp_path, delay=0.01), EmbeddingStore(tmp_path / "there")
    leaving = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    done = meanwhile(
        lambda: fill(store.root, manifest.table, model, cluster),
        lambda: len(store.parts()) > 2,
        lambda: nodes.remove_node(leaving, allow_graceful=False),
    )
    assert done.left_out == {}
    fill(tmp_path / "here", manifest.table, model, None)
    assert content(store.root) == content(tmp_path / "here")


def test_pictures_that_cannot_be_read_are_left_out(cluster: Cluster, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "data")
    table = build(str(tmp_path / "data")).table
    (tmp_path / "data/Real/03.png").write_bytes(b"")
    done = fill(tmp_path / "there", table, detector(tmp_path), cluster, ["none"])
    assert list(done.left_out.values()) == ["empty file (0 bytes)"]
    assert done.passes == 63


def test_pieces_come_in_their_order_and_errors_as_they_are(cluster: Cluster) -> None:
    with parallel.on(cluster):
        assert list(parallel.each(pow, ((n, 2) for n in range(20)))) == [n * n for n in range(20)]
        with pytest.raises(InputError) as here:
            Geometry.parse("round:3")
        with pytest.raises(InputError) as there:
            list(parallel.each(Geometry.parse, ((text,) for text in ["squash:8", "round:3", "squash:9"])))
        assert str(there.value) == str(here.value)
    assert list(parallel.each(pow, [(2, 5)])) == [32]


def one_line(error: Exception) -> str:
    said = str(error)
    assert "\n" not in said
    assert len(said) < 400
    return said


def test_what_a_worker_refuses_is_said_as_here(cluster: Cluster, manifest: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text("def shape(images):\n    return images\n")
    model = encoders.load(f"detector:{file}:shape", device="cpu")
    with pytest.raises(EncoderError) as found:
        fill(tmp_path / "there", manifest.table, model, cluster)
    assert "must give shape" in one_line(found.value)


def test_an_encoder_that_is_another_there(cluster: Cluster, manifest: Manifest, tmp_path: Path) -> None:
    model = detector(tmp_path)
    detector(tmp_path, delay=1e-9)
    with pytest.raises(EncoderError) as found:
        fill(tmp_path / "there", manifest.table, model, cluster)
    assert "loads another 'detector:deadly:brightness' than this process (in weights)" in one_line(
        found.value
    )


def test_paths_that_workers_do_not_see(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(InputError) as found:
        cluster.check(["nowhere/a.png", "nowhere/b.png"], [tmp_path], 0)
    assert "does not see 'nowhere/a.png' (2 of 3 paths tried)" in one_line(found.value)


def test_an_encoder_that_does_not_fit(cluster: Cluster) -> None:
    with pytest.raises(EncoderError) as found:
        cluster.check([], [], 10**15)
    assert "do not fit" in one_line(found.value)


def test_other_versions(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_versions", lambda _: {"torch": "1.0"})
    with pytest.raises(InputError) as found:
        cluster.check([], [], 0)
    assert "and this process has 1.0; give workers the same environment" in one_line(found.value)


def test_a_device_that_is_nowhere(nodes: Any) -> None:
    with pytest.raises(InputError) as found:
        Cluster(nodes.address, device="cuda").place()
    assert "nowhere in the cluster" in one_line(found.value)


def test_actors_are_gpus_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Node("a", "one", 8.0, 0.0, 1e9), Node("b", "two", 16.0, 4.0, 1e9)]
    monkeypatch.setattr(Cluster, "nodes", lambda _: found)
    assert Cluster().place() == ("cuda", 4)
    assert Cluster(device="cpu").place() == ("cpu", 24)
    assert Cluster(actors=3).place() == ("cuda", 3)
