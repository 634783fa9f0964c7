"""The grid and the curves of the page in a browser: every switch against the tables that the run wrote."""

from __future__ import annotations

import re
from itertools import cycle, product

import pytest
from page_run import ENCODERS, GENERATORS, MARKED, PX, SAFE, Figure, label_of
from report_runs import NYQUIST_PX

FAMILY = {"GAN": ["StyleGAN2"], "diffusion": ["Disco-ADM", MARKED], "autoregressive": ["DALLE-mini"]}


def cell(table, encoder, metric, train, spec, trained, tested):
    """One row of the results, found without the page's code."""
    return table.loc[(encoder, metric, train, spec, trained, tested)]


def shown(figure):
    """Values of the grid by (trained on, tested on), averages left out."""
    traces, layout = figure.traces, figure.layout
    columns, rows = (layout[axis]["ticktext"] for axis in ("xaxis", "yaxis"))
    back = {
        "all GAN": "family:gan",
        "all diffusion": "family:diffusion",
        "all autoregressive": "family:autoregressive",
    }
    tested = {name[:5]: name for name in GENERATORS}
    return {
        (back.get(column, tested.get(column[:5], column)), tested[row[:5]]): value
        for row, line in zip(rows, traces[0]["z"], strict=True) if row != "AVG"
        for column, value in zip(columns, line, strict=True) if column != "AVG"
    }  # fmt: skip


def test_grid_shows_the_value_of_every_switch(page, report):
    table = report[1]
    grid = Figure(page, "grid")
    names = {"AUROC": "auroc", "Accuracy": "accuracy", "PD@10%": "pd@10%"}
    under = {
        "unfiltered (reliance)": "none",
        "under the filter they meet (information)": None,
        "under lowpass:12px": "lowpass:12px",
    }
    specs = {"lowpass:40px (0.36 Nyquist)": "lowpass:40px", "highpass:90px (0.8 Nyquist)": "highpass:90px"}
    assert set(grid.options("train")) == set(under)
    assert len(grid.options("filter")) == 10
    turns = zip(product(under.items(), specs.items()), cycle(ENCODERS), cycle(names.items()), strict=False)
    for ((train, trained), (label, spec)), encoder, (metric, name) in turns:
        values = shown(grid.choose(encoder=encoder, metric=metric, train=train, filter=label))
        assert len(values) == (4 if trained == "lowpass:12px" else 8) * 4
        for (probe, test), value in values.items():
            expected = cell(table, encoder, name, trained or spec, spec, probe, test)["value"]
            assert value == pytest.approx(expected, abs=2e-5)
    words = grid.box.locator(".shown").text_content()
    for part in ("PD@10% (%)", "enc-b", "trained under lowpass:12px", "highpass:90px"):
        assert part in words


def test_grid_takes_away_what_is_asked(page, report):
    table = report[1]
    grid = Figure(page, "grid").choose(filter="lowpass:12px (0.11 Nyquist)")
    for label, other in (
        ("enc-b", {"encoder": "enc-b"}),
        ("tested under none", {"spec": "none"}),
        ("trained under the filter they meet (information)", {"train": "lowpass:12px"}),
    ):
        values = shown(grid.choose(less=label))
        for (probe, test), value in values.items():
            base = {"encoder": "enc-a", "train": "none", "spec": "lowpass:12px"}
            ours, theirs = (
                cell(table, of["encoder"], "auroc", of["train"], of["spec"], probe, test)["value"]
                for of in (base, base | other)
            )
            assert value == pytest.approx(ours - theirs, abs=5e-5)
        least, most = grid.traces[0]["zmin"], grid.traces[0]["zmax"]
        assert least == -most < 0
    grid.choose(less="nothing: show values")
    assert grid.traces[0]["zmin"] == 0.5


