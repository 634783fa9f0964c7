"""The tables and figures of `zoo/README.md`, from what `zoo.judge` wrote."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from PIL import Image

from bandprobe.files import output_folder, replacing, write_whole
from zoo.tables import fill, interval, markdown, read_table

FIGURES = ("photographs", "samples", "nearest", "spectra", "coherent", "encoders", "curves")
_PHOTOGRAPHIC = ("samples", "nearest")  # noise that a PNG cannot pack
_FINGERPRINTS = {
    "slope": "slope",
    "power_0.25_0.50": "power, 0.25 to 0.5",
    "power_0.50_1.00": "power, 0.5 to 1",
    "peak_2": "peak, 2 px",
    "peak_4": "peak, 4 px",
    "peak_8": "peak, 8 px",
}
_FIXED = {"fixed_2": "fixed, 2 px", "fixed_4": "fixed, 4 px", "fixed_8": "fixed, 8 px"}
_DIVERSITY = {
    "precision": "precision",
    "recall": "recall",
    "precision_of_layout": "precision of layout",
    "recall_of_layout": "recall of layout",
    "frechet": "Fréchet",
}
_COPIES = {"nearest": "nearest", "copies": "copies", "apart": "apart", "repeats": "repeats"}


def rewrite(folder: Path, judged: Path) -> list[str]:
    """Write every table there is between its marks in `README.md`, and copy the figures to `images/`.

    Args:
        folder: of the page.
        judged: where `zoo.judge` wrote its tables.

    Returns:
        Tables and figures that are not there yet; their places stay as they were.
    """
    missing: list[str] = []
    parts: dict[str, str] = {}
    for name, build in _TABLES.items():
        if (judged / f"{name}.json").exists():
            parts |= build(judged / name)
        else:
            missing.append(f"{name}.json")
    page = folder / "README.md"
    write_whole(page, fill(page.read_text(encoding="utf-8"), parts).encode())
    images = output_folder(folder / "images")
    for name in FIGURES:
        drawn = judged / f"{name}.png"
        if not drawn.exists():
            missing.append(drawn.name)
        elif name in _PHOTOGRAPHIC:
            with replacing(images / f"{name}.jpg") as temporary:
                Image.open(drawn).convert("RGB").save(temporary, quality=88)
        else:
            shutil.copyfile(drawn, images / drawn.name)
    return missing


def encoder_words(scores: pd.DataFrame, twin: str) -> list[str]:
    """Which attributes each encoder tells better than random weights do, a sentence for each."""
    sentences = []
    for encoder, of in scores[(scores["seed"] == "mean") & (scores["encoder"] != twin)].groupby(
        "encoder", sort=False
    ):
        better = of[of["difference_low"] > 0]["attribute"]
        rest = of[of["difference_low"] <= 0]["attribute"]
        words = f"{encoder} is above random weights in {len(better)} of {len(of)} attributes"
        sentences.append(
            f"{words}; not in {', '.join(rest).replace('_', ' ')}." if len(rest) else f"{words}."
        )
    return sentences


def _photographs(stem: Path) -> dict[str, str]:
    row = read_table(stem)[0].iloc[0]
    slope = interval(row["slope"], row["slope_low"], row["slope_high"])
    return {
        "photographs": f"Over {int(row['photographs']):,} photographs the exponent is {slope}; their mean is "
        f"{row['mean']:.2f} of white, {row['black']:.2%} of values are black and {row['white']:.2%} white."
    }


def _generators(stem: Path) -> dict[str, str]:
    rows, beside = read_table(stem)
    numbers = zip(rows["value"], rows["low"], rows["high"], strict=True)
    cells = dict(zip(zip(rows["source"], rows["measure"], strict=True), numbers, strict=True))
    sources = list(dict.fromkeys(rows["source"]))

    def table(measures: dict[str, str], digits: int = 2) -> str:
        def line(source: str) -> list[str]:
            found = [cells[source, measure] for measure in measures]
            return [source, *(interval(*cell, digits) for cell in found)]

        return markdown(("source", *measures.values()), [line(source) for source in sources])

    words = beside["words"]
    assert isinstance(words, list)
    return {
        "fingerprints": "\n\n".join(
            [table(_FINGERPRINTS), table(_FIXED, 3), "\n".join(f"- {sentence}" for sentence in words)]
        ),
        "diversity": "\n\n".join([table(_DIVERSITY), table(_COPIES, 3)]),
    }


def _encoders(stem: Path) -> dict[str, str]:
    scores, beside = read_table(stem)
    chance = beside["chance"]
    assert isinstance(chance, dict)
    means = scores[scores["seed"] == "mean"].set_index(["attribute", "encoder"])
    seeds = scores[scores["seed"] != "mean"].groupby("encoder", sort=False)["seed"].nunique()
    names = list(seeds.index)
    lines = []
    for attribute, least in chance.items():
        found = [means.loc[(attribute, name)] for name in names]
        cells = [interval(cell["value"], cell["low"], cell["high"]) for cell in found]
        lines.append([attribute.replace("_", " "), f"{least:.2f}", *cells])
    heads = [f"{name} ({seeds[name]} seeds)" if seeds[name] > 1 else name for name in names]
    words = "\n".join(f"- {sentence}" for sentence in encoder_words(scores, "random"))
    return {"encoders": f"{markdown(('attribute', 'chance', *heads), lines)}\n\n{words}"}


def _curves(stem: Path) -> dict[str, str]:
    rows, _ = read_table(stem)
    lines = []
    for model, of in rows.groupby("model", sort=False):
        minutes = " ".join(f"{value:.0f}" for value in of["minutes"])
        steps = " ".join(f"{value:,}" for value in of["steps"])
        lines.append([model, len(of), steps, minutes])
    return {"curves": markdown(("model", "trainings", "steps", "minutes"), lines)}


_TABLES: dict[str, Callable[[Path], dict[str, str]]] = {
    "photographs": _photographs,
    "generators": _generators,
    "encoders": _encoders,
    "curves": _curves,
}
