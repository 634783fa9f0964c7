import numpy as np
import pandas as pd
import pytest
from report_checks import assert_readable, texts
from report_runs import minimal_results, photo_results, results, thesis_results

from bandprobe.report.arrangement import arrange
from bandprobe.report.compare import PUBLISHED
from bandprobe.report.heatmap import AVG, heatmap, transfer_grid
from bandprobe.report.measures import ACCURACY, AUROC
from bandprobe.report.run_directory import prepare_results
from bandprobe.report.style import drawing

GANS = ["ProGAN", "StyleGAN", "ProjectedGAN", "Diff-StyleGAN2", "Diff-ProjectedGAN"]


def published() -> pd.DataFrame:
    """The thesis's printed heat maps as a results table (accuracy in [0, 1])."""
    wide = pd.read_csv(PUBLISHED["thesis"])
    long = wide[wide["tested_on"] != "AVG"].drop(columns="AVG")
    long = long.melt(["encoder", "tested_on"], var_name="trained_on", value_name="value")
    family = dict.fromkeys(GANS, "gan") | {"coco": "other", "all": "", "gan": "", "diff": ""}
    renamed = {"gan": "family:gan", "diff": "family:diffusion"}
    return prepare_results(
        long.assign(
            family_from=long["trained_on"].map(family).fillna("diffusion"),
            family_to=long["tested_on"].map(family).fillna("diffusion"),
            trained_on=long["trained_on"].replace(renamed),
            value=long["value"] / 100, low=np.nan, high=np.nan, train_filter="none", filter="none",
            cutoff_px=np.nan, cutoff_nyq=np.nan, metric="accuracy", dataset="lsun-bedroom",
            n_real=10_000, n_fake=10_000,
        )
    )  # fmt: skip


def small(values: dict[tuple[str, str], float]) -> pd.DataFrame:
    """AUROC rows for given (tested_on, trained_on) pairs; names starting with d are diffusion."""
    family = lambda name: "" if name == "all" else "diffusion" if name.startswith("d") else "gan"  # noqa: E731
    return prepare_results(
        pd.DataFrame(
            {
                "encoder": "e", "trained_on": b, "train_filter": "none", "tested_on": a, "dataset": "x",
                "family_from": family(b), "family_to": family(a), "filter": "none", "cutoff_px": np.nan,
                "cutoff_nyq": np.nan, "metric": "auroc", "value": v, "low": v, "high": v, "n_real": 9,
                "n_fake": 9,
            }
            for (a, b), v in values.items()
        )
    )  # fmt: skip


def test_averages_are_of_the_cells_shown():
    rows = small(
        {("g1", "g1"): 0.9, ("g1", "d1"): 0.6, ("d1", "g1"): np.nan, ("d1", "d1"): 0.8, ("d1", "all"): 0.7}
    )
    grid = transfer_grid(rows, "e", "auroc", arrange(rows))
    assert list(grid.index) == ["g1", "d1", AVG]
    assert list(grid.columns) == ["g1", "d1", "all", AVG]
    assert grid.loc["g1", AVG] == pytest.approx((0.9 + 0.6) / 2)
    assert grid.loc["d1", AVG] == pytest.approx((0.8 + 0.7) / 2)
    assert grid.loc[AVG, "g1"] == pytest.approx(0.9)
    assert grid.loc[AVG, AVG] == pytest.approx((0.9 + 0.6 + 0.8 + 0.7) / 4)


@pytest.mark.parametrize("encoder", ["DINOv2", "OpenCLIP"])
def test_grid_gives_the_averages_printed_in_the_thesis(encoder):
    rows = published()
    grid = transfer_grid(rows, encoder, "accuracy", arrange(rows))
    printed = pd.read_csv(PUBLISHED["thesis"])
    printed = printed[printed["encoder"] == encoder].set_index("tested_on").drop(columns="encoder")
    printed = printed.rename(columns={"gan": "family:gan", "diff": "family:diffusion"})
    # Cells are printed to 0.1, so averages agree to 0.05 plus the rounding of the print. The printed
    # bottom row is no average of the printed cells (up to 0.4 off), so ours is checked on its own.
    assert grid.shape == (12, 15)
    cells = printed.drop(index=AVG)
    np.testing.assert_allclose(100 * grid.drop(index=AVG), cells.loc[grid.index[:-1], grid.columns], atol=0.1)
    for name in grid.columns[:-1]:
        assert 100 * grid.loc[AVG, name] == pytest.approx(sum(cells[name]) / 11)


