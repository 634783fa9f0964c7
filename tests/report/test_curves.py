import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from report_checks import assert_readable
from report_runs import PHOTOS, photo_results, results, sweep, thesis_results

from bandprobe.report.arrangement import arrange
from bandprobe.report.curves import can_draw, curve_rows, curves
from bandprobe.report.heatmap import AVG, transfer_grid
from bandprobe.report.measures import ACCURACY, AUROC
from bandprobe.report.run_directory import prepare_results
from bandprobe.report.style import drawing, family_marks

PX = [5, 20, 60, 150]
N = {"faces": (150, 150), "scenes": (180, 80)}


@pytest.fixture(scope="module")
def rows():
    return prepare_results(results(["e"], PHOTOS, sweep(PX), N))


def draw(rows, view="reliance", measure=AUROC, name="lowpass"):
    arrangement = arrange(rows)
    encoder = rows["encoder"].iloc[0]
    shown = curve_rows(rows, encoder, measure.name, name, view)
    assert can_draw(shown)
    with drawing():
        return curves(shown, encoder, measure, name, view, arrangement)


def panels(figure):
    return {
        a.get_gid().removeprefix("panel:"): a for a in figure.axes if (a.get_gid() or "").startswith("panel:")
    }


def lines(axes, prefix):
    return {
        line.get_gid().removeprefix(prefix): line
        for line in axes.lines
        if (line.get_gid() or "").startswith(prefix)
    }


@pytest.mark.parametrize("view", ["reliance", "information"])
def test_curve_holds_the_cut_offs_alone_and_controls_stand_right_of_it(rows, view):
    table = rows[rows["metric"] == "auroc"]
    for name, axes in panels(draw(rows, view)).items():
        drawn, controls = lines(axes, "curve:"), lines(axes, "controls:")
        assert set(drawn) == set(controls) == set(rows["test"])
        for test, line in drawn.items():
            mine = table[(table["trained_on"] == name) & (table["test"] == test)]
            trained = mine["filter"] if view == "information" else "none"
            mine = mine[mine["train_filter"] == trained].set_index("filter")
            np.testing.assert_allclose(line.get_xdata(), np.log10(PX))
            np.testing.assert_allclose(line.get_ydata(), [mine.loc[f"lowpass:{r}px", "value"] for r in PX])
            assert min(controls[test].get_xdata()) > max(line.get_xdata()) + 0.05
            assert sorted(controls[test].get_ydata()) == sorted(mine.loc[["none", "identity"], "value"])


def test_bands_are_the_intervals(rows):
    axes = panels(draw(rows))["StyleGAN2"]
    table = rows[
        (rows["metric"] == "auroc") & (rows["train_filter"] == "none") & (rows["trained_on"] == "StyleGAN2")
    ]
    wanted = table[table["test"] == "StyleGAN2 · faces"].set_index("filter")
    band = next(c for c in axes.collections if c.get_gid() == "band:StyleGAN2 · faces")
    corners = band.get_paths()[0].vertices
    for r in PX:
        at = corners[np.isclose(corners[:, 0], np.log10(r)), 1]
        low, high = wanted.loc[f"lowpass:{r}px", ["low", "high"]]
        assert (min(at), max(at)) == pytest.approx((low, high))


def test_panels_keep_the_heat_maps_order(rows):
    grid = transfer_grid(rows, "e", "auroc", arrange(rows))
    assert list(panels(draw(rows))) == [name for name in grid.columns if name != AVG]


def test_upper_axis_reads_as_fraction_of_nyquist(rows):
    axes = next(iter(panels(draw(rows)).values()))
    (above,) = axes.child_axes
    for place, label in zip(above.get_xticks(), above.get_xticklabels(), strict=True):
        assert 10**place / 112 == pytest.approx(float(label.get_text()))


def test_zones_end_at_0_15_and_0_5_of_nyquist(rows):
    axes = panels(draw(rows))["all"]
    edges = sorted({round(float(x), 6) for p in axes.patches for x in p.get_extents().transformed(
        axes.transData.inverted()).intervalx})  # fmt: skip
    assert np.log10([0.15 * 112, 0.5 * 112]) == pytest.approx(edges[1:3], abs=1e-4)


