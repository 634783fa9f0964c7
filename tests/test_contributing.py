"""The recipes of CONTRIBUTING.md: each is followed to the letter, in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import bandprobe

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (Add an? \w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
GIVEN = """
import numpy as np
import bandprobe as bp
from bandprobe.metrics import Resamples, bootstrap

rng = np.random.default_rng(0)
images = rng.random((4, 3, 32, 32)).astype("float32")
labels, scores = np.repeat([0, 1], 40), np.concatenate([rng.normal(0, 1, 40), rng.normal(1, 1, 40)])
drawn = Resamples.draw(40, 40, 200, np.random.default_rng(1))
intervals = bootstrap.intervals(labels, scores[None], 1 / (1 + np.exp(-scores[None])), [0.0], drawn)
root = "tree"
"""


def blocks(recipe: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", recipe, re.DOTALL)


def apply(diff: str, copy: Path) -> None:
    """Follow a diff whose hunks have no line numbers: what it takes away or keeps must stand there, once."""
    for name, hunks in re.findall(r"^\+\+\+ (\S+)\n(.*?)(?=^\+\+\+ |\Z)", diff, re.MULTILINE | re.DOTALL):
        file = copy / Path(name).relative_to("src")
        for hunk in hunks.split("@@\n")[1:]:
            old = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " -")
            new = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in " +")
            if not old:
                assert not file.exists(), f"{name} is there already"
                file.write_text(new, encoding="utf-8")
                continue
            old, new = old.rstrip("\n"), new.rstrip("\n")
            text = file.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{name} holds {text.count(old)} times: {old!r}"
            file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all four recipes have been followed."""
    folder = tmp_path_factory.mktemp("contribution")
    package = Path(bandprobe.__file__).parent
    shutil.copytree(package, folder / "bandprobe", ignore=shutil.ignore_patterns("embedded", "__pycache__"))
    (folder / "bandprobe/embedded").symlink_to(package / "embedded")
    for recipe in RECIPES.values():
        [diff] = blocks(recipe, "diff")
        apply(diff, folder)
    for name in ("ddpm_fake", "bedroom_real"):
        (folder / "tree" / name).mkdir(parents=True)
        for number in range(40):
            path = folder / "tree" / name / f"{number}.png"
            Image.new("RGB", (8, 8), (len(name), number, 0)).save(path)
    return folder


def test_there_is_a_recipe_for_each() -> None:
    assert list(RECIPES) == ["Add an encoder", "Add a filter", "Add a metric", "Add a layout"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short_and_points_to_what_is_there(name: str) -> None:
    recipe = RECIPES[name]
    assert len(recipe.strip().splitlines()) < 40
    assert len(blocks(recipe, "diff")) == len(blocks(recipe, "python")) == 1
    for path in re.findall(r"`((?:encoders|filters|metrics|images)/\w+\.py)`", recipe):
        assert (ROOT / "src/bandprobe" / path).is_file(), path
    for path in re.findall(r"`(tests/\w+/?)`", recipe):
        assert (ROOT / path).is_dir(), path


def test_what_the_recipes_add_works(done: Path) -> None:
    checks = "\n".join(block for recipe in RECIPES.values() for block in blocks(recipe, "python"))
    said = subprocess.run(
        [sys.executable, "-c", f"{GIVEN}\n{checks}\nprint(bp.__file__, 'all done')"],
        cwd=done, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(done)},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == [str(done / "bandprobe/__init__.py"), "all", "done"]


def test_the_command_line_knows_them_too(done: Path) -> None:
    script = "import sys; from bandprobe.cli import main; main()"
    for arguments, word in {
        ("filters",): "posterise:LEVELS",
        ("index", "tree", "--layout", "suffixed", "--dry-run"): "suffixed",
        ("filter", "tree/ddpm_fake/0.png", "--filter", "posterise:4+lowpass:2px", "--out", "o"): "1 images",
    }.items():
        said = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=done, capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "PYTHONPATH": str(done)},
        )  # fmt: skip
        assert word in said.stdout, said.stderr


def test_targets_and_links_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in re.findall(r"^make ([\w -]+?)(?=\s+#|$)", TEXT, re.MULTILINE):
        for target in line.split():
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
