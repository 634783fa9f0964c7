"""The site builds without a warning, fetches nothing from elsewhere, and reads well with a screen reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bandprobe

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_it_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    loading = re.compile(
        r"<(?:script|img|iframe|source|video)[^>]+src=[\"'](?:https?:)?//|<link(?![^>]+rel=[\"']canonical)[^>]+"
        r"href=[\"'](?:https?:)?//",
    )
    for page in pages:
        assert not loading.search(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for room in bandprobe.__all__:
        module = getattr(bandprobe, room)
        for name in getattr(module, "__all__", []):
            one = getattr(module, name)
            if getattr(one, "__module__", "").startswith("bandprobe") and callable(one):
                last = getattr(one, "__name__", name)
                assert re.search(rf'id="bandprobe\.{room}[\w.]*\.{last}"', page), f"bp.{room}.{name}"


def test_formulas_need_no_script(site: Path) -> None:
    page = (site / "definitions" / "detection.html").read_text(encoding="utf-8")
    assert page.count("<math ") >= 5
    assert "mathjax" not in page.lower()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["index.html", "how-to/own-dataset.html", "definitions/detection.html"])
def test_pages_have_no_serious_barrier(site: Path, chromium: Browser, page: str, scheme: str) -> None:
    from browser import PHONE, serious_violations

    asked: list[str] = []
    view = chromium.new_page(viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
    view.on("request", lambda request: asked.append(request.url))
    view.goto((site / page).as_uri())
    assert serious_violations(view) == []
    assert view.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    view.close()
