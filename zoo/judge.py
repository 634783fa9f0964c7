"""Judge what was trained: `python -m zoo.judge photographs`, `generators`, `encoders`, `curves`, `readme`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from bandprobe import encoders as loaders
from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.files import output_folder
from bandprobe.metrics import Spectrum, radial_power, ring_frequencies, spectral_slope
from bandprobe.metrics.jackknife import Estimate
from bandprobe.report.density_figure import density_figure
from bandprobe.report.run_directory import SourceSpectra
from bandprobe.report.spectrum_figures import plane_figure
from bandprobe.report.style import drawing, save
from zoo import attributes, figures, page
from zoo.autoencoder import reported
from zoo.card_numbers import write_numbers
from zoo.diversity import Space, Training, frechet_distance, memorisation, precision_and_recall, repetition
from zoo.encoders import NAMES, export, folder_of
from zoo.fingerprints import Floats, fingerprints, from_resamples, grey, in_words, resamples
from zoo.photographs import SETS, WORK, photographs
from zoo.samples import FAMILIES, samples
from zoo.tables import interval, write_table

Work: TypeAlias = Annotated[Path, typer.Option(help="Where everything is kept.", metavar="DIR")]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Decides every resample.", metavar="N")]
Count: TypeAlias = Annotated[int, typer.Option(min=100, help="Pictures of each source.", metavar="N")]
Device: TypeAlias = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")]

TWIN = "random"  # the encoder of random weights
PROBED = {"probe-train": 3000, "probe-test": 2000}  # photographs, by purpose; no model saw a scene of theirs
_SHOWN = 9  # pictures in a row

app = typer.Typer(help="Judge what the zoo trained.", no_args_is_help=True, rich_markup_mode=None)


@app.command("photographs")
def judge_photographs(count: Count = 1000, seed: Seed = 0, work: Work = WORK, quiet: Quiet = False) -> None:
    """The procedural photographs: a sheet, captions, and how their mean power spectrum falls."""
    with reported(quiet):
        out = _out(work)
        images = photographs(work, 64, count, "judging")
        rings = radial_power(grey(images, 64))
        counts = resamples(count, seed, "photographs").astype(np.float64)
        slope = from_resamples(spectral_slope(counts @ rings / count))
        row = {
            "photographs": count,
            **{f"slope{end}": value for end, value in zip(("", "_low", "_high"), slope, strict=True)},
            "mean": images.mean() / 255,
            "black": float((images == 0).mean()),
            "white": float((images == 255).mean()),
        }
        write_table(out / "photographs", pd.DataFrame([row]))
        figures.sheet(images[:64], out / "sheet-photographs.png")
        captions = list(attributes.scenes(12, "judging")["caption"])
        with drawing():
            save(
                figures.photographs_figure(
                    images[:12], captions, ring_frequencies(64), rings.mean(0), interval(*slope)
                ),
                out / "photographs",
            )
        typer.echo(f"slope {interval(*slope)} over {count} photographs: {out / 'photographs.png'}")


@app.command("generators")
def judge_generators(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Judge this generator, or several; all by default.", metavar="NAME"),
    ] = None,
    count: Count = 1000,
    seed: Seed = 0,
    work: Work = WORK,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Every trained generator: sheets, spectra beside Real's, fingerprints, diversity, memorisation."""
    with reported(quiet):
        out = _out(work)
        fresh = photographs(work, 64, 2 * count, "judging")
        sources = {"Real": fresh[:count]} | _drawn(only or list(FAMILIES), work, count, device)
        training = photographs(work, 64, SETS["generators"][1], "generators")
        rows, found, pairs = judged(sources, fresh[count:], training, seed)
        words = in_words(found, FAMILIES)
        write_table(out / "generators", pd.DataFrame(rows), pictures=count, words=words)
        _draw_sources(sources, pairs, out)
        for sentence in words:
            typer.echo(sentence)


