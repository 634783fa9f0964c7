"""The page as its readers meet it: on a phone, in the dark, by keyboard, on paper, without scripts."""

from __future__ import annotations

import numpy as np
import pytest
from page_run import REFERENCE, Figure, opened, picture
from PIL import Image

from browser import LAPTOP, PHONE, serious_violations

FIGURES = ("grid", "curves", "matrix", "bands", "mmd", "entropy")
# Mean difference in grey levels of 255: another font or renderer stays below 2, a missing line of text or a
# shifted axis above 4.
TOLERANCE = 3.0


def background(page, name="grid"):
    return page.evaluate(
        "name => document.querySelector(`#figure-${name} .plot`)._fullLayout.paper_bgcolor", name
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_no_serious_violation_and_nothing_wider_than_the_screen(chromium, report, scheme, size):
    with opened(chromium, report[0], viewport=size, color_scheme=scheme) as page:
        for name in FIGURES:
            figure = Figure(page, name)
            figure.box.locator(".numbers summary").click()
            figure.box.locator(".numbers tbody tr").first.wait_for()
            assert background(page, name) == {"light": "#ffffff", "dark": "#16181b"}[scheme]
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_figures_are_drawn_when_they_come_near(chromium, report):
    with opened(chromium, report[0]) as page:
        page.wait_for_timeout(300)
        assert not page.locator("#figure-entropy[data-drawn]").count()
        Figure(page, "entropy")
        label = page.locator("#figure-entropy .plot").get_attribute("aria-label")
        assert "Effective rank against the low-pass cut-off" in label
        assert "numbers follow" in label


def test_keyboard_alone_skips_and_switches(chromium, report):
    with opened(chromium, report[0]) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#main"
        grid = Figure(page, "grid")
        grid.box.locator("select[name=metric]").focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "encoder"
        before = grid.traces[0]["z"]
        page.keyboard.press("ArrowDown")
        assert grid.box.locator("select[name=encoder]").input_value() == "enc-b"
        assert grid.traces[0]["z"] != before


def test_every_switch_is_a_native_control_with_a_label(chromium, report):
    with opened(chromium, report[0]) as page:
        for name in FIGURES:
            for control in Figure(page, name).box.locator("select, input").all():
                assert control.evaluate(
                    "one => one.labels.length === 1 && one.labels[0].textContent.trim() !== ''"
                )


def test_appearance_is_switched_for_this_visit_only(chromium, report):
    with opened(chromium, report[0]) as page:
        Figure(page, "grid")
        assert background(page) == "#ffffff"
        page.get_by_role("button", name="Dark appearance").click()
        assert background(page) == "#16181b"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
        page.get_by_role("button", name="Light appearance").click()
        assert background(page) == "#ffffff"
        page.get_by_role("button", name="Dark appearance").click()
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_paper_is_light_and_has_every_figure(chromium, report):
    with opened(chromium, report[0], color_scheme="dark") as page:
        Figure(page, "grid")
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        for name in FIGURES:
            assert page.locator(f"#figure-{name}[data-drawn]").count() == 1
            assert background(page, name) == "#ffffff"
            assert page.locator(f"#figure-{name} .numbers tbody tr").count() > 1
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".switches").first.is_visible()
        assert not page.get_by_role("button", name="appearance").is_visible()
        assert page.evaluate("[...document.querySelectorAll('details')].every((one) => one.open)")
        page.emulate_media(media="screen", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert background(page) == "#16181b"


def test_without_scripts_the_page_says_where_figures_and_numbers_lie(chromium, report):
    with opened(chromium, report[0], java_script_enabled=False) as page:
        words = page.locator("body").inner_text()
        assert "switched off" in words
        assert "figures/" in words
        assert "tables/" in words
        assert not page.locator(".interactive .card").first.is_visible()
        assert page.locator(".papers").first.is_visible()


def test_a_picture_of_the_page_is_the_one_kept(chromium, report):
    with opened(chromium, report[0]) as page:
        taken = np.asarray(picture(page), dtype=float)
        with Image.open(REFERENCE) as kept:
            difference = np.abs(taken - np.asarray(kept.convert("L"), dtype=float)).mean()
        assert difference < TOLERANCE
        Figure(page, "grid").choose(metric="PD@10%", encoder="enc-b")
        other = np.asarray(picture(page), dtype=float)
        assert np.abs(other - taken).mean() > TOLERANCE
