"""The thesis's way through its own design: a probe, a test set, a radius and an image at a time, nothing kept.

Written from the definitions with Pillow, NumPy, PyTorch, transformers and scikit-learn. The encoder runs in the
training loop and in the test loop, as the README of the published code says it does ("The code is not efficient");
each of the grid's cells has a loader of its own, with a test set's fakes and reals, in batches of 128. Masks, the
real part after the inverse transform and metrics over whole test sets are those of the definitions; so are the
draws, which makes the probes the study's own.

Source:
    J. Wustl, *The Role of Middle Frequencies in General Deepfake Detection* (2024).
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score
from torch.nn import functional

from bandprobe.datasets import ImageSet
from bandprobe.encoders.extras import hide_broken_torchvision
from bandprobe.seeding import generator

# The embedded world's sources under the names of the design that they stand for.
STANDS_FOR = {
    "Real": "Real", "gan-transposed": "ProGAN", "gan-nearest": "StyleGAN", "gan-bilinear": "ProjectedGAN",
    "gan-shuffle": "Diff-StyleGAN2", "gan-style": "Diff-ProjectedGAN", "ddpm": "DDPM", "ddim": "IDDPM",
    "flow": "ADM", "pndm": "PNDM", "latent": "LDM", "vae": "coco",
}  # fmt: skip
GENERATORS = tuple(name for name in STANDS_FOR.values() if name != "Real")  # whose test sets there are
FAMILIES = {"gan": list(GENERATORS[:5]), "diffusion": list(GENERATORS[5:10]), "text-to-image": ["coco"]}
TRAINING_SETS: dict[str, Sequence[str]] = {
    **{name: [name] for name in GENERATORS},
    "family:gan": FAMILIES["gan"],
    "family:diffusion": FAMILIES["diffusion"],
    "all": GENERATORS,
}
# Butterworth cut-offs in px of the sweep: none at all, a mask of ones, 38 radii.
CONDITIONS: dict[str, float | None] = {
    "none": None,
    "identity": math.inf,
    **{f"lowpass:{radius}px": float(radius) for radius in (1, *range(5, 190, 5))},
}
VALIDATED_ON = "ADM"

_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_EPOCHS, _RATE, _BATCH, _SHARE = 5, 0.005, 128, 0.75

Floats = NDArray[np.float64]
Pictures = list[tuple[Path, int]]  # a file, and 0 for real or 1 for fake


class ThesisPipeline:
    """An encoder and a folder of pictures.

    Args:
        root: `{train,val,test}/{Real,<generator>}/*.png`.
        weights: folder of a DINOv2, as `save_pretrained` writes it.
        side: of the grid, px.
        seed: of the draws.
    """

    def __init__(self, root: Path, weights: Path, side: int = 64, seed: int = 0) -> None:
        hide_broken_torchvision()
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self.root, self.side, self.seed = root, side, seed
        self.model = transformers.Dinov2Model.from_pretrained(
            weights, attn_implementation="sdpa", dtype=torch.float32
        ).eval()

    def train(self, name: str) -> torch.nn.Linear:
        """A linear probe: five epochs of Adam over three quarters of the batches, mirrored by chance.

        The epoch with the lowest loss on ADM's validation images is kept.
        """
        rng = generator(self.seed, "head", name)
        train, val = self.pictures("train", TRAINING_SETS[name]), self.pictures("val", [VALIDATED_ON])
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31)))
            head = torch.nn.Linear(self.model.config.hidden_size, 1)
        optimiser = torch.optim.Adam(head.parameters(), lr=_RATE)
        held = [val[row] for row in rng.permutation(len(val))]
        lowest, best = math.inf, copy.deepcopy(head)
        for _ in range(_EPOCHS):
            order, mirrored = rng.permutation(len(train)), rng.random(len(train)) < 0.5
            starts = range(0, len(train), _BATCH)
            for start in starts[: max(1, int(_SHARE * len(starts)))]:
                rows = order[start : start + _BATCH]
                vectors = self.encode([train[row][0] for row in rows], None, mirrored[start : start + _BATCH])
                loss = _losses(head, vectors, train, rows).mean()
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            loss_there = self._validation(head, held)
            if loss_there < lowest:
                lowest, best = loss_there, copy.deepcopy(head)
        return best

    def _validation(self, head: torch.nn.Linear, held: Pictures) -> float:
        with torch.no_grad():
            parts = [
                _losses(
                    head, self.encode([path for path, _ in held[rows]], None), held, range(len(held))[rows]
                )
                for rows in _batches(len(held))
            ]
        return float(torch.cat(parts).sum()) / len(held)

    def logits(self, head: torch.nn.Linear, pictures: Pictures, condition: str) -> Floats:
        """What a probe says of pictures under a condition, (n,)."""
        parts = []
        with torch.no_grad():
            for rows in _batches(len(pictures)):
                paths = [path for path, _ in pictures[rows]]
                parts.append(head(self.encode(paths, CONDITIONS[condition]))[:, 0])
        return torch.cat(parts).double().numpy()

    def encode(
        self, paths: Sequence[Path], radius: float | None, mirrored: Sequence[bool] | NDArray[np.bool_] = ()
    ) -> torch.Tensor:
        """Class tokens of files, opened, resized, filtered and normalised one by one: (n, dim)."""
        images = []
        for number, path in enumerate(paths):
            pixels = filtered(opened(path, self.side), radius)
            if len(mirrored) and mirrored[number]:
                pixels = pixels[:, ::-1]
            normalised = (pixels - _MEAN) / _STD
            images.append(torch.from_numpy(normalised.transpose(2, 0, 1).astype(np.float32)))
        with torch.no_grad():
            vectors: torch.Tensor = self.model(pixel_values=torch.stack(images)).last_hidden_state[:, 0]
        return vectors

    def pictures(self, split: str, generators: Sequence[str]) -> Pictures:
        """The reals and the fakes of generators in a split, in the order of their content's hash."""
        found = [
            (path, int(name != "Real"))
            for name in ("Real", *generators)
            for path in (self.root / split / name).glob("*.png")
        ]
        return sorted(found, key=lambda picture: picture_id(picture[0]))