def judged(
    sources: dict[str, NDArray[np.uint8]],
    reals: NDArray[np.uint8],
    training: NDArray[np.uint8],
    seed: int,
) -> tuple[list[dict[str, object]], dict[str, dict[str, Estimate]], dict[str, NDArray[np.uint8]]]:
    """Everything measured of sources of pictures.

    Args:
        sources: pictures by source, `Real` among them, uint8, shape (n, 64, 64, 3), the same n everywhere.
        reals: as many photographs that no model has seen, none of them in `sources`.
        training: the photographs that the generators were trained on.
        seed: of the resamples.

    Returns:
        Rows of `source`, `family`, `measure`, `value`, `low`, `high`; the fingerprints by source; and of
        each source the pictures that are nearest to one training photograph before all others, each
        followed by it, as many as a row holds.
    """
    space = Space.fit(training)
    memory = Training.of(space, training)
    of_reals, (apart, _) = space(reals), memory.two_nearest(reals)
    rows: list[dict[str, object]] = []
    found, pairs = {}, {}
    for name, images in sources.items():
        progress.say(f"judging {name}")
        found[name] = fingerprints(images, reals, seed=seed, label=name)
        points = space(images)
        distances, places = memory.two_nearest(images)
        measures = dict(found[name])
        # The first 32 coordinates are the reduced picture's: variety of layout, whatever the detail.
        for part, kept in (("", slice(None)), ("_of_layout", slice(32))):
            precision, recall = precision_and_recall(points[:, kept], of_reals[:, kept])
            measures |= {f"precision{part}": precision, f"recall{part}": recall}
        measures["frechet"] = frechet_distance(points, of_reals)
        measures |= memorisation(distances, apart, seed=seed, label=name)
        measures |= repetition(points[:, :32], of_reals[:, :32], seed=seed, label=name)
        source = {"source": name, "family": FAMILIES.get(name, "real")}
        rows += [{**source, "measure": key, **estimate._asdict()} for key, estimate in measures.items()]
        nearest = (distances[:, 0] / distances[:, 1]).argsort()[: _SHOWN // 2]
        pairs[name] = np.stack([images[nearest], training[places[nearest, 0]]], 1).reshape(
            -1, *images.shape[1:]
        )
    return rows, found, pairs


@app.command("encoders")
def judge_encoders(seed: Seed = 0, work: Work = WORK, device: Device = "cpu", quiet: Quiet = False) -> None:
    """Every trained encoder and seed: linear probes of scene attributes against random weights and pixels."""
    with reported(quiet):
        out = _out(work)
        scenes = {purpose: attributes.scenes(n, purpose) for purpose, n in PROBED.items()}
        images = {purpose: photographs(work, 64, n, purpose) for purpose, n in PROBED.items()}
        trained = _exported(work)
        first = next(iter(trained.values()))[0]
        names = {name: [str(folder) for folder in of] for name, of in trained.items()}
        names |= {TWIN: [f"random:{number}:{first}" for number in range(3)], "spectral": ["spectral"]}
        losses: dict[str, dict[str, list[attributes.Losses]]] = {}
        for name, runs in {**names, "pixels": ["pixels"]}.items():
            losses[name] = {attribute: [] for attribute in attributes.ATTRIBUTES}
            for number, run in enumerate(runs):
                progress.say(f"probing {name} {number}")
                embed = _embedder(run, device)
                pair = [(embed(images[purpose]), scenes[purpose]) for purpose in PROBED]
                for attribute in attributes.ATTRIBUTES:
                    losses[name][attribute].append(attributes.probe(pair[0], pair[1], attribute))
        scores = attributes.table(losses, TWIN, seed=seed)
        train, test = scenes.values()
        chance = {name: attributes.chance(train, test, name) for name in attributes.ATTRIBUTES}
        write_table(out / "encoders", scores, photographs=PROBED, chance=chance)
        for name, folders in trained.items():
            for folder in folders:
                write_numbers(folder, work, name, scores)
        with drawing():
            save(figures.probes_figure(scores, chance), out / "encoders")
        for line in page.encoder_words(scores, TWIN):
            typer.echo(line)


@app.command("curves")
def draw_curves(work: Work = WORK, quiet: Quiet = False) -> None:
    """The training curves of everything that was or is being trained, and how long it took."""
    with reported(quiet):
        out = _out(work)
        curves = {name: [pd.read_csv(path) for path in paths] for name, paths in _curve_files(work).items()}
        if not curves:
            raise InputError(f"nothing was trained in {work} yet. Start with python -m zoo.gans --help.")
        rows = [
            {
                "model": name,
                "seed": seed,
                "steps": int(run["step"].iloc[-1]),
                "minutes": run["seconds"].iloc[-1] / 60,
            }
            for name, runs in curves.items()
            for seed, run in enumerate(runs)
        ]
        write_table(out / "curves", pd.DataFrame(rows))
        with drawing():
            save(figures.curves_figure(curves), out / "curves")
        typer.echo(f"{len(curves)} models: {out / 'curves.png'}")


@app.command("readme")
def write_readme(work: Work = WORK, quiet: Quiet = False) -> None:
    """Write the tables and figures that the other commands made into zoo/README.md."""
    with reported(quiet):
        for name in page.rewrite(Path(__file__).parent, work / "judged"):
            typer.echo(f"not there yet: {name}")


def _out(work: Path) -> Path:
    return output_folder(work / "judged")


def _drawn(names: Iterable[str], work: Path, count: int, device: str) -> dict[str, NDArray[np.uint8]]:
    """Pictures of those generators that are trained; the others are said to be left out."""
    found = {}
    for name in names:
        try:
            found[name] = samples(work, name, count, device=device)
        except InputError as error:
            progress.say(f"left out: {name}: {error}")
    return found


def _draw_sources(
    sources: dict[str, NDArray[np.uint8]], pairs: dict[str, NDArray[np.uint8]], out: Path
) -> None:
    spectra = {}
    for name, images in sources.items():
        figures.sheet(images[:64], out / f"sheet-{name}.png")
        shown = grey(images, 64)
        coherent = Spectrum(64).add(shown)
        planes = {"fft_hp": coherent.coherent, "fft_hp_floor": coherent.floor}
        spectra[name] = SourceSpectra(radial_power(shown).mean(0), None, planes, len(images))
    with drawing():
        first = {name: images[:_SHOWN] for name, images in sources.items()}
        save(figures.rows_figure(first, "Samples", "The first of each source, unselected."), out / "samples")
        note = (
            "Of each source the pictures most like copies, each followed by its nearest training photograph."
        )
        save(figures.rows_figure(pairs, "Nearest training photographs", note), out / "nearest")
        save(density_figure("zoo", ring_frequencies(64), spectra, FAMILIES), out / "spectra")
        save(plane_figure("zoo", spectra, ("fft_hp", "coherent")), out / "coherent")


def _exported(work: Path) -> dict[str, list[Path]]:
    """The folders of every trained encoder, in the form that loads, written anew from their training."""
    found: dict[str, list[Path]] = {}
    for name in NAMES:
        for folder in sorted(folder_of(work, name, 0).parent.glob("seed-*")):
            if (folder / "state.pt").exists():
                number = int(folder.name.removeprefix("seed-"))
                export(work, name, number, folder / "export")
                found.setdefault(name, []).append(folder / "export")
    if not found:
        raise InputError(
            f"no encoder in {work} is trained yet. Train one: python -m zoo.encoders --name micro-dino"
        )
    return found


def _embedder(name: str, device: str) -> Callable[[NDArray[np.uint8]], Floats]:
    if name == "pixels":
        return attributes.pixels
    encoder = loaders.load(name, device=device)
    return lambda images: attributes.vectors(encoder, images)


def _curve_files(work: Path) -> dict[str, list[Path]]:
    """Training curves by model, one for each seed."""
    found: dict[str, list[Path]] = {}
    for path in sorted([*work.glob("*/curve.csv"), *work.glob("*/seed-*/curve.csv")]):
        found.setdefault(path.relative_to(work).parts[0], []).append(path)
    return found


if __name__ == "__main__":
    app()
