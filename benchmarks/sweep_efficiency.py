"""A whole extraction against the bare forward pass of the same encoder."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from bandprobe import encoders, shipped
from bandprobe.datasets import micro
from bandprobe.encoders.extras import hide_broken_torchvision
from bandprobe.extract import extract
from bandprobe.filters import Filter, FilterBank, expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.seeding import generator
from bandprobe.store import EmbeddingStore
from side_by_side import Row, check_equal, device, ratio, times

_TOLERANCE = 1e-5
_UNIT = "images x conditions / s"

# DINOv2 small: 22 million parameters.
SMALL: dict[str, int] = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}
SWEEP = ("none", "thesis")  # 40 conditions
MICRO_SWEEP = ("none", "identity", "lowpass:2..21/1px")  # 22 conditions

Batch = list[torch.Tensor]  # one normalised tensor a condition
Bare = Callable[[], NDArray[np.float32]]


def rows(
    *,
    images: int = 8,
    side: int = 224,
    stored_side: int = 256,
    batch: int = 8,
    rounds: int = 3,
    architecture: dict[str, int] = SMALL,
    sweep: Sequence[str] = SWEEP,
    compiled: bool = True,
) -> list[Row]:
    """Images x conditions a second of DINOv2: files to store, against tensors to vectors.

    Args:
        images: PNG files.
        side: the encoder's grid, in pixels.
        stored_side: the files' height and width.
        batch: images a batch, on both sides. Ours shares it out among its threads.
        rounds: how often each side runs.
        architecture: what of `Dinov2Config` differs from its defaults.
        sweep: the filters.
        compiled: whether both sides also run compiled. Compiling takes longer than all of a quick run.

    Raises:
        ArithmeticError: a stored vector is more than 1e-5 from the bare one, element by element.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_encoder(folder / "vit", side, architecture)
        table = write_images(folder / "images", images, stored_side)
        return compared("sweep efficiency", 0.98, table, folder / "vit", side, sweep, batch, rounds, compiled)


def micro_rows(
    *,
    images: int = 512,
    batch: int = 32,
    rounds: int = 3,
    sweep: Sequence[str] = MICRO_SWEEP,
    compiled: bool = True,
) -> list[Row]:
    """The same of an encoder that ships with the package, on pictures of 64 px that do, as PNG files.

    Args:
        images: as many pictures.
        batch: as for `rows`, like the rest.
        rounds: see there.
        sweep: see there.
        compiled: see there.

    Raises:
        ArithmeticError: as `rows`.
    """
    with TemporaryDirectory() as name:
        table = write_micro_images(Path(name) / "micro", images)
        label, weights = "sweep efficiency / micro encoder, 64 px", shipped.part("encoders/micro-dino")
        return compared(label, 0.93, table, weights, 64, sweep, batch, rounds, compiled)


def compared(
    name: str,
    target: float,
    table: pd.DataFrame,
    weights: Path,
    side: int,
    sweep: Sequence[str],
    batch: int,
    rounds: int,
    compiled: bool,
) -> list[Row]:
    """An encoder's extraction against its bare forward pass: each as it is, and compiled where asked.

    The first row sets the faster extraction against the faster bare pass.
    """
    specs = expand(sweep)
    kinds = ("", " compiled") if compiled else ("",)
    loaded = {kind: encoders.load(str(weights), compiled=bool(kind)) for kind in kinds}
    model = bare_model(weights)
    batches = prepared(table, specs, loaded[""], side, batch)
    bare = {kind: forward(torch.compile(model) if kind else model, batches) for kind in kinds}
    with TemporaryDirectory() as folder:
        stores = iter(range(2 * (rounds + 1)))

        def embed(encoder: encoders.Encoder) -> EmbeddingStore:
            store = EmbeddingStore(Path(folder) / f"store-{next(stores)}")
            extract(store, table, [encoder], specs, geometry=Geometry.squash(side), batch_size=batch)
            return store

        ids = table["image_id"].tolist()
        for kind in kinds:
            encoder = loaded[kind]
            store = embed(encoder)
            stored = np.stack([store.read(encoder.name, str(spec), ids).embedding for spec in specs])
            check_equal(name + kind, stored, bare[kind](), _TOLERANCE)
        taken = times(
            {f"embed{kind}": partial(embed, loaded[kind]) for kind in kinds}
            | {f"bare{kind}": bare[kind] for kind in kinds},
            rounds,
        )
    passes = len(table) * len(specs)

    def row(label: str, ours: str, other: str) -> Row:
        return Row(
            name=label,
            ratio=ratio(taken[ours], taken[other]),
            target=target,
            ours=passes / statistics.median(taken[ours]),
            other=passes / statistics.median(taken[other]),
            unit=_UNIT,
            device=device(),
        )

    def faster(side: str) -> str:
        return min((f"{side}{kind}" for kind in kinds), key=lambda one: statistics.median(taken[one]))

    return [
        row(name, faster("embed"), faster("bare")),
        *([row(f"{name} / neither compiled", "embed", "bare")] if compiled else []),
    ]


def forward(model: Callable[..., Any], batches: list[Batch]) -> Bare:
    """The encoder alone on tensors in memory: a function that gives (conditions, images, dim)."""

    def bare() -> NDArray[np.float32]:
        with torch.inference_mode():
            vectors = [
                torch.stack([model(pixel_values=pixels).last_hidden_state[:, 0] for pixels in conditions])
                for conditions in batches
            ]
        return torch.cat(vectors, 1).numpy()

    return bare


def write_micro_images(folder: Path, count: int) -> pd.DataFrame:
    """The first pictures of the test split that ships, each once, as PNG files, and their table."""
    folder.mkdir()
    found: dict[str, str] = {}
    for number, encoded in enumerate(micro("test").encoded[:count]):
        path = folder / f"{number:04d}.png"
        path.write_bytes(encoded)
        found.setdefault(image_id(decode(path)), str(path))
    return pd.DataFrame(list(found.items()), columns=["image_id", "path"])


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

    return transformers.Dinov2Model.from_pretrained(
        folder, attn_implementation="sdpa", dtype=torch.float32
    ).eval()


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