def measured(pictures: Pictures, logits: Floats) -> dict[str, float]:
    """A cell's metrics, by scikit-learn; fake is what has a probability of one half or more."""
    label, called = [its for _, its in pictures], logits >= 0
    return {
        "auroc": float(roc_auc_score(label, logits)),
        "accuracy": float(accuracy_score(label, called)),
        "f1": float(f1_score(label, called, zero_division=0)),
        "recall": float(recall_score(label, called)),
    }


def opened(path: Path, side: int) -> NDArray[np.uint8]:
    """A picture on the grid, uint8 (side, side, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def filtered(pixels: NDArray[np.uint8], radius: float | None) -> Floats:
    """A picture under a low-pass, channel by channel, in units of 255."""
    if radius is None:
        return pixels / 255
    found = np.empty(pixels.shape)
    for channel in range(3):
        spectrum = np.fft.fftshift(np.fft.fft2(pixels[..., channel]))
        found[..., channel] = np.fft.ifft2(np.fft.ifftshift(spectrum * butterworth(len(pixels), radius))).real
    return found / 255


@cache
def butterworth(side: int, radius: float) -> Floats:
    """Gain of a Butterworth low-pass of order 1 on the shifted spectrum, (side, side)."""
    index = np.arange(side) - side // 2
    gain: Floats = 1 / (1 + (np.hypot(index[:, None], index) / radius) ** 2)
    return gain


@cache
def picture_id(path: Path) -> str:
    """SHA-256 of height and width as little-endian uint32, and the pixels."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return hashlib.sha256(np.array(pixels.shape[:2], "<u4").tobytes() + pixels.tobytes()).hexdigest()


def write_pictures(images: ImageSet, folder: Path, count: int) -> Path:
    """The first pictures of each source and split of the embedded world, under the names they stand for."""
    table = images.table
    rank = table.groupby(["split", "generator"]).cumcount()
    for row in np.flatnonzero(rank < count):
        path = folder / table["split"][row] / STANDS_FOR[table["generator"][row]] / f"{rank[row]:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encoded[row])
    return folder


def _losses(
    head: torch.nn.Linear, vectors: torch.Tensor, pictures: Pictures, rows: Sequence[int] | NDArray[np.intp]
) -> torch.Tensor:
    """Binary cross-entropy of some pictures, reals and fakes of all of them weighing alike."""
    label = torch.tensor([float(pictures[row][1]) for row in rows])
    fakes = sum(its for _, its in pictures)
    members = torch.where(label == 1, fakes, len(pictures) - fakes)
    return functional.binary_cross_entropy_with_logits(
        head(vectors)[:, 0], label, weight=len(pictures) / (2 * members), reduction="none"
    )


def _batches(count: int) -> Iterator[slice]:
    return (slice(start, start + _BATCH) for start in range(0, count, _BATCH))
