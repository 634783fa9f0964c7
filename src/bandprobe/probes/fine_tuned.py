"""Encoders whose weights are trained with a head: which can be, and how they are kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from bandprobe import encoders
from bandprobe.encoders import Encoder
from bandprobe.encoders.huggingface import HuggingFaceEncoder
from bandprobe.encoders.preprocessing import Preprocessing, shortest_edge
from bandprobe.errors import DiskError, EncoderError
from bandprobe.files import output_folder, write_json

_TOKENS = "#tokens"


def module_of(encoder: Encoder) -> nn.Module:
    """The weights of an encoder that can be fine-tuned and saved again.

    Raises:
        EncoderError: its weights are not of transformers, or in half precision.
    """
    if not isinstance(encoder, HuggingFaceEncoder):
        raise EncoderError(
            f"{encoder.name} cannot be fine-tuned: only encoders that transformers loads can be saved again. "
            "Leave its weights frozen, or choose one such as dinov2-small."
        )
    if encoder.precision != "fp32":
        raise EncoderError(
            f"{encoder.name} is loaded in {encoder.precision}; fine-tuning needs fp32 weights. Ask for mixed "
            "precision instead."
        )
    module: nn.Module = encoder._model
    return module


def name_of(encoder: Encoder, trained_on: str) -> str:
    """How an encoder is called once it was fine-tuned on a training set."""
    tokens = _TOKENS if encoder.name.endswith(_TOKENS) else ""
    plain = (re.sub(r"[^\w.-]+", "-", text) for text in (encoder.name.removesuffix(_TOKENS), trained_on))
    return f"{'-tuned-'.join(plain)}{tokens}"


def save(encoder: Encoder, name: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Write a fine-tuned encoder as a folder that loads as any other.

    Args:
        encoder: with the weights to keep.
        name: what it is called now, see `name_of`.
        folder: where its own folder is made, or made anew.

    Returns:
        What loads it, and its part of a fingerprint.

    Raises:
        DiskError: it cannot be written.
    """
    module: Any = module_of(encoder)
    base = name.removesuffix(_TOKENS)
    partial, place = output_folder(folder) / f".{base}.partial", folder / base
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _write(module, partial)
        write_json(partial / "preprocessor_config.json", _processor(encoder.preprocessing))
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    except OSError as error:
        reason = error.strerror or error
        raise DiskError(
            f"{place} cannot be written: {reason}. Free the disk or give another folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    source = f"{place.resolve()}{name.removeprefix(base)}"
    made = encoders.load(source, device=encoder.device).fingerprint
    return source, {f"encoder.{key}": value for key, value in made.items()}


def _write(module: Any, folder: Path) -> None:
    """`save_pretrained` without its own progress bar."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        module.save_pretrained(folder)
    finally:
        if shown:
            logging.enable_progress_bar()


def _processor(preprocessing: Preprocessing) -> dict[str, Any]:
    """The preprocessing as a Hugging Face processor's settings."""
    content: dict[str, Any] = {"image_mean": preprocessing.mean, "image_std": preprocessing.std}
    geometry = preprocessing.geometry
    if geometry is not None:
        height, width = geometry.size
        content |= shortest_edge(geometry.shortest_edge or 0, (height, width), geometry.resample)
        if geometry.shortest_edge is None:
            content |= {"size": {"height": height, "width": width}, "do_center_crop": False}
    return content
