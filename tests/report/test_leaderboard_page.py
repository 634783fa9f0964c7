"""The leaderboard's page, as a reader meets it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from page_run import opened

from bandprobe.analysis.leaderboard import COLUMNS, STATISTICS, traits_of
from bandprobe.analysis.trait_association import trait_associations
from bandprobe.report.leaderboard_page import leaderboard_page
from browser import LAPTOP, PHONE, serious_violations

NAMES = (
    "dinov2-small", "dinov2-base", "dinov2-giant", "clip-vit-b-32", "clip-vit-b-16", "clip-vit-l-14", "mae-base",
    "siglip2-base-patch16-224", "<b>mine</b>",
)  # fmt: skip


def board() -> pd.DataFrame:
    """Encoders in two worlds; a statistic is lacking, one is a bound, and one encoder is nobody's."""
    rng = np.random.default_rng(3)
    rows = []
    for world, names in (("aaaaaaaaaaaa", NAMES), ("bbbbbbbbbbbb", NAMES[:3])):
        for name in names:
            row = {"encoder": name, "source": name, "world": world, "datasets": "faces, rooms"}
            row |= {
                "geometry": "squash:224",
                "equalise": "none",
                "protocol": "corrected",
                **traits_of(name, name),
            }
            for one in STATISTICS:
                value = float(rng.uniform(0.1, 0.9))
                row |= {one.name: value, f"{one.name}_low": value - 0.05, f"{one.name}_high": value + 0.05}
                row[f"{one.name}_note"] = "5 generators"
            row |= {
                "n_images": 3000,
                "n_test": 1000,
                "n_generators": 10,
                "run": "run",
                "version": "1",
                "fingerprint": "f",
            }
            rows.append(
                {key: str(value) if key in ("parameters", "patch") else value for key, value in row.items()}
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.loc[0, ["kept_cutoff", "kept_cutoff_low", "kept_cutoff_high"]] = np.nan
    table.loc[0, "kept_cutoff_note"] = (
        "2 of 3 or more low-pass cut-offs that are needed: add the preset claims"
    )
    table.loc[1, "kept_cutoff_note"] = "at least, the sweep ends there; 5 generators"
    table.loc[2, "transfer_gap"] = -0.125
    return table


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = board()
    page = tmp_path_factory.mktemp("board") / "leaderboard.html"
    page.write_text(leaderboard_page(table, trait_associations(table)), encoding="utf-8")
    return page


def column(page, heading, table=0):
    """The texts of a column, top to bottom."""
    return page.evaluate(
        """([heading, table]) => {
          const found = document.querySelectorAll("table.sortable")[table];
          const at = [...found.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === heading);
          return [...found.tBodies[0].rows].map((row) => row.cells[at].firstChild.textContent);
        }""",
        [heading, table],
    )


def test_one_file_that_reaches_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "http" not in re.sub(r"arXiv:\S+", "", text)
    assert len(text) < 200_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_no_serious_violation_and_nothing_wider_than_the_screen(chromium, path, scheme, size):
    with opened(chromium, path, viewport=size, color_scheme=scheme) as page:
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_headings_sort_both_ways_and_blanks_stay_last(chromium, path):
    label = next(one.label for one in STATISTICS if one.name == "kept_cutoff")
    with opened(chromium, path) as page:
        button = page.get_by_role("button", name=label).first
        button.click()
        rising = column(page, label)
        assert rising[-1] == "–"
        numbers = [float(text.removeprefix("≥ ")) for text in rising[:-1]]
        assert numbers == sorted(numbers)
        assert any(text.startswith("≥ ") for text in rising)
        assert button.locator("..").get_attribute("aria-sort") == "ascending"
        button.click()
        falling = column(page, label)
        assert falling[:-1] == rising[:-1][::-1]
        assert falling[-1] == "–"
        assert button.locator("..").get_attribute("aria-sort") == "descending"
        page.get_by_role("button", name="encoder").first.click()
        assert column(page, "encoder") == sorted(NAMES)
        assert len(column(page, "encoder", 1)) == 3  # the other table stays as it was
        page.get_by_role("button", name="parameters (M)").first.press("Enter")
        numbers = [int(text.replace(",", "")) for text in column(page, "parameters (M)")[:-1]]
        assert numbers == sorted(numbers)


def test_worlds_are_apart_and_unknown_is_said(chromium, path):
    with opened(chromium, path) as page:
        assert page.locator("table.sortable").count() == 2
        assert "do not compare" in " ".join(page.locator("header").inner_text().split())
        assert page.locator("b", has_text="mine").count() == 0
        mine = page.locator("tr", has_text="<b>mine</b>").first
        assert "unknown" in mine.inner_text()
        assert page.locator("td[title^='2 of 3']").count() == 1
        assert "−0.125" in page.locator("main").inner_text()
        associated = page.locator("section").nth(1).locator("table").nth(1).inner_text()
        assert "too few encoders" in associated


def test_the_appearance_can_be_switched(chromium, path):
    with opened(chromium, path) as page:
        page.get_by_role("button", name="Dark appearance").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