def test_order_is_by_family_then_pooled_sets():
    rows = prepare_results(thesis_results(("e",)).sample(frac=1, random_state=0))
    grid = transfer_grid(rows, "e", "auroc", arrange(rows))
    assert set(grid.index[:5]) == set(GANS) == set(grid.columns[:5])
    assert list(grid.index[-2:]) == ["coco", AVG]
    assert list(grid.columns[10:]) == ["coco", "all", "family:gan", "family:diffusion", AVG]


def test_separators_stand_where_the_family_changes():
    rows = prepare_results(thesis_results(("e",)))
    arrangement = arrange(rows)
    with drawing():
        figure = heatmap(transfer_grid(rows, "e", "auroc", arrangement), "e", AUROC, arrangement)
    lines = {c.get_gid(): c.get_segments() for c in figure.axes[0].collections if hasattr(c, "get_segments")}
    cells = next(c for c in figure.axes[0].collections if c.get_gid() == "cells")
    boxes = [path.get_extents() for path in cells.get_paths()]
    lefts, tops = sorted({round(b.x0, 6) for b in boxes}), sorted({round(b.y0, 6) for b in boxes})
    # gan | diffusion | other | pooled | AVG in columns, gan | diffusion | other | AVG in rows
    for key, places, changes, axis in (
        ("separators-x", lefts, [5, 10, 11, 14], 0), ("separators-y", tops, [5, 10, 11], 1)
    ):  # fmt: skip
        at = [segment[0][axis] for segment in lines[key]]
        assert len(at) == len(changes)
        for place, change in zip(at, changes, strict=True):
            assert places[change - 1] + 1 < place < places[change]


def test_cells_print_their_values_and_blanks_a_dash():
    rows = small({("g1", "g1"): 0.9, ("g1", "d1"): 0.25, ("d1", "g1"): np.nan, ("d1", "d1"): 1.0})
    arrangement = arrange(rows)
    with drawing():
        figure = heatmap(transfer_grid(rows, "e", "auroc", arrangement), "e", AUROC, arrangement)
        words = [t.get_text() for t in texts(figure)]
    assert {"0.900", "0.250", "–", "1.000"} <= set(words)


def test_cell_text_contrasts_with_its_cell():
    rows = small({(f"g{i}", "g0"): 0.5 + i / 40 for i in range(21)})
    arrangement = arrange(rows)
    with drawing():
        figure = heatmap(transfer_grid(rows, "e", "auroc", arrangement), "e", AUROC, arrangement)
        figure.canvas.draw()
    cells = next(c for c in figure.axes[0].collections if c.get_gid() == "cells")

    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb[:3]]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    from matplotlib.colors import to_rgb

    values = [t for t in figure.axes[0].texts if t.get_text()[:1] in "01"]
    assert len(values) == len(cells.get_facecolor()) == 44
    for text, face in zip(values, cells.get_facecolor(), strict=True):
        light, dark = sorted((luminance(to_rgb(text.get_color())), luminance(face)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4


@pytest.mark.parametrize("make", [photo_results, thesis_results, minimal_results])
def test_nothing_is_clipped_or_overlaps(make):
    rows = prepare_results(make() if make is minimal_results else make(("e",)))
    arrangement = arrange(rows)
    encoder = rows["encoder"].iloc[0]
    for measure in (AUROC, ACCURACY):
        grid = transfer_grid(rows, encoder, measure.name, arrangement)
        with drawing():
            figure = heatmap(grid, encoder, measure, arrangement)
            assert_readable(figure)
        assert figure.get_figwidth() <= 7.05


def test_long_and_odd_names_stay_on_the_canvas():
    generators = {
        f"a-generator-whose-name-never-ends-and-goes-on_${i}": (family, "a dataset with a long name as well")
        for i, family in enumerate(
            ["gan", "diffusion", "autoregressive", "other", "a family nobody has heard of"]
        )
    }
    rows = prepare_results(
        results(["/a/long/path/to/a/folder/of/checkpoints/that/somebody/saved-with-a-name"], generators,
                [("none", np.nan)], {"a dataset with a long name as well": (90, 90)}, information=False)
    )  # fmt: skip
    arrangement = arrange(rows)
    grid = transfer_grid(rows, rows["encoder"].iloc[0], "auroc", arrangement)
    with drawing():
        assert_readable(heatmap(grid, rows["encoder"].iloc[0], AUROC, arrangement))