def test_mixed_grids_get_no_nyquist_axis(rows):
    mixed = rows.assign(cutoff_nyq=rows["cutoff_nyq"] * np.where(rows["dataset"] == "faces", 1, 2))
    assert all(not axes.child_axes for axes in panels(draw(mixed)).values())


def test_sources_of_one_family_share_hue_and_dashes_but_not_marker():
    marks = family_marks({"a": "gan", "b": "gan", "c": "diffusion", "d": "diffusion", "x": "unheard-of"})
    assert len({(m.colour, m.marker) for m in marks.values()}) == 5
    assert marks["a"].dashes == marks["b"].dashes != marks["c"].dashes
    assert marks["a"].marker != marks["b"].marker
    for name, strongest in (("a", 2), ("b", 2), ("c", 0), ("d", 0)):
        assert int(np.argmax(to_rgb(marks[name].colour))) == strongest
    twelve = family_marks({str(i): "gan" for i in range(12)})
    assert len({m.marker for m in twelve.values()}) == 12


def test_no_curve_without_two_cut_offs():
    one = prepare_results(results(["e"], PHOTOS, sweep([30]), N))
    assert not can_draw(curve_rows(one, "e", "auroc", "lowpass", "reliance"))


def test_sweep_without_controls_has_no_break():
    bare = prepare_results(results(["e"], PHOTOS, sweep(PX), N))
    bare = bare[bare["cutoff_px"].notna()]
    axes = panels(draw(bare))["all"]
    assert not lines(axes, "controls:")
    assert axes.get_xlim()[1] < np.log10(max(PX)) + 0.1


@pytest.mark.parametrize("measure", [AUROC, ACCURACY])
def test_nothing_is_clipped_or_overlaps_in_the_photo_study(measure):
    rows = prepare_results(photo_results(("spectral",)))
    with drawing():
        assert_readable(draw(rows, "information", measure))


def test_nothing_is_clipped_or_overlaps_in_a_thesis_size_grid():
    rows = prepare_results(thesis_results(("e",)))
    figure = draw(rows)
    assert len(panels(figure)) == 14
    with drawing():
        assert_readable(figure)


@pytest.mark.parametrize(("count", "pooled"), [(1, False), (3, False), (12, True)])
def test_from_one_panel_to_sixteen_with_long_names(count, pooled):
    families = ["gan", "diffusion", "autoregressive"]
    generators = {
        f"generator-with-a-really-long-name-{i}": (families[i % 3], "a-dataset-with-a-long-name")
        for i in range(count)
    }
    rows = prepare_results(
        results(["an-encoder/with-an-exceedingly-long-name-that-wraps-its-title-over-two-lines-of-the-figure"],
                generators, sweep(PX), {"a-dataset-with-a-long-name": (50, 50)}, pooled=pooled)
    )  # fmt: skip
    figure = draw(rows)
    assert len(panels(figure)) == (16 if pooled else count)
    with drawing():
        assert_readable(figure)


def test_a_family_has_one_colour_in_titles_lines_and_legends():
    from bandprobe.report.style import family_colour, family_marks

    names = {"a": "convolution", "b": "interpolation", "c": "interpolation"}
    titles = ["interpolation", "interpolation", "convolution", "pooled"]
    colours = {family: family_colour(family, titles) for family in names.values()}
    assert colours == {
        family: family_colour(family, sorted(set(names.values()))) for family in names.values()
    }
    assert len(set(colours.values())) == 2
    hues = {family: mpl.colors.rgb_to_hsv(mpl.colors.to_rgb(c))[0] for family, c in colours.items()}
    for name, mark in family_marks(names).items():
        hue = mpl.colors.rgb_to_hsv(mpl.colors.to_rgb(mark.colour))[0]
        assert abs(hue - hues[names[name]]) < 0.12
