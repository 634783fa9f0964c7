"""How the encoders with a short name were trained, as far as their authors say; each fact with its source."""

from __future__ import annotations

from dataclasses import dataclass

from bandprobe.encoders.catalogue import ENTRIES, Entry


@dataclass(frozen=True)
class Training:
    """What an encoder was trained on, and what was done to its training images.

    Attributes:
        data: the training set.
        images: how many images it holds, in millions; None where that is not said.
        augmentation: what was done to them at random, in words; empty where that is not said.
        blur: whether Gaussian blur is among it; None where that is not said.
        source: who says so.
    """

    data: str
    images: float | None
    augmentation: str
    blur: bool | None
    source: str


_DINO = "multi-crop, flip, colour jitter, grey, Gaussian blur, solarisation"
_MICRO = "24,000 procedural photographs"
_CROP_90 = "crop of 90 to 100 % of the area"

# By the beginning of the short name, longer beginnings first.
_FACTS: dict[str, Training] = {
    "dinov2-": Training(
        "LVD-142M", 142, _DINO, True,
        "arXiv:2304.07193; facebookresearch/dinov2, dinov2/data/augmentations.py",
    ),
    "dinov3-": Training(
        "LVD-1689M", 1689, _DINO, True,
        "arXiv:2508.10104; facebookresearch/dinov3, dinov3/data/augmentations.py",
    ),
    "openclip-vit-g-14": Training(
        "LAION-2B English", 2000, "random resized crop (the package's default)", False,
        "the model's card; mlfoundations/open_clip, src/open_clip/transform.py",
    ),
    "clip-": Training(
        "WIT-400M", 400, "random square crop", False, "arXiv:2103.00020, section 2.5: the only augmentation",
    ),
    "siglip2-": Training("WebLI", 10_000, "", None, "arXiv:2502.14786, section 2: 10 billion images"),
    "mae-": Training(
        "ImageNet-1k", 1.28, "random resized crop, flip", False,
        "arXiv:2111.06377; facebookresearch/mae, main_pretrain.py",
    ),
    "micro-dino-noblur": Training(
        _MICRO, 0.024, "multi-crop, flip, colour jitter, grey, solarisation", False, "zoo/README.md",
    ),
    "micro-dino": Training(_MICRO, 0.024, _DINO, True, "zoo/README.md"),
    "micro-clip": Training(_MICRO, 0.024, _CROP_90, False, "zoo/README.md"),
}  # fmt: skip


def entry_of(name: str, source: str = "") -> Entry | None:
    """The catalogue's entry of an encoder, whatever it is called in a run; None where it has none.

    Args:
        name: in tables.
        source: what loads it: a short name, perhaps behind an alias, or a Hugging Face id.
    """
    plain = source.partition("=")[2] or source
    for entry in ENTRIES.values():
        own = {entry.name} if entry.source == "built in" else {entry.name, entry.source}
        if own & ({plain} if plain else {name}):
            return entry
    return None


def training_of(entry: Entry) -> Training | None:
    """How an encoder was trained; None for those that were not."""
    found = [start for start in _FACTS if entry.name.startswith(start)]
    return _FACTS[max(found, key=len)] if found else None
