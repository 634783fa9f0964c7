import base64
import importlib
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from report_runs import PHOTOS, minimal_results, photo_record, results, spectra, sweep, write_run

from bandprobe.errors import DiskError, InputError
from bandprobe.files import write_whole
from bandprobe.report import build
from bandprobe.report.figure_images import embed_images
from bandprobe.report.figures import PlannedFigure
from bandprobe.report.slugs import slug, unique_slugs

PX = [5, 60]
FIGURE_FILE = re.compile(r"figures/[A-Za-z0-9-]+\.(png|pdf)")
LOADING = {"src", "srcset", "href", "poster", "data", "action", "background", "xlink:href", "formaction"}


class Page(HTMLParser):
    """Tags with their attributes, and the text inside each tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside: list[str] = []
        self.words: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in {"meta", "link", "img", "br", "input"}:
            self.inside.append(tag)

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        if self.inside and data.strip():
            self.words.setdefault(self.inside[-1], []).append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(
            " ".join(words) for tag, words in self.words.items() if tag not in {"style", "script"}
        )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    sizes = {"faces": (150, 150), "scenes": (180, 80)}
    table = results(["spectral"], PHOTOS, sweep(PX), sizes, pooled=False)
    write_run(folder, table, photo_record(), spectra(PHOTOS, 32))
    (folder / "left-out.csv").write_text("path,reason\nfaces/x.png,truncated file\n", encoding="utf-8")
    page = build(folder)
    return folder, table, page, Page(page.read_text(encoding="utf-8"))


def test_one_file_that_loads_nothing(study):
    folder, _, path, page = study
    assert path == folder / "report.html"
    assert path.stat().st_size < 10e6
    for tag, attributes in page.tags:
        for name in LOADING & set(attributes):
            if tag == "a" and FIGURE_FILE.fullmatch(attributes[name]):  # is followed, not loaded
                assert (folder / attributes[name]).is_file()
            else:
                assert attributes[name].startswith(("data:", "#")), (tag, name)
    text = path.read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.search(r"url\((?!['\"]?data:)", text)
    assert not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", text)
    assert not re.search(r"https?://", text)
    assert page.inside == []


def test_anchors_lead_somewhere_and_headings_do_not_skip(study):
    page = study[3]
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        assert attributes["href"][1:] in ids or FIGURE_FILE.fullmatch(attributes["href"])
    for _, attributes in page.tags:
        assert attributes.get("aria-labelledby", ids[0]) in ids
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_figure_is_there_linked_or_embedded_and_described(study):
    folder, _, _, page = study
    images = [one for one in page.all("img") if "width" in one and one["alt"]]
    files = {path.stem for path in (folder / "figures").glob("*.png")}
    assert files == {path.stem for path in (folder / "figures").glob("*.pdf")}
    # 3 measures x (heat map, reliance, information), and 3 spectra for each of 2 datasets
    assert len(files) == 3 * 3 + 2 * 3
    assert {"heatmap-spectral-auroc", "heatmap-spectral-pd10", "curves-spectral-accuracy-lowpass-information",
            "spectrum-scenes-coherent"} <= files  # fmt: skip
    linked = {one["href"] for one in page.all("a") if FIGURE_FILE.fullmatch(one["href"])}
    # What an interactive figure shows is linked; the spectra are embedded.
    drawn = {name for name in files if not name.startswith("spectrum-")}
    assert linked == {f"figures/{name}.{kind}" for name in drawn for kind in ("png", "pdf")}
    assert len(images) == 6
    assert "Heat map of AUROC for spectral: 4 test by 4 training sets." in page.text
    assert {one["id"] for one in page.all("figure") if "id" in one} == {"figure-grid", "figure-curves"}
    for attributes in images:
        assert len(attributes["alt"]) > 40
        kind, _, data = attributes["src"].partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            picture = np.asarray(image.convert("L"), dtype=float)
        assert picture.std() > 8
        ratio = int(attributes["width"]) / int(attributes["height"])
        assert ratio == pytest.approx(picture.shape[1] / picture.shape[0], rel=0.01)
    assert len({a["alt"] for a in images}) == len(images)


def test_pngs_are_200_dpi_at_page_width_and_pdfs_are_vector(study):
    figures = study[0] / "figures"
    for path in figures.glob("*.png"):
        with Image.open(path) as image:
            assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
            assert image.width <= 7.05 * 200
    pdf = (figures / "curves-spectral-auroc-lowpass-reliance.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf  # type is type, not pixels
    assert b"/Subtype /Image" not in pdf


def test_headline_numbers_are_the_means_of_the_table(study):
    _, table, _, page = study
    rows = table[
        (table["encoder"] == "spectral") & (table["metric"] == "auroc") & (table["filter"] == "none")
    ]
    rows = rows[(rows["train_filter"] == "none") & rows["trained_on"].isin(PHOTOS)]
    own = rows[rows["trained_on"] == rows["tested_on"]]
    across = rows[rows["family_from"] != rows["family_to"]]
    for part in (own, across):
        value, low, high = part[["value", "low", "high"]].mean()
        assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in page.words["td"]


def test_page_says_what_to_beware_of(study):
    text = study[3].text
    for words in (
        "dinov2-tiny has random weights", "PD@10% is shown in place of PD@1%", "PD@1% needs 1,000 reals",
        "DALLE-mini · scenes (180 real, 80 generated)", "Fewer than five generators", "2 images left out",
        "truncated file", "train and test on different datasets", "29,200 done, 1,460 saved",
    ):  # fmt: skip
        assert words in text
    assert "geometry = native" not in text


def test_tables_are_written(study):
    folder = study[0]
    written = {
        path.stem: pd.read_csv(path) for path in (folder / "tables").glob("*.csv") if path.stat().st_size > 2
    }
    assert {"transfer-auroc", "transfer-accuracy", "families-auroc", "cutoffs", "counts", "energy"} <= set(
        written
    )
    assert len(written["transfer-auroc"]) == 4 * 4
    assert len(written["energy"]) == len(PX)
    assert set(written["cutoffs"]["view"]) == {"reliance", "information"}


def test_nothing_half_written_is_left_and_a_rebuild_is_identical(study, tmp_path):
    assert not list(study[0].rglob("*.part"))
    write_run(tmp_path, minimal_results(), photo_record(), spectra({"ProGAN": ("gan", "faces")}, 16))
    contents = []
    for _ in range(2):
        build(tmp_path)
        contents.append({p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 15


def test_minimal_run_has_sentences_where_figures_cannot_be(tmp_path):
    page = Page(build(write_run(tmp_path, minimal_results())).read_text(encoding="utf-8"))
    assert page.all("img") == []
    assert sorted(path.name for path in (tmp_path / "figures").glob("*.png")) == [
        "heatmap-spectral-accuracy.png", "heatmap-spectral-auroc.png"
    ]  # fmt: skip
    assert [one.get("id") for one in page.all("figure")] == ["figure-grid"]
    assert "PD@1%, PD@5% and PD@10% are blank everywhere: PD@1% needs 1,000 reals" in page.text
    assert "not measured" in page.text
    assert "no such pair" in page.text


def test_native_geometry_makes_no_cut_off_claim_across_encoders(tmp_path):
    table = results(
        ["a", "b"], PHOTOS, sweep([5, 60]), {"faces": (9, 9), "scenes": (9, 9)}, information=False
    )
    table = table[table["metric"] == "auroc"]
    native = write_run(tmp_path / "native", table, {"geometry": "native"})
    page = Page(build(native).read_text(encoding="utf-8"))
    assert "no cut-off is compared across encoders" in page.text
    assert "95 % kept, reliance" not in page.text
    assert "No information curve" in page.text


def test_names_cannot_inject_markup(tmp_path):
    table = minimal_results().replace({"ProGAN": "<script>alert(1)</script>", "spectral": '"><img src=x>'})
    page = Page(build(write_run(tmp_path, table)).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert all(a["src"].startswith("data:") for a in page.all("img"))
    assert "<script>alert(1)</script>" in page.text


def test_missing_or_damaged_results_are_one_line_with_the_way_out(tmp_path):
    with pytest.raises(InputError) as caught:
        build(tmp_path)
    assert "results.parquet is missing" in str(caught.value)
    assert "bandprobe study" in str(caught.value)
    (tmp_path / "results.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"results\.parquet cannot be read"):
        build(tmp_path)
    write_run(tmp_path, minimal_results().drop(columns=["low", "high"]))
    with pytest.raises(InputError, match="lacks the columns low, high"):
        build(tmp_path)
    write_run(tmp_path, minimal_results().iloc[:0])
    with pytest.raises(InputError, match="holds no row"):
        build(tmp_path)
    write_run(tmp_path, minimal_results())
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json is not JSON") as caught:
        build(tmp_path)
    assert "\n" not in str(caught.value)


def test_optional_columns_may_be_missing(tmp_path):
    table = minimal_results().drop(columns=["reason", "ac_removed"])
    assert (
        "the results give no reason"
        in Page(build(write_run(tmp_path, table)).read_text(encoding="utf-8")).text
    )


def test_unwritable_folder_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot be written"):
        write_whole(tmp_path / "file" / "x.txt", b"")


def test_images_shrink_together_to_the_budget(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(0, 255, (300, 400, 3), dtype=np.uint8)).save(paths[-1])
    full = embed_images(paths)
    taken = sum(len(image.address) for image in full)
    less = embed_images(paths, budget=taken // 2)
    assert sum(len(image.address) for image in less) <= taken // 2
    assert [(i.width, i.height) for i in less] == [
        (i.width, i.height) for i in full
    ]  # shown at the same size


def test_slugs():
    assert slug("facebook/dinov2-small") == "facebook-dinov2-small"
    assert slug("../..") == "unnamed"
    assert unique_slugs(["a/b", "a:b", "A-B"]) == {"a/b": "a-b", "a:b": "a-b-2", "A-B": "A-B-3"}


def test_figures_lie_where_the_run_is_though_its_workers_began_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("bandprobe.report.build")
    monkeypatch.setattr(module, "cores", lambda: 2)
    planned = [PlannedFigure(f"curves-{number}", "", "", "", Figure) for number in range(16)]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        paths = module._draw(planned, Path("run/figures"))
        assert paths == [Path(f"run/figures/curves-{number}.png") for number in range(16)]
        assert all(path.is_file() and path.with_suffix(".pdf").is_file() for path in paths)