def test_hovering_a_cell_tells_interval_and_images(page, report):
    grid = Figure(page, "grid").choose(encoder="enc-b")
    columns, rows = (grid.layout[axis]["ticktext"] for axis in ("xaxis", "yaxis"))
    said = grid.hover(
        columns.index("Disco-ADM"), next(i for i, row in enumerate(rows) if row.startswith("Style"))
    )
    row = cell(report[1], "enc-b", "auroc", "none", "none", "Disco-ADM", "StyleGAN2")
    assert f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in said
    assert "trained on Disco-ADM" in said
    assert "tested on StyleGAN2" in said
    assert "150 real, 150 fake" in said


def test_blank_cells_say_why(page):
    grid = Figure(page, "grid").choose(metric="PD@1%")
    assert all(value is None for value in shown(grid).values())
    assert "blank: PD@1% needs 1,000 reals" in grid.hover(0, 0)
    assert "Blank: PD@1% needs 1,000 reals." in grid.box.locator(".remark").text_content()


def test_names_are_shown_letter_by_letter(page):
    grid = Figure(page, "grid")
    assert any(text == SAFE for text in grid.layout["xaxis"]["ticktext"])
    drawn = grid.box.locator(".xtick text").all_text_contents()
    assert MARKED in drawn
    assert grid.box.locator(".xtick i, .xtick [style*=italic]").count() == 0


def test_families_are_parted_and_own_generators_framed(page):
    shapes = Figure(page, "grid").layout["shapes"]
    frames = [shape for shape in shapes if shape["type"] == "rect"]
    parts = [shape for shape in shapes if shape["type"] == "line" and shape.get("yref") != "paper"]
    own = 4 + 4 + sum(len(members) for members in FAMILY.values())  # one each, all, the families
    assert len(frames) == 2 * own  # a dark frame in a light one
    # GAN, diffusion, autoregressive | pooled | averages along x; the same without pooled along y
    assert len(parts) == 4 + 3


def expected_curve(table, encoder, metric, sweep, trained, tested, information=False):
    return {
        float(px): cell(table, encoder, metric, f"{sweep}:{px}px" if information else "none", f"{sweep}:{px}px",
                        trained, tested)["value"]
        for px in PX
    }  # fmt: skip


def close(found, expected, scale=1.0):
    assert list(found) == pytest.approx([x * scale for x in expected], rel=1e-6)
    assert list(found.values()) == pytest.approx(list(expected.values()), abs=2e-5)


def test_curves_follow_their_switches(page, report):
    table = report[1]
    curves = Figure(page, "curves")
    own = curves.lines()
    assert len(own) == 4
    for name in GENERATORS:
        close(
            own[SAFE if name == MARKED else name],
            expected_curve(table, "enc-a", "auroc", "lowpass", name, name),
        )
    curves.choose(lines="trained on Disco-ADM", encoder="enc-b", metric="Accuracy", sweep="high-pass")
    for name in GENERATORS:
        close(
            curves.lines()[label_of(name)],
            expected_curve(table, "enc-b", "accuracy", "highpass", "Disco-ADM", name),
        )
    curves.choose(train="under the filter they meet (information)", unit="fraction of Nyquist")
    for name in GENERATORS:
        expected = expected_curve(table, "enc-b", "accuracy", "highpass", "Disco-ADM", name, information=True)
        close(curves.lines()[label_of(name)], expected, 1 / NYQUIST_PX)
    curves.choose(lines=f"tested on {MARKED} · scenes", train="unfiltered (reliance)", unit="px")
    lines = curves.lines()
    assert len(lines) == 8
    close(lines["all GAN"], expected_curve(table, "enc-b", "accuracy", "highpass", "family:gan", MARKED))


