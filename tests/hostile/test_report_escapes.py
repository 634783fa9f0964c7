"""Names that are scripts reach the report as words: read as text, and opened in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from encoded_files import noise
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bandprobe.cli import run
from bandprobe.images import build

MARK = "data-ran"
RUN = f"document.documentElement.setAttribute('{MARK}',1)"
# Whatever stands around them: text, an attribute in either quotes, a script, a comment, a style, a title.
GENERATOR = f"</td></title></style></script>--><script>{RUN}</script>"
DATASET = f'"><img src=x onerror="{RUN}">'
FAMILY = f"' autofocus onfocus='{RUN}' tabindex=1 x='"
FILE = f"<svg onload={RUN}>.png"
ENCODER = f"<img src=x onerror={RUN}>"
STUDY = f"<details open ontoggle={RUN}>"
METADATA = f"<input autofocus onfocus={RUN}>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a whole study in which every name that a stranger may choose is a script."""
    root = tmp_path_factory.mktemp("escapes") / STUDY
    root.mkdir()
    rows = []
    said = PngInfo()
    for word in ("Software", "Comment", METADATA[:60]):
        said.add_text(word, METADATA)
    for number in range(90):
        path = root / f"{number}.png"
        picture = Image.fromarray(noise(number, 48, 48, 3) // (1 + number % 2))
        picture.save(path, pnginfo=said if number % 2 else None)
        rows.append((path.name, number % 2, GENERATOR if number % 2 else "Real", DATASET, FAMILY))
    (root / FILE).write_bytes(b"<script>" + RUN.encode() + b"</script>")
    rows.append((FILE, 1, GENERATOR, DATASET, FAMILY))
    table = pd.DataFrame(rows, columns=["path", "label", "generator", "dataset", "family"])
    table.to_csv(root / "list.csv", index=False)
    ids = build(root / "list.csv").table["image_id"].tolist()
    vectors = np.random.default_rng(0).normal(size=(len(ids), 4)).tolist()
    pd.DataFrame({"image_id": ids, "embedding": vectors}).to_parquet(root / f"{ENCODER}.parquet", index=False)
    study = [
        "[data]", 'root = "list.csv"', "[encoders]",
        "names = " + json.dumps(["spectral", f"table:{ENCODER}.parquet"]), 'geometry = "squash:48"',
        "[filters]", 'test = ["none"]', "[probes]", 'train_on = ["each"]', "seeds = 1", "[analysis]",
        *(f"{name} = false" for name in ("information", "twin", "mmd", "entropy", "claims", "bands")),
    ]  # fmt: skip
    (root / "study.toml").write_text("\n".join(study))
    code = run(["study", str(root / "study.toml"), "--out", str(root / "run"), "--quiet"])
    assert code == 1  # the file that is no image is listed
    return root / "run/report.html"


class Elements(HTMLParser):
    """Every element's name, every attribute's name, the text of scripts that run, of data blocks and of all else."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.scripts: list[str] = []
        self.blocks: list[str] = []
        self.words = ""
        self.into: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "script":
            self.into = self.blocks if dict(attrs).get("type") == "application/json" else self.scripts
            self.into.append("")

    def handle_endtag(self, tag: str) -> None:
        self.into = None if tag == "script" else self.into

    def handle_data(self, data: str) -> None:
        if self.into is None:
            self.words += data
        else:
            self.into[-1] += data


def test_the_page_holds_the_names_and_none_of_their_elements(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Elements(text)
    assert len(found.scripts) == 1
    assert MARK not in found.scripts[0]
    for block in found.blocks:
        json.loads(block)
        assert not set("<>&\u2028\u2029") & set(block)
    assert not {"svg", "iframe", "object"} & set(found.tags)
    assert not [name for name in found.attributes if name.startswith("on")]
    assert METADATA not in text
    for name in (GENERATOR, DATASET, FAMILY, FILE, ENCODER):
        assert name not in text
        assert name in html.unescape(text)
    assert re.search(r"1 image left out|Left out|left out", found.words)


def test_no_file_of_the_run_is_named_by_a_path_in_a_name(page: Path) -> None:
    run_folder = page.parent
    outside = {path.name for path in run_folder.parent.iterdir()}
    assert outside == {f"{n}.png" for n in range(90)} | {
        FILE, "list.csv", "study.toml", "run", f"{ENCODER}.parquet"
    }  # fmt: skip
    for path in (run_folder / "figures").rglob("*"):
        assert re.fullmatch(r"[\w.+@-]+", path.name)


def browser() -> str | None:
    names = (
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
        "headless_shell",
        "/usr/lib/chromium/chromium",
    )
    found = next(filter(None, map(shutil.which, names)), None)
    cached = sorted((Path.home() / ".cache/ms-playwright").glob("chromium*/chrome-linux*/*chrome*"))
    return found or next((str(path) for path in cached if path.is_file()), None)


def opened(program: str, page: Path, profile: Path) -> str:
    """The page's elements once its scripts have run."""
    command = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={profile}", "--virtual-time-budget=2000",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the browser of this machine did not open the page in four minutes")
    if b"</html>" not in done.stdout:
        pytest.skip(f"the browser of this machine does not start here: {done.stderr[-200:]!r}")
    return done.stdout.decode()


def test_a_browser_runs_none_of_them(page: Path, tmp_path: Path) -> None:
    program = browser()
    if program is None:
        pytest.skip("there is no Chromium on this machine to open the page with")
    # The same names, not escaped, do run: the browser would have told.
    bare = tmp_path / "bare.html"
    bare.write_text(f"<!DOCTYPE html><html><head><title>x</title></head><body>{ENCODER}</body></html>")
    first = opened(program, bare, tmp_path / "profile").partition("<head")[0]
    assert MARK in first
    assert MARK not in opened(program, page, tmp_path / "profile").partition("<head")[0]
