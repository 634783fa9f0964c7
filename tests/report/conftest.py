"""One small run's page, built once for all tests that open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from picture_run import Pictured
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """The page of a small run, without the pictures for papers, and the run's results by their keys."""
    from page_run import KEYS, build_page, write_page_run

    folder = tmp_path_factory.mktemp("page")
    table = write_page_run(folder)
    return build_page(folder), table.set_index(KEYS).sort_index()


@pytest.fixture
def page(report: tuple[Path, pd.DataFrame], chromium: Browser) -> Iterator[Page]:
    """The page, opened on a laptop by daylight."""
    from page_run import opened

    with opened(chromium, report[0]) as tab:
        yield tab


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Pictured:
    """The page of a run with pictures and mistakes, built once for all tests that open it."""
    from picture_run import built

    return built(tmp_path_factory.mktemp("pictured"))
