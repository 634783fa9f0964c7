"""A whole extraction against the bare forward pass of the same encoder."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from bandprobe import encoders
from bandprobe.encoders.extras import hide_broken_torchvision
from bandprobe.extract import extract
from bandprobe.filters import Filter, FilterBank, expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.seeding import generator
from bandprobe.store import EmbeddingStore
from side_by_side import Row, check_equal, device, ratio, times

_TOLERANCE = 1e-5
_FILTERS = ["none", "identity", "lowpass:5px", "lowpass:10px", "lowpass:20px", "lowpass:40px", "lowpass:80px"]
_FILTERS += ["lowpass:160px"]

# DINOv2 small: 22 million parameters.
SMALL: dict[str, int] = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}

Batch = list[torch.Tensor]  # one normalised tensor a condition


def rows(
    *,
    images: int = 24,
    side: int = 224,
    stored_side: int = 256,
    batch: int = 8,
    rounds: int = 5,
    architecture: dict[str, int] = SMALL,
) -> list[Row]:
    """Images x conditions a second: files to store, against tensors to vectors.

    Args:
        images: PNG files.
        side: the encoder's grid, in pixels.
        stored_side: the files' height and width.
        batch: images a batch, on both sides.
        rounds: how often each side runs.
        architecture: what of `Dinov2Config` differs from its defaults.

    Raises:
        ArithmeticError: a stored vector is more than 1e-5 from the bare one, element by element.
    """
    specs = expand(_FILTERS)
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = write_images(folder / "images", images, stored_side)
        write_encoder(folder / "vit", side, architecture)
        encoder = encoders.load(str(folder / "vit"))
        model = bare_model(folder / "vit")
        batches = prepared(table, specs, encoder, side, batch)
        stores = iter(range(rounds + 1))

        def embed() -> EmbeddingStore:
            store = EmbeddingStore(folder / f"store-{next(stores)}")
            extract(store, table, [encoder], specs, geometry=Geometry.squash(side), batch_size=batch)
            return store

        def bare() -> NDArray[np.float32]:
            with torch.inference_mode():
                vectors = [
                    torch.stack([model(pixel_values=pixels).last_hidden_state[:, 0] for pixels in conditions])
                    for conditions in batches
                ]
            return torch.cat(vectors, 1).numpy()

        store, ids = embed(), table["image_id"].tolist()
        stored = np.stack([store.read(encoder.name, str(spec), ids).embedding for spec in specs])
        check_equal("sweep efficiency", stored, bare(), _TOLERANCE)
        taken = times({"embed": embed, "bare": bare}, rounds)
    passes = images * len(specs)
    return [
        Row(
            name="sweep efficiency",
            ratio=ratio(taken["embed"], taken["bare"]),
            target=0.95,
            ours=passes / statistics.median(taken["embed"]),
            other=passes / statistics.median(taken["bare"]),
            unit="images x conditions / s",
            device=device(),
        )
    ]


def write_images(folder: Path, count: int, side: int) -> pd.DataFrame:
    """PNG files of blurred noise with grain, which compress about as far as photographs, and their table."""
    folder.mkdir()
    rng = generator(0, "sweep efficiency")
    found = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)
        picture = (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)
        path = folder / f"{number:03d}.png"
        Image.fromarray(picture).save(path)
        found.append((image_id(decode(path)), str(path)))
    return pd.DataFrame(found, columns=["image_id", "path"])


def write_encoder(folder: Path, side: int, architecture: dict[str, int]) -> None:
    """A DINOv2 with random weights, as `save_pretrained` writes it."""
    hide_broken_torchvision()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.Dinov2Config(**{"image_size": side, "patch_size": 14, **architecture})
        transformers.Dinov2Model(config).save_pretrained(folder)
    transformers.BitImageProcessorPil(
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    ).save_pretrained(folder)


def bare_model(folder: Path) -> Any:
    """The same weights through transformers alone."""
    import transformers

    return transformers.Dinov2Model.from_pretrained(folder, attn_implementation="sdpa").eval()


def prepared(
    table: pd.DataFrame, specs: list[Filter], encoder: encoders.Encoder, side: int, batch: int
) -> list[Batch]:
    """Each batch's images under every filter, normalised: all that a forward pass needs."""
    grid = Geometry.squash(side)
    pixels = np.stack([grid.apply(decode(path)) for path in table["path"]])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (encoder.preprocessing.mean, encoder.preprocessing.std)
    )
    bank = FilterBank(specs, (side, side))
    return [[(filtered - mean) / std for _, filtered in bank(part)] for part in torch.split(images, batch)]
