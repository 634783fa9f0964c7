"""A probe as others publish it: a folder in the form of a Hugging Face model, here or on the Hub."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bandprobe.errors import InputError

if TYPE_CHECKING:
    from bandprobe.probes.files import ProbeFile

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
ENCODER = "encoder"  # the folder in it that holds an encoder of one's own
_BESIDE = f"./{ENCODER}"  # how a probe names it
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def probe_in(path: str | Path) -> Path:
    """The file that holds the probe: the path itself, `model.safetensors` in a folder, or that of a Hub model.

    Args:
        path: a file, a folder, or a model's id on the Hugging Face Hub (`owner/name`) where no such path is there.

    Raises:
        InputError: a folder without it.
        EncoderError: the Hub has no such model, or does not give it.
        DiskError: the Hub cannot be reached.
    """
    place, text = Path(path), str(path)
    if place.is_dir():
        if (place / WEIGHTS).is_file():
            return place / WEIGHTS
        held = sorted(each.name for each in place.glob("*.safetensors"))
        what = f"; it holds {held[0]!r}" if held else ""
        raise InputError(
            f"{text!r} is no published model: {WEIGHTS} is not in it{what}. Name one probe's file."
        )
    if place.exists() or not _HUB_ID.fullmatch(text) or text.endswith(".safetensors"):
        return place
    return _fetched(text)


def anchored(file: ProbeFile, path: Path) -> ProbeFile:
    """The probe with an encoder that lies beside it in its model folder named from the root on."""
    source = file.source
    if not re.fullmatch(re.escape(_BESIDE) + r"(#\w+)?", source):
        return file
    return replace(file, source=f"{(path.parent / ENCODER).resolve()}{source.removeprefix(_BESIDE)}")


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    from bandprobe.encoders.checkpoint import hub_error

    patterns = [WEIGHTS, CONFIG, f"{ENCODER}/*.json", f"{ENCODER}/*.safetensors"]
    disable_progress_bars()
    try:
        folder = Path(snapshot_download(name, allow_patterns=patterns))
    # The Hub's client has no one class for what goes wrong.
    except Exception as error:
        raise hub_error(error, name, f"probe {name!r}, which is no file or folder here") from error
    finally:
        enable_progress_bars()
    return probe_in(folder)
