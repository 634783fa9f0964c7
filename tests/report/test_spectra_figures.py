import numpy as np
import pytest
from report_checks import assert_readable
from report_runs import PHOTOS, THESIS, spectra

from bandprobe.errors import InputError
from bandprobe.metrics.spectrum_kinds import Kinds
from bandprobe.report.build import spectra_figures
from bandprobe.report.density_figure import density_figure
from bandprobe.report.figures import spectra_groups
from bandprobe.report.run_directory import SourceSpectra, read_spectra
from bandprobe.report.spectrum_figures import (
    COLUMN,
    SpectrumView,
    difference_figure,
    noise_floor,
    plane_figure,
)
from bandprobe.report.style import drawing


def load(tmp_path, generators):
    np.savez(tmp_path / "spectra.npz", **spectra(generators))
    found = read_spectra(tmp_path / "spectra.npz")
    assert found is not None
    return found


def lines(axes):
    return {
        line.get_gid().removeprefix("source:"): line
        for line in axes.lines
        if (line.get_gid() or "").startswith("source:")
    }


def test_reader_sorts_arrays_by_dataset_and_source(tmp_path):
    arrays = spectra(PHOTOS)
    found = load(tmp_path, PHOTOS)
    assert set(found.sources) == {"faces", "scenes"}
    assert set(found.sources["scenes"]) == {"Real", "DALLE-mini", "Disco-ADM", "LatentDiffusion"}
    np.testing.assert_array_equal(
        found.sources["faces"]["StyleGAN2"].planes["fft_hp"], arrays["faces/StyleGAN2/fft_hp"]
    )
    assert found.sources["faces"]["Real"].n == 100


def test_density_draws_power_and_ratio_to_the_reals(tmp_path):
    found = load(tmp_path, PHOTOS)
    sources = found.sources["scenes"]
    family = {name: of for name, (of, _) in PHOTOS.items()}
    with drawing():
        figure = density_figure("scenes", found.frequency_nyq, sources, family)
        assert_readable(figure)
    upper, lower = lines(figure.axes[0]), lines(figure.axes[1])
    assert upper["Real"].get_color() == "#000000"
    assert set(lower) == set(upper) - {"Real"}
    rings = slice(1, None)  # DC has no place on the axis
    np.testing.assert_allclose(upper["Disco-ADM"].get_ydata(), sources["Disco-ADM"].density[rings])
    by_hand = sources["Disco-ADM"].density[rings] / sources["Real"].density[rings] - 1
    np.testing.assert_allclose(lower["Disco-ADM"].get_ydata(), by_hand)


def test_density_without_reals_has_one_panel(tmp_path):
    found = load(tmp_path, PHOTOS)
    alone = {"StyleGAN2": found.sources["faces"]["StyleGAN2"]}
    with drawing():
        figure = density_figure("faces", found.frequency_nyq, alone, {"StyleGAN2": "gan"})
        assert_readable(figure)
    assert sum(bool(lines(axes)) for axes in figure.axes) == 1


def panels(figure):
    return {
        axes.get_gid().removeprefix("source:"): axes
        for axes in figure.axes
        if (axes.get_gid() or "").startswith("source:")
    }


@pytest.mark.parametrize(
    ("statistic", "key"),
    [("magnitude", "magnitude_hp"), ("coherent", "fft_hp")],
    ids=["magnitude", "coherent"],
)
@pytest.mark.parametrize("width", [7.0, COLUMN])
def test_panels_show_every_source(tmp_path, statistic, key, width):
    found = load(tmp_path, {name: (family, "lsun") for name, family in THESIS.items()})
    with drawing():
        figure = plane_figure("lsun", found.sources["lsun"], ("fft_hp", statistic), SpectrumView(width=width))
        assert_readable(figure)
    assert figure.get_size_inches()[0] == width
    assert len(panels(figure)) == 12
    plane = found.sources["lsun"]["ADM"].planes[key]
    drawn = panels(figure)["ADM"].images[0]
    np.testing.assert_allclose(drawn.get_array(), plane)
    assert drawn.norm.vmin <= np.quantile(plane, 0.01)
    assert drawn.norm.vmax >= np.quantile(plane, 0.99)
    if statistic == "coherent":
        assert (drawn.norm.vmin, drawn.norm.vmax) == (1e-5, 1e-1)


def test_scale_labels_and_order_as_asked_for(tmp_path):
    found = load(tmp_path, PHOTOS).sources["scenes"]
    sources = {name: found[name] for name in ("Disco-ADM", "Real", "DALLE-mini")}
    view = SpectrumView(log=False, vmin=0.001, vmax=0.02, labels={"Real": "LSUN"}, as_given=True)
    with drawing():
        figure = plane_figure("scenes", sources, ("fft_hp", "magnitude"), view, "lowpass:5px")
        assert_readable(figure)
    assert list(panels(figure)) == ["Disco-ADM", "Real", "DALLE-mini"]
    assert [axes.texts[0].get_text() for axes in panels(figure).values()] == [
        "Disco-ADM",
        "LSUN",
        "DALLE-mini",
    ]
    norm = panels(figure)["Real"].images[0].norm
    assert (norm.vmin, norm.vmax, type(norm).__name__) == (0.001, 0.02, "Normalize")
    assert any("Images under lowpass:5px." in text.get_text() for text in figure.texts)