def test_controls_stand_apart_with_their_intervals(page, report):
    curves = Figure(page, "curves").choose(lines="trained on StyleGAN2")
    controls = [trace for trace in curves.traces if trace.get("meta") == "control"]
    assert len(controls) == 4
    for trace in controls:
        assert trace["mode"] == "markers"
        assert trace["xaxis"] == "x2"
    of = {trace["name"]: trace for trace in controls}["StyleGAN2 · faces"]
    for i, spec in enumerate(("none", "identity")):
        row = cell(report[1], "enc-a", "auroc", "none", spec, "StyleGAN2", "StyleGAN2")
        assert of["y"][i] == pytest.approx(row["value"], abs=2e-5)
        assert of["error_y"]["array"][i] == pytest.approx(row["high"] - row["value"], abs=5e-5)
        assert of["error_y"]["arrayminus"][i] == pytest.approx(row["value"] - row["low"], abs=5e-5)
    assert curves.layout["xaxis2"]["ticktext"] == ["none", "identity"]
    assert curves.layout["xaxis"]["domain"][1] < curves.layout["xaxis2"]["domain"][0]


def test_interval_bands_come_and_go(page, report):
    curves = Figure(page, "curves").choose(lines="trained on StyleGAN2")
    bands = [trace for trace in curves.traces if trace.get("meta") == "band"]
    assert len(bands) == 4
    rows = [
        cell(report[1], "enc-a", "auroc", "none", f"lowpass:{px}px", "StyleGAN2", "StyleGAN2") for px in PX
    ]
    ends = [row["high"] for row in rows] + [row["low"] for row in reversed(rows)]
    assert bands[0]["y"] == pytest.approx(ends, abs=5e-5)
    curves.box.get_by_label("95 % intervals").uncheck()
    assert not [trace for trace in curves.traces if trace.get("meta") == "band"]


def test_hovering_a_curve_tells_interval_and_images(page, report):
    curves = Figure(page, "curves").choose(lines="every probe on its own generator")
    row = cell(report[1], "enc-a", "auroc", "none", "lowpass:4px", "StyleGAN2", "StyleGAN2")
    said = curves.hover(4, row["value"])
    found = re.search(r"trained on (\S+)", said)
    assert found
    row = cell(report[1], "enc-a", "auroc", "none", "lowpass:4px", found[1], found[1])
    assert f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in said
    assert f"{row['n_real']} real, {row['n_fake']} fake" in said


def test_families_and_lines_are_switched(page):
    curves = Figure(page, "curves").choose(lines="trained on StyleGAN2")
    every = set(curves.lines())
    diffusion = {label_of(name) for name in FAMILY["diffusion"]}
    curves.box.locator(".key .family", has_text="diffusion").locator("input").uncheck()
    assert set(curves.lines()) == every - diffusion
    curves.box.get_by_role("checkbox", name="Disco-ADM · scenes").check()
    assert set(curves.lines()) == (every - diffusion) | {"Disco-ADM · scenes"}
    curves.choose(encoder="enc-b")  # what is switched off stays so
    assert set(curves.lines()) == (every - diffusion) | {"Disco-ADM · scenes"}


def test_numbers_of_a_figure_are_a_table(page, report):
    grid = Figure(page, "grid")
    grid.box.locator(".numbers summary").click()
    grid.box.locator(".numbers tbody tr").first.wait_for()
    head = grid.box.locator(".numbers thead th").all_text_contents()
    body = {row.locator("th").text_content(): row.locator("td").all_text_contents()
            for row in grid.box.locator(".numbers tbody tr").all()}  # fmt: skip
    assert head[1:5] == ["StyleGAN2", "Disco-ADM", MARKED, "DALLE-mini"]
    row = cell(report[1], "enc-a", "auroc", "none", "none", "Disco-ADM", "StyleGAN2")
    assert body["StyleGAN2 · faces"][1] == f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    grid.choose(encoder="enc-b")
    row = cell(report[1], "enc-b", "auroc", "none", "none", "Disco-ADM", "StyleGAN2")
    assert (
        grid.box.locator(".numbers tbody tr")
        .first.locator("td")
        .nth(1)
        .text_content()
        .startswith(f"{row['value']:.3f}")
    )
