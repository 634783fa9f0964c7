"""The judge from end to end on small sets, its cache of samples, its tables and its page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from bandprobe.errors import InputError
from zoo import card_numbers, judge, page, samples
from zoo.tables import fill, interval, markdown, read_table, write_table
from zoo.vit import new_vit, save

N = 120
ATTRIBUTES = ("size", "colour", "texture_slope")  # probed here


def pictures(n: int, name: str) -> np.ndarray:
    """Coarse squares under noise, quicker to make than photographs."""
    rng = np.random.default_rng(list(name.encode()))
    coarse = rng.integers(40, 216, (n, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    return (coarse + rng.integers(-20, 20, coarse.shape)).astype(np.uint8)


def run(*arguments: str, ends: int = 0) -> str:
    result = CliRunner().invoke(judge.app, [*arguments, "--quiet"])
    assert result.exit_code == ends, result.output
    return result.output


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    def photographs(work: Path, size: int, count: int, purpose: str, seed: int = 0) -> np.ndarray:
        return pictures(count, purpose)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "photographs", photographs)
        patch.setattr(judge, "SETS", {"generators": (64, 300)})
        yield patch


@pytest.fixture(scope="module")
def said(patched: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder where four generators were judged, and what that printed."""
    work = tmp_path_factory.mktemp("work")
    folder = work / "samples"
    folder.mkdir()
    checkerboard = 10 * (-1) ** np.indices((64, 64)).sum(0)[None, :, :, None]
    drawn = {
        "gan-transposed": (pictures(N, "t").astype(int) + checkerboard).clip(0, 255),
        "gan-nearest": pictures(300, "generators")[:N],
        "ddpm": ndimage.gaussian_filter(pictures(N, "d").astype(float), (0, 0.8, 0.8, 0)),
        "flow": pictures(10, "f").repeat(N // 10, 0),
    }
    for name, images in drawn.items():
        np.save(folder / f"{name}.npy", images.astype(np.uint8))
    return work, run("generators", "--work", str(work), "--count", str(N))


def test_generators_are_judged_by_what_they_are(said: tuple[Path, str]) -> None:
    world, words = said
    assert "Periodic peaks, known of transposed convolutions: shows in gan-transposed (2" in words
    assert "Less power above half of Nyquist, known of diffusion: shows in ddpm (" in words
    assert "; not in flow (" in words
    rows, beside = read_table(world / "judged/generators")
    assert beside["pictures"] == N
    assert "\n".join(beside["words"]) in words  # type: ignore[arg-type]
    values = rows.set_index(["source", "measure"])["value"]
    assert set(rows["source"]) == {"Real", "gan-transposed", "gan-nearest", "ddpm", "flow"}
    assert (rows["low"] <= rows["value"]).all()
    assert (rows["value"] <= rows["high"]).all()
    assert values["gan-nearest", "copies"] == 1
    assert values["Real", "copies"] == values["ddpm", "copies"] == 0
    assert values["flow", "repeats"] == 1
    assert values["flow", "recall_of_layout"] < 0.2 < values["Real", "recall_of_layout"]
    assert values["Real", "nearest"] == pytest.approx(1, abs=0.1)
    families = rows.drop_duplicates("source").set_index("source")["family"]
    assert families.to_dict() == {
        "Real": "real", "gan-transposed": "gan", "gan-nearest": "gan", "ddpm": "diffusion", "flow": "diffusion"
    }  # fmt: skip
    for name in ("samples", "nearest", "spectra", "coherent", "sheet-ddpm"):
        assert Image.open(world / f"judged/{name}.png").width > 400
    assert Image.open(world / "judged/sheet-flow.png").size == (8 * 66 - 2, 8 * 66 - 2)
    table = pd.read_csv(world / "judged/generators.csv")
    pd.testing.assert_frame_equal(table, rows, rtol=1e-9)


def test_the_same_seed_gives_the_same_table() -> None:
    sources = {"Real": pictures(N, "a"), "vae": pictures(N, "b")}
    one, two = (judge.judged(sources, pictures(N, "c"), pictures(150, "d"), 3)[0] for _ in range(2))
    assert one == two


def test_photographs_are_judged(patched: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = run("photographs", "--work", str(tmp_path), "--count", "100")
    row = read_table(tmp_path / "judged/photographs")[0].iloc[0]
    assert interval(row["slope"], row["slope_low"], row["slope_high"]) in words
    assert row["mean"] == pytest.approx(pictures(100, "judging").mean() / 255)
    assert Image.open(tmp_path / "judged/photographs.png").width > 1000


def test_encoders_are_judged_and_their_cards_written(
    patched: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = [tmp_path / "micro-dino" / f"seed-{seed}" / "export" for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        save(new_vit(seed), folder)
        (folder.parent / "curve.csv").write_text("step,seconds,loss\n25,30,2.5\n50,60,2.0\n")
        (folder / "README.md").write_text("# micro-dino\n\nMine.\n")
        (folder / "card.json").write_text('{"dim": 128}')
    monkeypatch.setattr(judge, "_exported", lambda work: {"micro-dino": folders})
    monkeypatch.setattr("zoo.attributes.ATTRIBUTES", ATTRIBUTES)
    monkeypatch.setattr(judge, "PROBED", {"probe-train": 90, "probe-test": 60})
    monkeypatch.setattr(card_numbers, "steps_done", lambda folder: 50)
    words = run("encoders", "--work", str(tmp_path))
    assert "micro-dino is above random weights in " in words
    rows, beside = read_table(tmp_path / "judged/encoders")
    assert set(rows["encoder"]) == {"micro-dino", "random", "spectral", "pixels"}
    assert rows.groupby("encoder")["seed"].nunique().to_dict() == {
        "micro-dino": 3, "random": 4, "spectral": 2, "pixels": 2
    }  # fmt: skip
    assert set(beside["chance"]) == set(ATTRIBUTES)  # type: ignore[call-overload]
    card = json.loads((folders[1] / "card.json").read_text())
    assert card["dim"] == 128  # what was there stays
    assert [each["seed"] for each in card["seeds"]] == [0, 1]
    assert card["seeds"][0] == {"seed": 0, "steps": 50, "images_seen": 3200, "minutes": 1.0, "whole": False}
    assert [probe["attribute"] for probe in card["probes"]] == list(ATTRIBUTES)
    mean = rows[(rows["encoder"] == "micro-dino") & (rows["seed"] == "mean") & (rows["attribute"] == "size")]
    assert card["probes"][0]["value"] == pytest.approx(mean["value"].iloc[0], abs=1e-4)
    text = (folders[0] / "README.md").read_text()
    assert text.startswith("# micro-dino\n\nMine.\n")
    assert "| 0 | 50 | 3,200 | 1.0 | no |" in text
    scores = rows.assign(value=0.123)
    card_numbers.write_numbers(folders[0], tmp_path, "micro-dino", scores)
    again = (folders[0] / "README.md").read_text()
    assert again.count("## Training") == 1
    assert "| size | 0.12 [" in again


def test_a_card_is_made_where_there_is_none(tmp_path: Path) -> None:
    names = {
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "difference": 0.1,
        "difference_low": 0.0,
        "difference_high": 0.2,
    }
    scores = pd.DataFrame(
        [{"encoder": "micro-clip", "seed": seed, "attribute": "shape", **names} for seed in ("0", "mean")]
    )
    card_numbers.write_numbers(tmp_path / "card", tmp_path, "micro-clip", scores)
    text = (tmp_path / "card/README.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "| shape | 0.50 [0.40, 0.60] | 0.50 | 0.10 [0.00, 0.20] |" in text
    assert "## Not good for" in text


def test_augmentations_tell_the_encoders_apart() -> None:
    dino, bare, clip = (card_numbers.augmentations(f"micro-{n}") for n in ("dino", "dino-noblur", "clip"))
    assert len(dino) == len(bare) == 3
    assert sum("blur" in view for view in dino) == 3
    assert not any("blur" in view for view in bare)
    assert [view.split(", Gaussian")[0] for view in dino[::2]] == [
        view.split(", Gaussian")[0] for view in bare[::2]
    ]
    assert len(clip) == 1
    assert "blur" not in clip[0]


def test_curves_and_their_minutes(tmp_path: Path) -> None:
    for folder, seconds in (("ddpm", 600), ("micro-clip/seed-0", 120), ("micro-clip/seed-1", 240)):
        (tmp_path / folder).mkdir(parents=True)
        frame = pd.DataFrame({"step": [25, 50], "seconds": [seconds / 2, seconds], "loss": [2.0, 1.0]})
        frame.assign(penalty=[np.nan, 40.0]).to_csv(tmp_path / folder / "curve.csv", index=False)
    run("curves", "--work", str(tmp_path))
    rows = read_table(tmp_path / "judged/curves")[0]
    assert rows[["model", "seed", "steps", "minutes"]].to_numpy().tolist() == [
        ["ddpm", 0, 50, 10.0], ["micro-clip", 0, 50, 2.0], ["micro-clip", 1, 50, 4.0]
    ]  # fmt: skip


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    assert "nothing was trained" in run("curves", "--work", str(tmp_path), ends=2)
    with pytest.raises(InputError, match=r"no encoder in .* is trained yet"):
        judge._exported(tmp_path)


def test_the_page_gets_every_table_and_figure(said: tuple[Path, str], tmp_path: Path) -> None:
    world, _ = said
    folder = tmp_path / "page"
    folder.mkdir()
    own = Path(page.__file__).with_name("README.md").read_text()
    (folder / "README.md").write_text(own)
    missing = page.rewrite(folder, world / "judged")
    assert set(missing) == {
        "photographs.json", "encoders.json", "curves.json", "photographs.png", "encoders.png", "curves.png"
    }  # fmt: skip
    text = (folder / "README.md").read_text()
    rows = read_table(world / "judged/generators")[0].set_index(["source", "measure"])
    for source, measure, digits in (
        ("ddpm", "power_0.50_1.00", 2),
        ("flow", "repeats", 3),
        ("Real", "recall", 2),
    ):
        cell = rows.loc[(source, measure)]
        assert interval(cell["value"], cell["low"], cell["high"], digits) in text
    assert "- Periodic peaks, known of transposed convolutions: shows in gan-transposed (2" in text
    page.rewrite(folder, world / "judged")
    assert (folder / "README.md").read_text() == text
    for name in ("samples.jpg", "spectra.png"):
        assert f"images/{name}" in own
        assert (folder / "images" / name).stat().st_size > 10_000
    shown = {f"images/{name}{'.jpg' if name in ('samples', 'nearest') else '.png'}" for name in page.FIGURES}
    assert all(image in own for image in shown)


def test_tables_come_back_and_pages_keep_the_rest(tmp_path: Path) -> None:
    rows = pd.DataFrame({"name": ["a", "b"], "value": [1 / 3, np.nan]})
    write_table(tmp_path / "t", rows, words=["x"])
    found, beside = read_table(tmp_path / "t")
    pd.testing.assert_frame_equal(found, rows)
    assert beside == {"words": ["x"]}
    with pytest.raises(InputError, match=r"no table .*python -m zoo\.judge none"):
        read_table(tmp_path / "none")
    assert markdown(("a", "b"), [[1, 2]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
    assert interval(-0.5, -0.75, 0.126) == "−0.50 [−0.75, 0.13]"
    text = "x\n<!-- one -->\nold \\1\n<!-- /one -->\ny\n<!-- two --><!-- /two -->"
    filled = fill(text, {"one": r"new \1 $", "two": "z"})
    assert filled == "x\n<!-- one -->\nnew \\1 $\n<!-- /one -->\ny\n<!-- two -->\nz\n<!-- /two -->"
    with pytest.raises(InputError, match="no place for 'three'"):
        fill(text, {"three": ""})


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call draws; the seed and the place decide them."""
    calls: list[int] = []

    def sampler(name: str) -> Callable[..., np.ndarray]:
        def sample(work: Path, name: str, count: int, seed: int, device: str) -> np.ndarray:
            calls.append(count)
            if len(calls) == 3 and seed == 200:
                raise InputError("stopped")
            return np.random.default_rng(seed).integers(0, 256, (count, 2, 2, 3), dtype=np.uint8)

        return sample

    monkeypatch.setattr(samples, "_sampler", sampler)
    return calls


def test_samples_are_drawn_once_and_few_are_the_first_of_many(tmp_path: Path, drawn: list[int]) -> None:
    few = np.array(samples.samples(tmp_path, "flow", 30))
    assert sum(drawn) == 100
    many = samples.samples(tmp_path, "flow", 150)
    np.testing.assert_array_equal(many[:30], few)
    assert many.shape == (150, 2, 2, 3)
    assert sum(drawn) == 200
    samples.samples(tmp_path, "flow", 200)
    assert sum(drawn) == 200
    other = samples.samples(tmp_path, "flow", 30, seed=1)
    assert (other != few).any()
    np.testing.assert_array_equal(np.load(tmp_path / "samples/flow.npy")[:150], many)


def test_drawing_goes_on_where_it_was_stopped(tmp_path: Path, drawn: list[int]) -> None:
    with pytest.raises(InputError, match="stopped"):
        samples.samples(tmp_path, "flow", 250)
    stopped = len(drawn)
    whole = samples.samples(tmp_path, "flow", 250)
    assert len(drawn) == stopped + 1
    np.testing.assert_array_equal(whole, samples.samples(tmp_path / "anew", "flow", 250))
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["flow.npy"]


def test_samples_older_than_their_training_are_drawn_again(tmp_path: Path, drawn: list[int]) -> None:
    samples.samples(tmp_path, "ddim", 50)
    state = tmp_path / "ddpm/state.pt"  # whose sampler ddim is
    state.parent.mkdir()
    torch.save({}, state)
    os.utime(state, (2e9, 2e9))
    samples.samples(tmp_path, "ddim", 50)
    assert len(drawn) == 2


def test_an_unknown_generator_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no generator 'dpm'.*Did you mean 'ddpm'"):
        samples.samples(tmp_path, "dpm", 1)