def test_difference_is_generator_over_real_less_one(tmp_path):
    sources = load(tmp_path, PHOTOS).sources["scenes"]
    sources["Real"].planes["fft_hp"][0, 0] = 0
    with drawing():
        figure = difference_figure("scenes", sources, ("fft_hp", "coherent"))
        assert_readable(figure)
    shown = panels(figure)
    assert "Real" not in shown
    image = shown["Disco-ADM"].images[0]
    with np.errstate(divide="ignore"):
        by_hand = sources["Disco-ADM"].planes["fft_hp"] / sources["Real"].planes["fft_hp"] - 1
    np.testing.assert_allclose(image.get_array().filled(np.nan)[1:], by_hand[1:])
    assert np.ma.getmaskarray(image.get_array())[0, 0]
    assert (image.norm.vmin, image.norm.vmax) == (-1, 1)


def test_density_with_its_deviation_in_a_column(tmp_path):
    found = load(tmp_path, PHOTOS)
    sources = {
        name: SourceSpectra(density=of.density, density_std=of.density / 2)
        for name, of in found.sources["scenes"].items()
    }
    family = {name: of for name, (of, _) in PHOTOS.items()}
    view = SpectrumView(width=COLUMN, labels={"Real": "photographs"})
    with drawing():
        figure = density_figure("scenes", found.frequency_nyq, sources, family, view, deviation=True)
        assert_readable(figure)
    assert figure.get_size_inches()[0] == COLUMN
    dotted = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(dotted[0].get_ydata(), sources["Real"].density[1:] / 2)
    assert figure.axes[0].get_ylim() == (1e-5, 1e3)
    assert any(text.get_text() == "photographs" for axes in figure.axes for text in axes.texts)


def test_groups_show_what_is_asked_for_and_there(tmp_path):
    found = load(tmp_path, PHOTOS)
    family = {name: of for name, (of, _) in PHOTOS.items()}
    report = spectra_groups(found, family)
    assert [figure.stem for figure in report[1].figures] == [
        "spectrum-scenes-density", "spectrum-scenes-magnitude", "spectrum-scenes-coherent",
    ]  # fmt: skip
    asked = spectra_groups(found, family, Kinds.parse(["magnitude", "dct"]), SpectrumView(difference=True))
    assert [figure.stem for figure in asked[0].figures] == []  # the file holds no DCT
    asked = spectra_groups(found, family, Kinds.parse(["magnitude"]), SpectrumView(difference=True))
    assert [figure.stem for figure in asked[0].figures] == [
        "spectrum-faces-magnitude", "spectrum-faces-magnitude-difference",
    ]  # fmt: skip


def test_figures_of_earlier_spectra_go(tmp_path):
    load(tmp_path, {"ProGAN": ("gan", "faces")})
    (tmp_path / "spectrum-faces-dct-std.png").write_bytes(b"old")
    (tmp_path / "heatmap-x.png").write_bytes(b"another's")
    paths = spectra_figures(tmp_path, {"ProGAN": "gan"}, Kinds.parse(["fft_hp"]))
    assert [path.name for path in paths] == ["spectrum-faces-coherent.png"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "spectra.npz", "heatmap-x.png", "spectrum-faces-coherent.png", "spectrum-faces-coherent.pdf",
    }  # fmt: skip


def test_damaged_file_is_one_line(tmp_path):
    (tmp_path / "spectra.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_spectra(tmp_path / "spectra.npz")
    assert "\n" not in str(caught.value)


def test_zeros_and_one_source():
    plane = np.zeros((16, 16))
    plane[4, 4] = 0.02
    with drawing():
        for view in (SpectrumView(), SpectrumView(log=False)):
            figure = plane_figure(
                "d", {"Real": SourceSpectra(planes={"dct": plane})}, ("dct", "coherent"), view
            )
            figure.canvas.draw()
    assert figure.axes[0].images[0].norm.vmin == 0
    assert figure.axes[0].images[0].norm.vmax > 0


def test_noise_floor_is_what_unrelated_pictures_give():
    rng = np.random.default_rng(0)
    F = rng.standard_normal((64, 200, 200)) + 1j * rng.standard_normal((64, 200, 200))
    source = SourceSpectra(planes={"magnitude_hp": np.abs(F).mean(axis=0)}, n=64)
    assert noise_floor(source) == pytest.approx(np.abs(F.mean(axis=0)).mean(), rel=0.01)
    assert noise_floor(SourceSpectra(n=64)) is None
    floor = np.full((4, 4), 0.25)
    assert noise_floor(SourceSpectra(planes={"dct_floor": floor}), "dct") == 0.25
