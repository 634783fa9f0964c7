"""What every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# open_clip and timm import torchvision, whose registry build expects operators compiled against CUDA
# and fails to import beside a CPU build of torch. Declaring the two schemas it looks up at import is
# enough: no test calls them. Where torchvision is whole, the schemas exist already.
_library = torch.library.Library("torchvision", "DEF")  # kept alive for the whole session
for _schema in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"):
    _library.define(_schema)

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
