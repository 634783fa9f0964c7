"""Batches that do not fit into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fault_commands import EMBED, Server, content
from PIL import Image

from bandprobe import encoders
from bandprobe.encoders import Encoder
from bandprobe.encoders.preprocessing import Preprocessing
from bandprobe.errors import EncoderError
from bandprobe.extract import extract
from bandprobe.filters import expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.machine import out_of_memory
from bandprobe.store import EmbeddingStore

SPECS = expand(["none", "identity", "lowpass:6px"])
CUDA = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of ..."
)
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."
)


class Narrow(Encoder):
    """Pixels averaged 8 x 8, of at most `fits` images at once; after `tight_after` calls of at most 2."""

    def __init__(self, fits: int, error: Exception = CUDA, name: str = "narrow") -> None:
        super().__init__(
            name=name,
            dim=48,
            device=torch.device("cpu"),
            precision="fp32",
            preprocessing=Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3),
            fingerprint={"weights": "a"},
        )
        self.fits, self.error = fits, error
        self.asked: list[int] = []

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(pixels))
        if len(pixels) > self.fits:
            raise self.error
        return torch.nn.functional.avg_pool2d(pixels, 8).flatten(1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for number in range(27):
        path = tmp_path_factory.getbasetemp() / f"memory-{number}.png"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        rows.append((image_id(decode(path)), str(path)))
    return pd.DataFrame(rows, columns=["image_id", "path"])


def embed(folder: Path, images: pd.DataFrame, *models: Encoder, batch_size: int = 12) -> EmbeddingStore:
    store = EmbeddingStore(folder)
    done = extract(store, images, models, SPECS, geometry=Geometry.squash(32), batch_size=batch_size)
    assert done.passes + done.saved == len(images) * len(SPECS) * len(models)
    return store


@pytest.mark.parametrize("error", [CUDA, CPU, MemoryError()])
def test_a_batch_is_halved_until_it_fits_and_stays_so(
    tmp_path: Path, images: pd.DataFrame, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    plain = embed(tmp_path / "plain", images, Narrow(99))
    model = Narrow(4, error)
    store = embed(tmp_path / "halved", images[:20], model)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "not enough memory on cpu for 12 images a batch: going on with 3" in said[0]
    assert model.asked[:3] == [12, 6, 3]
    assert set(model.asked[3:]) <= {1, 2, 3}  # what fits is remembered
    assert sum(n for n in model.asked if n <= 4) == 20 * len(SPECS)  # nothing is computed twice
    embed(store.root, images, model)
    assert max(model.asked[3:]) == 3  # also by the next extraction
    assert capsys.readouterr().err == ""
    for spec in map(str, SPECS):
        one, two = plain.read("narrow", spec), store.read("narrow", spec)
        np.testing.assert_array_equal(one.image_id, two.image_id)
        np.testing.assert_allclose(one.embedding, two.embedding, atol=1e-6)
    assert list(store.verify()) == []


def test_one_of_two_encoders_that_share_batches(tmp_path: Path, images: pd.DataFrame) -> None:
    wide, narrow = Narrow(99, name="wide"), Narrow(5)
    store = embed(tmp_path / "s", images, wide, narrow)
    assert sum(wide.asked) == len(images) * len(SPECS)
    np.testing.assert_allclose(
        store.read("wide", "identity").embedding, store.read("narrow", "identity").embedding, atol=1e-6
    )


def test_a_filter_that_does_not_fit(
    tmp_path: Path, images: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bandprobe.filters import FilterBank

    real = FilterBank.measured

    def narrow(self: FilterBank, batch: torch.Tensor, ids: list[str]) -> object:
        for number, done in enumerate(real(self, batch, ids)):
            if number and len(batch) > 5:
                raise CUDA
            yield done

    plain = embed(tmp_path / "plain", images, Narrow(99))
    monkeypatch.setattr(FilterBank, "measured", narrow)
    model = Narrow(99)
    store = embed(tmp_path / "halved", images, model)
    assert sum(model.asked) == len(images) * len(SPECS)
    for spec in map(str, SPECS):
        np.testing.assert_allclose(
            plain.read("narrow", spec).embedding, store.read("narrow", spec).embedding, atol=1e-6
        )


def test_one_image_that_does_not_fit_is_said(tmp_path: Path, images: pd.DataFrame) -> None:
    with pytest.raises(
        EncoderError, match="not enough memory on cpu for narrow, even for one image"
    ) as caught:
        embed(tmp_path / "s", images, Narrow(0))
    assert "\n" not in str(caught.value)


def test_other_errors_are_no_want_of_memory(tmp_path: Path, images: pd.DataFrame) -> None:
    for error in (
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("x"),
        OSError(12, "out of memory"),
    ):
        assert not out_of_memory(error)
    model = Narrow(0, RuntimeError("shapes"))
    with pytest.raises(RuntimeError, match="shapes"):
        embed(tmp_path / "s", images, model)
    assert model.asked == [12]


def test_a_detector_of_ones_own(
    tmp_path: Path, images: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it raises comes wrapped."""
    (tmp_path / "own.py").write_text(
        "import torch\n"
        "def logit(images):\n"
        "    if len(images) > 5:\n"
        "        raise torch.OutOfMemoryError('CUDA out of memory.')\n"
        "    return images.mean((1, 2, 3))\n"
    )
    model = encoders.load(f"own=detector:{tmp_path / 'own.py'}:logit")
    store = embed(tmp_path / "s", images, model)
    assert len(store.read("own", "none").image_id) == len(images)


def test_the_command_goes_on(server: Server, pictures: Path, tmp_path: Path) -> None:
    wide = server.run("embed", pictures, *EMBED, "--store", "wide", folder=tmp_path)
    narrow = server.run("embed", pictures, *EMBED, "--store", "narrow", folder=tmp_path, fits=3)
    assert narrow.err.count("not enough memory") == 1
    assert "for 8 images a batch: going on with 2" in narrow.err
    assert wide.passes() == narrow.passes()
    one, two = content(tmp_path / "wide"), content(tmp_path / "narrow")
    assert one.keys() == two.keys()
    for key in one:
        assert one[key][0] == two[key][0]
        vectors = [np.frombuffer(held[key][1], np.float32) for held in (one, two)]
        np.testing.assert_allclose(*vectors, atol=1e-5)
    none = server.start("embed", pictures, *EMBED, "--store", "none", folder=tmp_path, fits=0)
    assert none.wait() == 2
    assert len(none.err.strip().splitlines()) == 1
    assert "even for one image at a time" in none.err
