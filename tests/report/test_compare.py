import numpy as np
import pandas as pd
import pytest
from report_checks import assert_readable
from report_runs import THESIS, results, write_run
from test_heatmap import published
from typer.testing import CliRunner

from bandprobe.cli.app import app
from bandprobe.errors import InputError
from bandprobe.report import build
from bandprobe.report.arrangement import arrange
from bandprobe.report.compare import PUBLISHED, averages, compare, comparison_grids
from bandprobe.report.compare_figure import compare_figure
from bandprobe.report.run_directory import Run, prepare_results
from bandprobe.report.style import drawing

FAITHFUL = {
    "protocol": "thesis", "geometry": "squash:224",
    "encoders": [
        {"name": "dinov2-giant", "source": "dinov2-giant"},
        {"name": "openclip-vit-g-14", "source": "laion/CLIP-ViT-g-14-laion2B-s34B-b88K"},
    ],
}  # fmt: skip


def run_of(rows, record=None):
    from pathlib import Path

    return Run(Path(), prepare_results(rows), record or {})


def replica(noise=0.0):
    """The published grid as a run: our names, and `noise` added to every cell."""
    rows = published()
    names = {"DINOv2": "dinov2-giant", "OpenCLIP": "openclip-vit-g-14"}
    return rows.assign(
        encoder=rows["encoder"].map(names), value=rows["value"] + noise, low=rows["value"] - 0.01,
        high=rows["value"] + 0.01,
    )  # fmt: skip


def test_a_run_that_repeats_the_published_grid_differs_nowhere():
    found = compare(run_of(replica(), FAITHFUL), "thesis")
    assert len(found.cells) == 2 * 11 * 14
    assert np.allclose(found.cells["difference"], 0)
    assert found.remarks == ["`all` pools 11 generators here and 10 in the thesis."]
    means = averages(found)
    printed = pd.read_csv(PUBLISHED["thesis"])
    dino = printed[(printed["encoder"] == "DINOv2") & (printed["tested_on"] != "AVG")]
    cells = dino.drop(columns=["encoder", "tested_on", "AVG"]).to_numpy(float)
    assert means["theirs"][0] == pytest.approx(cells.mean() / 100)
    assert means["cells"].tolist() == [154, 154]


def test_cells_are_matched_by_name_and_not_by_place():
    shuffled = replica(0.02).sample(frac=1, random_state=0)
    shuffled["trained_on"] = shuffled["trained_on"].replace({"Diff-StyleGAN2": "diffusion_stylegan2"})
    found = compare(run_of(shuffled), "thesis")
    assert np.allclose(found.cells["difference"], 0.02)
    row = found.cells[
        (found.cells["encoder"] == "openclip-vit-g-14") & (found.cells["tested_on"] == "DDPM")
        & (found.cells["trained_on"] == "diffusion_stylegan2")
    ]  # fmt: skip
    assert row["theirs"].item() == pytest.approx(0.532)
    pooled = found.cells[
        (found.cells["trained_on"] == "family:diffusion") & (found.cells["tested_on"] == "ADM")
    ]
    assert pooled["theirs"].iloc[0] == pytest.approx(0.916)


def test_what_differs_besides_the_numbers_is_said():
    rows = replica().assign(dataset="photos", n_real=80, n_fake=40)
    extra = rows[rows["encoder"] == "dinov2-giant"].assign(encoder="spectral")
    record = {
        "protocol": "corrected", "geometry": "native",
        "encoders": [{"name": "dinov2-giant", "source": "/weights/mine"}, *FAITHFUL["encoders"][1:]],
    }  # fmt: skip
    said = " ".join(compare(run_of(pd.concat([rows, extra]), record), "thesis").remarks)
    for words in (
        "dinov2-giant come from '/weights/mine'; published are the numbers of facebook/dinov2-giant",
        "Data: photos; the thesis used LSUN Bedroom", "Test images of a class: 40 to 80; 10,000 in the thesis",
        "Geometry: native", "Protocol: corrected", "No published numbers for spectral.",
    ):  # fmt: skip
        assert words in said


def test_a_file_of_the_same_form(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("encoder,tested_on,ProGAN,AVG\nDinoV2 giant,progan,90.0,1\nDinoV2 giant,AVG,50,2\n")
    found = compare(run_of(replica()), str(path))
    assert len(found.cells) == 1
    assert found.cells["theirs"].item() == pytest.approx(0.9)
    assert found.name == "theirs"
    assert "not known here" in found.remarks[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "takes thesis or a CSV file"),
        ("a,b\n1,2\n", "is no table of published numbers"),
        ("encoder,tested_on,ProGAN\nDINOv2,ProGAN,ninety\n", "is no table of published numbers"),
        ("encoder,tested_on,ProGAN\nDINOv2,ProGAN,0.9\n", "per cent, 0 to 100"),
        ("encoder,tested_on,ProGAN\nother,ProGAN,90\n", "nothing to compare"),
        ("", "is no table of published numbers"),
    ],
)
def test_bad_input_is_one_line(tmp_path, content, words):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        compare(run_of(replica()), str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_and_its_nearest():
    with pytest.raises(InputError, match="Did you mean 'thesis'"):
        compare(run_of(replica()), "theses")


def test_the_figure_is_readable_and_shows_the_shared_cells():
    rows = prepare_results(replica(-0.3))
    found = compare(run_of(replica(-0.3)), "thesis")
    arrangement = arrange(rows)
    grids = comparison_grids(found, "dinov2-giant", arrangement.tests, arrangement.training)
    assert grids["ours"].shape == (11, 14)
    assert list(grids["ours"].columns)[-3:] == ["all", "family:gan", "family:diffusion"]
    assert np.allclose(grids["ours"] - grids["theirs"], grids["difference"])
    with drawing():
        figure = compare_figure(grids, "dinov2-giant", "thesis", arrangement)
        assert_readable(figure)
    assert figure.get_figwidth() <= 7.05
    with drawing():
        one = {name: grid.iloc[:1, :1] for name, grid in grids.items()}
        assert_readable(compare_figure(one, "dinov2-giant", "thesis", arrangement))


def test_the_command_writes_table_figures_and_section(tmp_path):
    generators = {name: (THESIS[name], "lsun-bedroom") for name in ("ProGAN", "DDPM")}
    table = results(["dinov2-giant"], generators, [("none", np.nan)], {"lsun-bedroom": (90, 90)},
                    information=False)  # fmt: skip
    run = write_run(tmp_path / "run", table, FAITHFUL)
    done = CliRunner().invoke(app, ["report", str(run), "--compare", "thesis", "--quiet"])
    assert done.exit_code == 0, done.output
    cells = pd.read_csv(run / "tables" / "compare-thesis.csv")
    assert len(cells) == 2 * 5  # trained on ProGAN, DDPM, all, and both families
    assert (run / "figures" / "compare-thesis-dinov2-giant.pdf").is_file()
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Beside the published numbers: thesis" in page
    assert "Test images of a class: 90; 10,000 in the thesis." in page
    build(run)  # without it the figures go
    assert not list((run / "figures").glob("compare-*"))
