"""`filter` and `embed` with what takes from other images, draws by id, or works on pixels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bandprobe.cli import run
from bandprobe.filters import References, parse
from bandprobe.images import Geometry, Manifest, decode, image_id
from bandprobe.probes import file_name, load_folder
from bandprobe.store import EmbeddingStore


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planes(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path)).transpose(2, 0, 1)[None] / np.float32(255)


def levels(images: np.ndarray) -> np.ndarray:
    return np.round(images.clip(0, 1) * 255)[0].transpose(1, 2, 0)


def written(folder: str) -> dict[str, np.ndarray]:
    with (Path(folder) / "index.csv").open(newline="") as file:
        return {
            row["filter"]: np.asarray(Image.open(Path(folder) / row["file"])) for row in csv.DictReader(file)
        }


def test_every_kind_is_written(world: Path) -> None:
    source, reference = str(world / "ProGAN" / "000.png"), world / "Real" / "003.png"
    specs = [f"fda:0.1:reference={reference}", f"inject:lowpass:5px:reference={reference}",
             "random-lowpass:3..9px", "jpeg:60+lowpass:6px", "webp:60", "blur:2", "noise:9", "resize:0.5",
             "crop:0.7", "flip"]  # fmt: skip
    assert run(["filter", source, "--filter", *specs, "--out", "o", "--show", "--quiet"]) == 0
    found = written("o")
    assert list(found) == specs
    image = [image_id(decode(source))]
    for spec in specs:
        references = planes(reference) if "reference" in spec else None
        expected = levels(parse(spec)(planes(source), ids=image, references=references))
        np.testing.assert_allclose(found[spec], expected, atol=1, err_msg=spec)
        assert np.mean(found[spec] != expected) < 0.001
    masks = sorted(path.name for path in Path("o/show").glob("mask__*"))
    assert [name.split("-")[0] for name in masks] == ["mask__fda", "mask__inject"]
    window = np.asarray(Image.open(Path("o/show") / masks[0]))
    assert (window == 255).sum() == 49  # 2 * floor(3.2) + 1 squared
    assert window[16 - 3 : 16 + 4, 16 - 3 : 16 + 4].min() == 255


def test_a_source_gives_references_where_its_data_is_given(world: Path) -> None:
    source = str(world / "DDPM" / "001.png")
    spec = "fda:0.2:reference=Real:seed=4"
    assert run(["filter", source, "--filter", spec, "--data", str(world), "--out", "o", "--quiet"]) == 0
    assert run(["index", str(world), "--out", "m.parquet", "--quiet"]) == 0
    table = Manifest.load(Path("m.parquet")).table
    step = parse(spec).steps[0]
    references = References(table, geometry=Geometry.squash(32))(step, [image_id(decode(source))])
    expected = levels(parse(spec)(planes(source), references=references.numpy()))
    assert np.abs(written("o")[spec] - expected).max() <= 1
    _, path = References(table, geometry=Geometry.squash(32)).drawn(step, image_id(decode(source)))  # type: ignore[misc]
    row = table[table["path"] == path].iloc[0]
    assert (row["generator"], row["split"]) == ("Real", "train")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fda:0.1", "needs a reference, an image file or the name of a source"),
        ("fda:0.6:reference=r.png", "beta must be a number from 0 to 0.5; got '0.6'"),
        ("fda:0.1:reference=missing.png", "reference 'missing.png' is no image file"),
        ("inject:5px:reference=Real", "a source's name such as Real needs the data it stands in"),
        ("inject:5px:reference=text.png", "reference 'text.png' cannot be used"),
        ("jpeg:101", "quality must be a whole number from 1 to 100"),
    ],
)
def test_bad_references_are_refused_in_one_line(
    world: Path, capsys: pytest.CaptureFixture[str], spec: str, words: str
) -> None:
    Path("text.png").write_text("no picture")
    assert run(["filter", str(world / "Real" / "000.png"), "--filter", spec, "--out", "o"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not [*Path().glob("o/*.png")]


def test_a_reference_of_another_size_is_resized_and_it_is_said(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (50, 40), "teal").save("r.png")
    command = ["filter", str(world / "Real" / "000.png"), "--filter", "fda:0.1:reference=r.png"]
    assert run([*command, "--out", "o"]) == 0
    assert "reference 'r.png' is 50 x 40 px; resized to 32 x 32." in capsys.readouterr().err
    assert run([*command, "--out", "quiet", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_embed_takes_every_kind_and_the_switches(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (32, 32), "teal").save("r.png")
    command = ["embed", str(world), "--encoder", "spectral", "--geometry", "squash:32", "--quiet"]
    specs = ["none", "fda:0.1:reference=Real", "inject:6px:reference=r.png", "jpeg:75+lowpass:4px"]
    assert run([*command, "--filter", *specs, "--store", "s"]) == 0
    assert run([*command, "--filter", *specs, "--store", "s"]) == 0
    assert "0 encoder passes done, 640 saved" in capsys.readouterr().out
    assert (
        run([*command, "--filter", "none", "identity", "--store", "s", "--protocol", "resize_mismatch"]) == 2
    )
    assert "squash:32:aliased" in capsys.readouterr().err
    assert run([*command, "--filter", "none", "--store", "t", "--protocol", "abs_unit8"]) == 2
    assert "Did you mean 'abs_uint8'?" in capsys.readouterr().err


def test_filters_lists_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    from bandprobe.filters import KINDS

    assert run(["filters"]) == 0
    printed = capsys.readouterr().out
    for name in KINDS:
        assert f"\n{name}" in printed
    assert "claims: 154 conditions" in printed


def test_score_goes_the_way_of_training_images(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe trained behind a reference file or a draw by id gives an image the logit it had in the store."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save("r.png")
    specs = ["fda:0.2:reference=r.png", "random-lowpass:2..12px", "identity"]
    common = ["--protocol", "abs_uint8", "--quiet"]
    command = ["embed", str(world), "--encoder", "spectral", "--geometry", "squash:32", "--store", "s"]
    assert run([*command, "--filter", *specs, *common]) == 0
    chosen = ["--train-on", "all", "--train-filter", *specs]
    assert run(["train", "--store", "s", *chosen, "--out", "p", "--quiet"]) == 0
    images = [str(world / "ProGAN" / "000.png"), str(world / "Real" / "004.png")]
    ids = [image_id(decode(image)) for image in images]
    capsys.readouterr()
    for probe in load_folder(Path("p")):
        file = Path("p") / file_name(probe.encoder, probe.trained_on, probe.train_filter)
        assert run(["score", *images, "--probe", str(file), "--json", "--quiet"]) == 0
        found = [row["logit"] for row in json.loads(capsys.readouterr().out)]
        held = EmbeddingStore("s").read("spectral", probe.train_filter, ids).embedding
        np.testing.assert_allclose(found, probe.probe.logits(held), rtol=1e-3, atol=1e-3)
    Image.new("RGB", (32, 32), "teal").save("r.png")
    fda = next(Path("p").glob("*fda*"))
    assert run(["score", images[0], "--probe", str(fda)]) == 2
    assert "references: stored" in capsys.readouterr().err
