"""The first screen: what was asked on what, verdicts with intervals, whether it holds, what to beware of."""

from __future__ import annotations

import pandas as pd
import pytest
from page_run import opened
from picture_run import EVIL
from report_runs import minimal_results, photo_record, photo_results, thesis_results, write_run

from bandprobe.report import tables
from bandprobe.report.arrangement import arrange
from bandprobe.report.first_screen import audit_cautions, summary
from bandprobe.report.run_directory import Run, prepare_results
from bandprobe.report.summary import headlines
from browser import LAPTOP, PHONE


def screen(table, record=None, cautions=(), audit=None, detection=""):
    """The first screen of a table of results."""
    results = prepare_results(table)
    run, arrangement = Run(None, results, record or {}), arrange(results)
    families = tables.family_table(results, "auroc")
    lines = headlines(results, families, tables.cutoff_table(results, arrangement))
    traces, together = audit_cautions(audit)
    return summary(run, arrangement, lines, families, detection, together, traces, list(cautions)), results


def with_transfer(own, across):
    """Two families whose probes have AUROCs as given, with interval ends."""
    table = thesis_results(("one",)).query("metric == 'auroc' and filter == 'none'").copy()
    table = table[~table["trained_on"].str.startswith("family:") & (table["trained_on"] != "all")]
    same = table["family_from"] == table["family_to"]
    for name, mine, theirs in zip(("value", "low", "high"), own, across, strict=True):
        table[name] = same.map({True: mine, False: theirs})
    return table


def test_facts_say_what_it_is_about():
    found, _ = screen(photo_results(), photo_record())
    counts = photo_record()["data"]["counts"]
    total = sum(row["n"] for row in counts)
    real = sum(row["n"] for row in counts if row["generator"] == "Real")
    assert found.facts == [
        ("Images", f"{total:,}: {real} real, {total - real} generated"),
        ("Generators", "4: 1 GAN, 2 diffusion, 1 autoregressive"),
        ("Encoders", "spectral, dinov2-tiny, clip-tiny"),
        ("Filters", "38 low-pass, none, identity"),
        ("Probes", "8 training sets, each encoder"),
    ]
    assert ("Images", "40 real, 40 generated for test") in screen(minimal_results())[0].facts


@pytest.mark.parametrize(
    ("own", "across", "begins"),
    [
        (
            (0.97, 0.95, 0.98),
            (0.70, 0.66, 0.74),
            "In part: on generators of other families, AUROC 0.700 [0.660",
        ),
        (
            (0.97, 0.95, 0.98),
            (0.53, 0.48, 0.58),
            "Not on generators of other families: there, AUROC 0.530 [0.480",
        ),
        (
            (0.97, 0.95, 0.98),
            (0.96, 0.94, 0.975),
            "As far as these generators tell: on other families, AUROC 0.960",
        ),
    ],
)
def test_whether_it_holds_is_one_sentence_with_its_interval(own, across, begins):
    found, _ = screen(with_transfer(own, across))
    assert found.holds.startswith(begins)
    assert found.holds.count(".") == found.holds.count("0.") + 1


def test_the_best_encoder_across_families_is_named_and_no_pair_says_so():
    best = with_transfer((0.9, 0.88, 0.92), (0.8, 0.77, 0.83)).assign(encoder="best")
    other = with_transfer((0.99, 0.98, 0.995), (0.7, 0.66, 0.74)).assign(encoder="other")
    found, _ = screen(pd.concat([other, best]))
    assert "AUROC 0.800 [0.770, 0.830] for best, the best here" in found.holds
    assert found.rows[1][0] == "best"
    assert [(n.value, n.interval) for n in found.rows[1][1]] == [
        ("0.900", "[0.880, 0.920]"), ("0.800", "[0.770, 0.830]"),
    ]  # fmt: skip
    assert "cannot say" in screen(minimal_results())[0].holds


def test_cautions_are_few_and_the_rest_are_counted():
    audit = pd.DataFrame(
        {
            "trace": ["metadata", "pixel traces", "format", "size"], "dataset": "d", "auroc": [0.9, 0.6, 0.8, 0.5],
            "low": [0.8, 0.55, 0.7, 0.4], "high": [0.95, 0.7, 0.9, 0.6],
            "warning": ["files tell", "pixels tell", "format differs", ""],
        }
    )  # fmt: skip
    found, _ = screen(minimal_results(), audit=audit, cautions=["first", "second", "third"])
    assert found.cautions == [
        "d: files tell (AUROC 0.900 [0.800, 0.950]).", "d: pixels tell (AUROC 0.600 [0.550, 0.700]).", "first",
    ]  # fmt: skip
    assert found.left == 3  # the format's warning, and two of the run
    assert screen(minimal_results())[0].cautions == []


def test_claims_stand_on_a_line_each_and_say_why_on_demand(chromium, pictured):
    with opened(chromium, pictured.page) as page:
        lines = page.locator(".verdicts li")
        assert lines.count() == 2
        first = lines.first
        assert [first.locator(".verdict").inner_text(), first.locator(".found").inner_text()] == [
            "undecided", "0.020 [−0.010, 0.050] > 0.05?",
        ]  # fmt: skip
        assert first.locator(".said").inner_text().startswith("a <b>claim</b>")
        assert first.bounding_box()["height"] < 30  # one line
        reason = first.get_by_text("the interval holds the margin")
        assert not reason.is_visible()
        first.locator("summary").focus()
        page.keyboard.press("Enter")
        assert reason.is_visible()
        assert page.locator("#summary .beware").inner_text().count("AUROC 0.900 [0.850, 0.940]") == 1


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_summary_is_one_screen_and_its_links_lead_somewhere(chromium, pictured, size):
    with opened(chromium, pictured.page, viewport=size) as page:
        box = page.locator("#summary").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        if size is LAPTOP:
            assert box["y"] + box["height"] <= size["height"]
        for link in page.locator("#summary a").all():
            assert page.locator(link.get_attribute("href")).count() == 1


def test_thirteen_claims_and_three_encoders_still_fit_a_laptop(chromium, tmp_path):
    generators = {"a": ("gan", "d"), "b": ("diffusion", "d")}
    from page_run import build_page
    from report_runs import results

    table = results(["spectral", "some-dino", "some-clip"], generators, [("none", float("nan"))], {"d": (200, 200)},
                    information=False, pooled=False)  # fmt: skip
    folder = write_run(tmp_path, table, photo_record())
    row = "{0} is stronger than the other,what was measured and how in words,0.04,0.03,0.06,0.05,undecided,why,one,x\n"
    (folder / "claims.csv").write_text(
        "claim,statistic,value,low,high,margin,verdict,reason,dino,clip\n"
        + "".join(row.format(f"DINO’s claim of number {n}") for n in range(13)),
        encoding="utf-8",
    )
    with opened(chromium, build_page(folder)) as page:
        box = page.locator("#summary").bounding_box()
        assert box["y"] + box["height"] <= LAPTOP["height"]
        assert page.locator(".verdicts li").count() == 13


def test_names_are_text(pictured):
    text = pictured.page.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "<b>claim</b>" not in text
