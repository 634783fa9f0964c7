"""What was measured of an encoder, written into its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from bandprobe.files import write_json, write_whole
from zoo.augmentation import View
from zoo.contrastive import VIEW
from zoo.encoders import BATCHES, IMAGES, PHOTOGRAPHS, SIDE, folder_of, objective
from zoo.self_distillation import GLOBALS, LOCAL, LOCALS
from zoo.tables import fill, interval, markdown
from zoo.training import steps_done

NOT_GOOD_FOR = (
    "pictures of the world: it has seen procedural photographs alone",
    "a statement about DINOv2 or CLIP, of which it has a thousandth of the size and of the training",
    "telling objectives apart from one training of each: compare all seeds",
)

_MARK = "numbers"
_NEW = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-feature-extraction
---

# {name}

Licence: Apache-2.0.
"""


def write_numbers(folder: Path, work: Path, name: str, scores: pd.DataFrame) -> None:
    """Write what was measured into `card.json` and `README.md`; all else there is kept.

    Args:
        folder: of the encoder; gets cards that say no more than this where it has none.
        work: the zoo's folder, where all its seeds were trained.
        name: of the encoder.
        scores: as `zoo.attributes.table` gives it.
    """
    runs, probes = seeds(work, name), card_rows(scores, name)
    card = folder / "card.json"
    known: dict[str, Any] = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {"name": name}
    said = {
        "licence": "Apache-2.0",
        "training_data": f"{PHOTOGRAPHS:,} procedural photographs of {SIDE} px",
        "augmentations": augmentations(name),
        "seeds": runs,
        "probes": probes,
        "not_good_for": list(NOT_GOOD_FOR),
    }
    write_json(card, known | said)
    page = folder / "README.md"
    text = page.read_text(encoding="utf-8") if page.exists() else _NEW.format(name=name)
    if f"<!-- {_MARK} -->" not in text:
        text += f"\n<!-- {_MARK} -->\n<!-- /{_MARK} -->\n"
    write_whole(page, fill(text, {_MARK: _section(said)}).encode())


def card_rows(scores: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """What an encoder's vectors tell, a row for each attribute.

    Returns:
        `attribute`; `value`, `low`, `high`, the mean over seeds; `seeds`, each seed's value; `difference`,
        `difference_low`, `difference_high` to random weights.
    """
    own = scores[scores["encoder"] == name]
    rows = []
    for attribute, of in own.groupby("attribute", sort=False):
        mean, each = of[of["seed"] == "mean"].iloc[0], of[of["seed"] != "mean"]
        numbers = ("value", "low", "high", "difference", "difference_low", "difference_high")
        row = {"attribute": attribute, **{number: round(float(mean[number]), 4) for number in numbers}}
        rows.append(row | {"seeds": [round(float(value), 4) for value in each["value"]]})
    return rows


def seeds(work: Path, name: str) -> list[dict[str, Any]]:
    """Every training of an encoder: `seed`, `steps`, `images_seen`, `minutes`, and `whole`, whether it saw
    as many images as it should."""
    found = []
    for folder in sorted(folder_of(work, name, 0).parent.glob("seed-*")):
        if steps_done(folder):
            steps = steps_done(folder)
            seen = steps * BATCHES[objective(name)]
            seconds = float(pd.read_csv(folder / "curve.csv")["seconds"].iloc[-1])
            found.append(
                {
                    "seed": int(folder.name.removeprefix("seed-")),
                    "steps": steps,
                    "images_seen": seen,
                    "minutes": round(seconds / 60, 1),
                    "whole": seen >= IMAGES,
                }
            )
    return found


def augmentations(name: str) -> list[str]:
    """The random views that an encoder was trained on, in words."""
    if objective(name) == "micro-clip":
        return [f"one view: {_described(VIEW, True)}"]
    blur = name != "micro-dino-noblur"
    views = [(f"global view {number}", view) for number, view in enumerate(GLOBALS, start=1)]
    return [f"{what}: {_described(view, blur)}" for what, view in [*views, (f"{LOCALS} local views", LOCAL)]]


def _described(view: View, blur: bool) -> str:
    low, high = view.scale
    parts = [f"{view.size} px crop of {low:.0%} to {high:.0%} of the area"]
    if view.colours:
        parts.append("mirrored, colours jittered, some turned grey")
    if view.blurred and blur:
        parts.append(f"Gaussian blur of {view.blurred:.0%}")
    if view.solarised:
        parts.append(f"solarised {view.solarised:.0%}")
    return ", ".join(parts)


def _section(said: dict[str, Any]) -> str:
    runs = [
        [
            run["seed"],
            f"{run['steps']:,}",
            f"{run['images_seen']:,}",
            run["minutes"],
            "yes" if run["whole"] else "no",
        ]
        for run in said["seeds"]
    ]
    probes = [
        [
            row["attribute"].replace("_", " "),
            interval(row["value"], row["low"], row["high"]),
            ", ".join(f"{value:.2f}" for value in row["seeds"]),
            interval(row["difference"], row["difference_low"], row["difference_high"]),
        ]
        for row in said["probes"]
    ]
    return "\n".join(
        [
            "## Training",
            "",
            f"On {said['training_data']}. Views:",
            "",
            *(f"- {view}" for view in said["augmentations"]),
            "",
            markdown(("seed", "steps", "images seen", "minutes", f"all {IMAGES:,} images"), runs),
            "",
            "## What its vectors tell of a scene",
            "",
            "Linear probes on scenes of their own: accuracy, of the texture's slope R²; the mean over seeds with "
            "its 95 % interval over test images, each seed, and the difference to random weights.",
            "",
            markdown(("attribute", "mean", "seeds", "above random weights"), probes),
            "",
            "## Not good for",
            "",
            *(f"- {use}" for use in said["not_good_for"]),
        ]
    )
