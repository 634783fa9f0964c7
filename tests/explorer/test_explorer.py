"""The explorer in a browser: what it shows is what the filters and the probe say, and nothing else of the host is."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from bandprobe import cli, encoders
from bandprobe.errors import ImageError, InputError
from bandprobe.explorer.session import Explorer
from bandprobe.explorer.views import spec_of, view
from bandprobe.probes import load
from browser import LAPTOP, PHONE, serious_violations
from small_detector import micro_table, pictures, write_probe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("gradio", reason="the extra explorer is not installed")
ROOT = Path(__file__).resolve().parents[2]


def left_by_hand(picture: np.ndarray, mask: np.ndarray) -> float:
    power = (np.abs(np.fft.fft2(picture.astype(float), axes=(0, 1))) ** 2).sum(2)
    power[0, 0] = 0
    return float((power * mask**2).sum() / power.sum())


def radius(side: int) -> np.ndarray:
    u = np.fft.fftfreq(side, 1 / side)
    return np.hypot(u[:, None], u[None, :])


def test_a_view_is_the_filter_by_hand() -> None:
    picture = pictures("gan-style", 1)[0]
    D = radius(64)
    mask = 1 / (1 + (D / 9.6) ** 4)
    seen = view(picture, spec_of("lowpass", 0.3, order=2))
    filtered = np.fft.ifft2(np.fft.fft2(picture / 255, axes=(0, 1)) * mask[..., None], axes=(0, 1)).real
    assert np.abs(seen.filtered.astype(float) - 255 * np.clip(filtered, 0, 1)).max() <= 0.51
    taken = np.clip(picture / 255 - filtered + 0.5, 0, 1)
    assert np.abs(seen.residual.astype(float) - 255 * taken).max() <= 0.51
    assert seen.energy_left == pytest.approx(left_by_hand(picture, mask), rel=1e-6)
    assert (seen.cutoff_px, seen.cutoff_nyq) == (pytest.approx(9.6), pytest.approx(0.3))
    band = view(picture, spec_of("bandpass", 0.5, ideal=True, width_nyq=0.25))
    inside = ((D >= 12) & (D < 20)).astype(float)
    assert band.energy_left == pytest.approx(left_by_hand(picture, inside), rel=1e-6)
    with pytest.raises(InputError, match="kind must be one of"):
        spec_of("jpeg", 0.3)


def test_pictures_are_bounded_and_checked() -> None:
    explorer = Explorer([], {}, max_pixels=10_000)
    buffer = io.BytesIO()
    Image.new("RGB", (200, 100)).save(buffer, "PNG")
    with pytest.raises(ImageError, match="too many pixels"):
        explorer.opened("a", buffer.getvalue())
    with pytest.raises(ImageError, match="not an image"):
        explorer.opened("a", b"<svg onload=alert(1)>")
    wide = Explorer([], {}, max_pixels=10**7).placed("a", np.zeros((600, 1200, 3), np.uint8))
    assert wide.shown.shape == (512, 1024, 3)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    [path] = write_probe(tmp_path_factory.mktemp("explorer"), micro_table(40))
    return path


@pytest.fixture(scope="module")
def served(
    probe: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command, as a user would start it."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from bandprobe.cli import main; main()",
        "explore",
        "--probe",
        str(probe),
    ]
    options = ["--port", str(port), "--radii", "4", "--max-size", "1", "--device", "cpu"]
    folder = tmp_path_factory.mktemp("served")
    environment = os.environ | {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", said)
    if found is None:
        process.kill()
        pytest.fail(f"no address: {said} {process.communicate()[1]}")
    yield found.group(), process
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    assert not [path for path in folder.iterdir() if path.name.startswith("bandprobe-explorer")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uploads")
    for name, source in (("a", "gan-style"), ("b", "Real")):
        Image.fromarray(pictures(source, 1)[0]).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (800, 800, 3)).astype(np.uint8)).save(folder / "large.png")
    return folder


def opened(chromium: Browser, address: str, **options: object) -> Page:
    context = chromium.new_context(viewport=LAPTOP, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#cutoff input[type=range]")
    return page


def said(page: Page, words: str) -> str:
    page.wait_for_function(
        "words => document.querySelector('#said').innerText.includes(words)", arg=words, timeout=30_000
    )
    return page.inner_text("#said")


def rows(page: Page) -> list[list[str]]:
    page.wait_for_function("() => document.querySelectorAll('#table tbody tr').length > 0", timeout=30_000)
    return page.evaluate(
        "() => [...document.querySelectorAll('#table tbody tr')].map(row => [...row.querySelectorAll('td')]"
        ".map(cell => cell.innerText.trim()))"
    )


def test_what_it_shows_is_what_the_probe_says(
    chromium: Browser, served: tuple[str, subprocess.Popen[str]], files: Path, probe: Path
) -> None:
    page = opened(chromium, served[0])
    elsewhere: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_input_files("#file-A input[type=file]", files / "a.png")
    text = said(page, "energy")
    picture = np.asarray(Image.open(files / "a.png"))
    butterworth = 1 / (1 + (radius(64) / 9.6) ** 2)
    assert f"{100 * left_by_hand(picture, butterworth):.2f} %" in text

    slider = page.locator("#cutoff input[type=range]")
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    slider.dispatch_event("pointerup")
    text = said(page, "0.40 of Nyquist")
    mask = 1 / (1 + (radius(64) / 12.8) ** 2)
    assert f"{100 * left_by_hand(picture, mask):.2f} %" in text
    file = load(probe)
    filtered = np.fft.ifft2(np.fft.fft2(picture / 255, axes=(0, 1)) * mask[..., None], axes=(0, 1)).real
    [vector] = encoders.load("micro-dino", device="cpu").encode(
        filtered.transpose(2, 0, 1)[None].astype(np.float32)
    )
    logit = float((vector - file.probe.mean) / file.probe.scale @ file.probe.weight + file.probe.bias)
    chance = 1 / (1 + np.exp(-(file.probe.slope * logit + file.probe.intercept)))
    page.wait_for_function(
        "words => document.querySelector('#table').innerText.includes(words)",
        arg=f"{chance:.4f}"[:5],
        timeout=30_000,
    )
    [row] = rows(page)
    assert row[:2] == ["A", probe.stem]
    assert float(row[2]) == pytest.approx(logit, abs=2e-3)
    assert float(row[3]) == pytest.approx(chance, abs=2e-3)

    page.set_input_files("#file-B input[type=file]", files / "b.png")
    assert said(page, "B (").count("energy") == 2
    page.wait_for_function("() => /micro-dino.*micro-dino/s.test(document.querySelector('#table').innerText)")
    assert [row[0] for row in rows(page)] == ["A", "B"]
    assert page.locator(".js-plotly-plot .legendtext").count() == 2
    assert not errors
    local = tuple(f"{scheme}://127.0.0.1" for scheme in ("http", "ws"))
    assert not [url for url in elsewhere if not url.startswith((*local, "data:", "blob:"))]
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_all(
    chromium: Browser, served: tuple[str, subprocess.Popen[str]], files: Path, scheme: str
) -> None:
    page = opened(chromium, served[0], color_scheme=scheme)
    page.set_input_files("#file-A input[type=file]", files / "a.png")
    said(page, "energy")
    page.wait_for_selector(".js-plotly-plot .legendtext")
    assert serious_violations(page) == []
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.context.close()


@pytest.mark.parametrize(("name", "words"), [("broken.png", "cannot be read"), ("large.png", "size")])
def test_bad_uploads_are_refused_in_one_line(
    chromium: Browser, served: tuple[str, subprocess.Popen[str]], files: Path, name: str, words: str
) -> None:
    page = opened(chromium, served[0])
    page.set_input_files("#file-A input[type=file]", files / name)
    page.wait_for_function(
        "words => document.querySelector('.gradio-container').parentElement.innerText.toLowerCase().includes(words)",
        arg=words,
        timeout=20_000,
    )
    assert "energy" not in page.inner_text("#said")
    page.context.close()


def test_no_file_of_the_host_is_handed_out(served: tuple[str, subprocess.Popen[str]], probe: Path) -> None:
    address = served[0]
    for path in ("/etc/passwd", ROOT / "pyproject.toml", probe, "../../etc/passwd", "/proc/self/environ"):
        for route in ("gradio_api/file=", "file=", "gradio_api/file/"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{address}{route}{path}", timeout=10)
            assert refused.value.code in (401, 403, 404, 405, 422)
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_only_this_machine_is_listened_to(served: tuple[str, subprocess.Popen[str]]) -> None:
    port = int(served[0].rstrip("/").rpartition(":")[2])
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            pytest.skip("this system has no /proc/net/tcp to tell who listens where")
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                listening.add(local.rpartition(":")[0])
    assert listening == {"0100007F"}


def test_wrong_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.run(["explore", "--port", str(port)]) == 2
        assert f"port {port}" in capsys.readouterr().err
    assert cli.run(["explore", "--run", str(tmp_path)]) == 2
    assert "no probes in" in capsys.readouterr().err
    assert cli.run(["explore", "--probe", str(tmp_path / "no.safetensors")]) == 2
    assert "no probe at" in capsys.readouterr().err
