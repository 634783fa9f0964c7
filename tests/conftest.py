"""What every test shares."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from small_picture import small_picture
from small_study import without_figures

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# A shell that starts the tests in the background has Ctrl-C ignored, and commands that are stopped by it inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _declare_torchvision_operators() -> torch.library.Library | None:
    """Let a torchvision built for another torch be imported.

    open_clip and timm import torchvision. A package registry's build expects CUDA, so beside a CPU build
    of torch its compiled part does not load, and `import torchvision` stops at two operators which that
    part would have declared. Their schemas are enough to import it: no test calls them. Where the
    compiled part loads, it declares them itself and nothing is done here. For tests only: the package
    goes without torchvision.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        return None
    compiled = [*Path(found.submodule_search_locations[0]).glob("_C*.*")]
    try:
        for path in compiled:
            torch.ops.load_library(path)
    except OSError:
        compiled = []
    if compiled:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


_torchvision = _declare_torchvision_operators()  # the declarations live as long as this object

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"


@pytest.fixture(scope="session")
def photos() -> Path:
    """The development photographs beside the checkout."""
    if not PHOTOS.is_dir():
        pytest.skip("the development photographs are not beside this checkout")
    return PHOTOS


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of image folders: 70 reals, 45 of a GAN, 45 of a diffusion model."""
    root = tmp_path_factory.mktemp("data") / "world"
    rng = np.random.default_rng(0)
    for source, n in {"Real": 70, "ProGAN": 45, "DDPM": 45}.items():
        (root / source).mkdir(parents=True)
        for number in range(n):
            Image.fromarray(small_picture(rng, source)).save(root / source / f"{number:03d}.png")
    return root


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium (see `browser`)."""
    from browser import launched

    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DINOv2 with random weights in a `save_pretrained` folder, for 32 px images."""
    from random_encoder import write_random_encoder

    folder = tmp_path_factory.mktemp("weights") / "tiny-dinov2"
    write_random_encoder(folder, "random-dinov2")
    return folder


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For studies whose report is not the subject."""
    monkeypatch.setattr("bandprobe.report.build", without_figures)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server on this machine; the environment points every client to it."""
    moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        yield url
    server.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "photos" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.photos)


def _without_reason(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A skip without a reason in words is a failure."""
    if report.skipped and not hasattr(report, "wasxfail"):
        given = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        words = given.removeprefix("Skipped:").strip()
        if len(words.split()) < 3 or words == "unconditional skip":
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} is skipped without a stated reason: {words!r}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _without_reason(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _without_reason(report)
    return report
