"""An encoder's own normalisation and resize, read as data from the files beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from bandprobe import progress
from bandprobe.errors import EncoderError, InputError
from bandprobe.images.geometry import Geometry, Resample

Triple: TypeAlias = "tuple[float, float, float]"

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP: tuple[Triple, Triple] = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
HALF: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

# What the authors of each architecture published, for a folder that holds weights and no statistics.
PUBLISHED: dict[str, tuple[str, tuple[Triple, Triple]]] = {
    "dinov2": ("ImageNet's", IMAGENET),
    "dinov2_with_registers": ("ImageNet's", IMAGENET),
    "dinov3_vit": ("ImageNet's", IMAGENET),
    "dinov3_convnext": ("ImageNet's", IMAGENET),
    "vit_mae": ("ImageNet's", IMAGENET),
    "clip": ("CLIP's", CLIP),
    "clip_vision_model": ("CLIP's", CLIP),
    "siglip": ("0.5 and 0.5", HALF),
    "siglip_vision_model": ("0.5 and 0.5", HALF),
    "siglip2": ("0.5 and 0.5", HALF),
    "siglip2_vision_model": ("0.5 and 0.5", HALF),
}

# Pillow's numbers for its resampling filters, as Hugging Face's files hold them.
_RESAMPLE: dict[Any, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class Preprocessing:
    """How an encoder's authors prepared its images.

    Attributes:
        mean: per channel, in units of images in [0, 1].
        std: per channel, in the same units.
        geometry: their resize and crop, or None when it is not one of this package's geometries.
    """

    mean: Triple
    std: Triple
    geometry: Geometry | None = None


IDENTITY = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def read(folder: Path, model_type: str, name: str) -> Preprocessing:
    """The preprocessing kept in a checkpoint's folder, or else the published one of its architecture.

    Args:
        folder: holds `preprocessor_config.json`, or a `processor_config.json` with the same keys
            under `image_processor`.
        model_type: from `config.json`, for folders that hold neither file.
        name: the encoder's, for messages.

    Raises:
        EncoderError: the file is not usable, or there is none and the architecture's published
            statistics are unknown.
    """
    for filename in ("preprocessor_config.json", "processor_config.json"):
        path = folder / filename
        if not path.is_file():
            continue
        config = read_json(path)
        config = config.get("image_processor", config)
        if config.get("image_mean") is not None or config.get("do_normalize") is False:
            return from_config(config, f"{name}: {filename}")
    if model_type not in PUBLISHED:
        raise EncoderError(
            f"{name} has no preprocessor_config.json, and no mean and std are known for model_type "
            f"{model_type!r}. Put a preprocessor_config.json with image_mean and image_std beside it."
        )
    words, (mean, std) = PUBLISHED[model_type]
    progress.say(f"{name} has no preprocessor_config.json; mean and std are {words}.")
    return Preprocessing(mean, std)


def from_config(config: Mapping[str, Any], where: str) -> Preprocessing:
    """The preprocessing that a Hugging Face image processor's settings describe.

    Such a processor takes pixels in 0..255, multiplies by `rescale_factor` (1/255, or 1 where
    `do_rescale` is false), subtracts 1 where `rescale_offset` is set, then the mean, and divides by
    the standard deviation (both left out where `do_normalize` is false). The result says the same of
    images in [0, 1].

    Raises:
        EncoderError: mean or std are not one or three numbers, or std is not positive.
    """
    mean, std = IDENTITY.mean, IDENTITY.std
    if config.get("do_normalize", True):
        mean, std = _triple(config, "image_mean", where), _triple(config, "image_std", where)
    factor = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    offset = 1.0 if config.get("rescale_offset", False) else 0.0
    scale = 255 * factor
    if min(*std, scale) <= 0:
        raise EncoderError(
            f"{where} has an image_std or a rescale_factor that is not positive. Correct the file."
        )
    if abs(scale - 1) > 1e-9 or offset:
        mean = (mean[0] + offset) / scale, (mean[1] + offset) / scale, (mean[2] + offset) / scale
        std = std[0] / scale, std[1] / scale, std[2] / scale
    return Preprocessing(mean, std, _geometry(config))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object.

    Raises:
        EncoderError: it is damaged or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as JSON: {error}. Fetch the file again.") from error
    if not isinstance(content, dict):
        raise EncoderError(f"{path} must hold a JSON object; got a {type(content).__name__}.")
    return content


def _triple(config: Mapping[str, Any], key: str, where: str) -> Triple:
    value = config.get(key)
    numbers = [value] * 3 if isinstance(value, (int, float)) else value
    if (
        not isinstance(numbers, (list, tuple))
        or len(numbers) != 3
        or not all(isinstance(number, (int, float)) for number in numbers)
    ):
        raise EncoderError(f"{where} must hold {key} as three numbers; got {value!r}. Correct the file.")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _geometry(config: Mapping[str, Any]) -> Geometry | None:
    """The processor's resize and centre crop, where this package has the same."""
    resample = _RESAMPLE.get(config.get("resample"))
    size, crops = config.get("size"), bool(config.get("do_center_crop", False))
    if not config.get("do_resize", True) or resample is None or size is None:
        return None
    if isinstance(size, int):
        size = {"shortest_edge": size} if crops else {"height": size, "width": size}
    crop = config.get("crop_size", size)
    if isinstance(crop, int):
        crop = {"height": crop, "width": crop}
    try:
        if "height" in size and (not crops or crop == size):
            return Geometry.squash(size["height"], size["width"], resample)
        if "shortest_edge" in size and crops:
            return Geometry.crop(size["shortest_edge"], (crop["height"], crop["width"]), resample)
    except (InputError, KeyError, TypeError):
        return None
    return None


def shortest_edge(edge: int, crop: tuple[int, int], interpolation: str) -> dict[str, Any]:
    """The settings of a Hugging Face processor that resizes the shortest edge and crops the centre."""
    numbers = {name: number for number, name in _RESAMPLE.items()}
    return {
        "size": {"shortest_edge": edge},
        "do_center_crop": True,
        "crop_size": {"height": crop[0], "width": crop[1]},
        "resample": numbers.get(cast(Resample, interpolation)),
    }
