import numpy as np
import pytest
from report_checks import assert_readable
from report_runs import PHOTOS, THESIS, spectra

from bandprobe.report.density_figure import density_figure
from bandprobe.report.residual_figure import noise_floor, residual_figure
from bandprobe.report.run_directory import SourceSpectra, read_spectra
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
        found.sources["faces"]["StyleGAN2"].coherent, arrays["faces/StyleGAN2/fft_hp"]
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


@pytest.mark.parametrize("residual", ["magnitude", "coherent"])
def test_residual_panels_show_every_source(tmp_path, residual):
    found = load(tmp_path, {name: (family, "lsun") for name, family in THESIS.items()})
    with drawing():
        figure = residual_figure("lsun", found.sources["lsun"], residual)
        assert_readable(figure)
    shown = [axes for axes in figure.axes if (axes.get_gid() or "").startswith("source:")]
    assert len(shown) == 12
    plane = getattr(found.sources["lsun"]["ADM"], residual)
    drawn = next(axes for axes in shown if axes.get_gid() == "source:ADM").images[0]
    np.testing.assert_allclose(drawn.get_array(), plane)
    assert drawn.norm.vmin <= np.quantile(plane, 0.01)
    assert drawn.norm.vmax >= np.quantile(plane, 0.99)


def test_residual_with_zeros_and_one_source():
    plane = np.zeros((16, 16))
    plane[4, 4] = 0.02
    with drawing():
        figure = residual_figure("d", {"Real": SourceSpectra(coherent=plane)}, "coherent")
        figure.canvas.draw()
    assert figure.axes[0].images[0].norm.vmin >= 1e-5


def test_noise_floor_is_what_unrelated_pictures_give():
    rng = np.random.default_rng(0)
    F = rng.standard_normal((64, 200, 200)) + 1j * rng.standard_normal((64, 200, 200))
    source = SourceSpectra(magnitude=np.abs(F).mean(axis=0), n=64)
    assert noise_floor(source) == pytest.approx(np.abs(F.mean(axis=0)).mean(), rel=0.01)
    assert noise_floor(SourceSpectra(n=64)) is None
