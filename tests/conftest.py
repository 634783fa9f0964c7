"""What every test shares."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "photos" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.photos)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A skip without a reason in words is a failure."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        words = reason.removeprefix("Skipped:").strip()
        if words in {"", "unconditional skip"} or len(words.split()) < 3:
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid} is skipped without a stated reason: {words!r}"
