"""Cards: what the image set and each encoder that ship are, for people, beside the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bandprobe import encoders
from bandprobe.files import write_json, write_whole
from zoo.tables import markdown

OBJECTIVES = {
    "micro-dino": "self-distillation: a student agrees with the running mean of itself over crops of one picture",
    "micro-dino-noblur": "as micro-dino, with the Gaussian blur left out of its augmentations and nothing else",
    "micro-clip": "image-text contrast: pictures and their captions find each other",
    "micro-clip-notexture": "as micro-clip, with captions that name neither texture nor sharpness",
}

_ENCODER = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-feature-extraction
---

# {name}

A vision transformer of {millions:.2f} M parameters for pictures of 64 px, in patches of 8 px, as small as an
experiment needs it. `bandprobe.encoders.load("{name}")` loads it; its vector, of {dim} values, is the class
token after the final norm.

Training: {objective}. Of its trainings the one from seed {seed} ships, its weights as float16. `zoo/README.md` in
bandprobe's repository says how to train it again.

Licence: Apache-2.0, like bandprobe, which made all that it was trained on.
"""

_IMAGES = """---
license: apache-2.0
task_categories:
- image-classification
configs:
- config_name: default
  data_files:
  - split: train
    path: train.parquet
  - split: validation
    path: val.parquet
  - split: test
    path: test.parquet
---

# micro

{total:,} pictures of 64 x 64 px, as PNG: procedural photographs (`Real`: dead leaves, rendered, then seen through
a camera), and what generators drew that were trained on other such photographs. No scene is in two splits, and none
of them is among those that generators or encoders were trained on. Reals have the caption of their scene.

{counts}

`bandprobe.datasets.micro()` opens the set that ships; `datasets.load_dataset` opens any. `zoo/README.md` in
bandprobe's repository says how the generators were trained, how varied their pictures are and how like photographs.
No conclusion about photographs of the world follows from these.

Licence: Apache-2.0, like bandprobe, which made every pixel.
"""


def write_image_card(folder: Path, table: pd.DataFrame) -> None:
    """Write `README.md` beside the Parquet files.

    Args:
        folder: of the set.
        table: its rows, with `split`, `family` and `generator`.
    """
    counts = table.groupby(["generator", "family", "split"], sort=False).size().unstack(fill_value=0)
    counts = counts.reset_index()
    text = _IMAGES.format(
        total=len(table), counts=markdown(list(map(str, counts)), counts.to_numpy().tolist())
    )
    write_whole(folder / "README.md", text.encode())


def write_encoder_card(folder: Path, name: str, seed: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write `card.json` and `README.md` beside an encoder's weights; `zoo.card_numbers` adds what was measured.

    Args:
        folder: of the encoder; what lies there is loaded and asked for vectors.
        name: of the encoder.
        seed: of its training.
        pictures: shipped ones by name, uint8, shape (64, 64, 3); recorded with their vectors.
    """
    encoder = encoders.load(str(folder), device="cpu")
    vectors = encoder.encode(np.stack(list(pictures.values())).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    card: dict[str, Any] = {
        "name": name,
        "objective": OBJECTIVES[name],
        "licence": "Apache-2.0",
        "dim": encoder.dim,
        "parameters": sum(array.size for array in load_file(folder / "model.safetensors").values()),
        "seed": seed,
        "embeddings": {
            picture: [round(float(value), 5) for value in vector]
            for picture, vector in zip(pictures, vectors, strict=True)
        },
    }
    write_json(folder / "card.json", card)
    text = _ENCODER.format(**card, millions=card["parameters"] / 1e6)
    write_whole(folder / "README.md", text.encode())
