from __future__ import annotations

from collections.abc import Iterator

import pytest
from data_server import DataServer, serving


@pytest.fixture
def server() -> Iterator[DataServer]:
    with serving() as data:
        yield data
