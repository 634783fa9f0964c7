"""A headless Chromium that reaches nothing but this machine, and what tests ask of a page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
_QUIET = (
    "--no-sandbox",  # of root, as in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)


def executable() -> str:
    """An installed Chromium or Chrome; the test is skipped without one, or fails where CI asks for it."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("BANDPROBE_BROWSER") == "required":
        pytest.fail("no Chromium is installed, and BANDPROBE_BROWSER=required asks for one")
    pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser for as long as the context lasts."""
    path = executable()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*_QUIET])
        try:
            yield browser
        finally:
            browser.close()


def serious_violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it stands, of serious or critical impact."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:200]})"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
