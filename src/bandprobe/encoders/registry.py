"""From an encoder's name to the encoder. Imports neither torch nor transformers until one is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bandprobe.encoders.catalogue import ENTRIES, Entry
from bandprobe.errors import EncoderError, did_you_mean

if TYPE_CHECKING:
    import torch

    from bandprobe.encoders.protocol import Encoder

_ALIAS = re.compile(r"(?P<alias>[A-Za-z0-9][\w.-]*)=(?P<target>.+)", re.DOTALL)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FORMS = (
    "a short name (see bandprobe encoders), a Hugging Face id (owner/model), a local folder, "
    "openclip:MODEL/TAG or timm:NAME"
)


@dataclass(frozen=True)
class Reference:
    """What an encoder's name stands for.

    Attributes:
        name: how the encoder is called in tables, figures and stores.
        kind: what loads it.
        target: the folder, the hub id, or what follows the kind's prefix.
    """

    name: str
    kind: Literal["spectral", "folder", "hub", "openclip", "timm"]
    target: str


def load(
    name: str, *, device: str | torch.device = "auto", precision: str = "fp32", revision: str | None = None
) -> Encoder:
    """The encoder of that name with its weights on `device`, ready to encode.

    Args:
        name: a short name of `catalogue()`, a Hugging Face id, a local folder, `openclip:MODEL/TAG`,
            `timm:NAME`, `timm:NAME@FILE` or `spectral`; `alias=` in front renames it.
        device: `auto` is the first of CUDA, Apple's GPU and the CPU that is there; or a device of torch.
        precision: of weights and activations: `fp32`, `fp16` or `bf16`.
        revision: a branch, tag or commit on the Hugging Face Hub; the main branch by default.

    Raises:
        EncoderError: the name is unknown, or the encoder cannot be loaded.
        DiskError: the weights cannot be fetched or read.
    """
    reference = resolve(name)
    if revision is not None and reference.kind != "hub":
        raise EncoderError(
            f"revision is for models on the Hugging Face Hub; got {revision!r} for {name!r}. Leave it out."
        )
    from bandprobe.encoders.protocol import checked_precision

    place, precision = _device(device), checked_precision(precision)
    if reference.kind == "spectral":
        from bandprobe.encoders.spectral import SpectralEncoder

        return SpectralEncoder(place, reference.name)
    if reference.kind == "openclip":
        from bandprobe.encoders import openclip

        return openclip.load(reference.target, name=reference.name, device=place, precision=precision)
    if reference.kind == "timm":
        from bandprobe.encoders import timm_models

        return timm_models.load(reference.target, name=reference.name, device=place, precision=precision)
    from bandprobe.encoders import checkpoint, huggingface

    files = (
        checkpoint.from_folder(Path(reference.target), reference.name)
        if reference.kind == "folder"
        else checkpoint.from_hub(reference.target, reference.name, revision)
    )
    return huggingface.load(files, name=reference.name, device=place, precision=precision)


def resolve(name: str) -> Reference:
    """What a name stands for, found without loading anything.

    Raises:
        EncoderError: the name is unknown; the nearest known one is named.
    """
    renamed = _ALIAS.fullmatch(name)
    if renamed and not Path(name).expanduser().exists():
        target = resolve(renamed["target"])
        return Reference(renamed["alias"], target.kind, target.target)
    prefix, colon, rest = name.partition(":")
    if colon and prefix in ("openclip", "timm"):
        return _package_reference("openclip" if prefix == "openclip" else "timm", rest, name)
    if name == "spectral":
        return Reference(name, "spectral", "")
    if name in ENTRIES:
        return Reference(name, "hub", ENTRIES[name].source)
    path = Path(name).expanduser()
    if name and path.is_dir():
        return Reference(path.resolve().name, "folder", str(path))
    if path.is_file():
        raise EncoderError(f"encoder {name!r} is a file. Give the folder that holds it and its config.json.")
    _refuse_compound(name)
    if re.fullmatch(r"\w{2,}", prefix) and colon:
        kinds = ("openclip", "timm")
        raise EncoderError(
            f"encoder {name!r}: there is no kind {prefix + ':'!r}.{did_you_mean(prefix, kinds)} It "
            f"must be {_FORMS}."
        )
    if _HUB_ID.fullmatch(name) and not name.startswith("."):
        return Reference(name, "hub", name)
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        raise EncoderError(f"encoder {name!r} is a folder that is not there. Check the path.")
    raise EncoderError(f"encoder {name!r} is unknown.{did_you_mean(name, ENTRIES)} It must be {_FORMS}.")


def display_name(name: str) -> str:
    """How the encoder of that name is called in tables, figures and stores."""
    return resolve(name).name


def distinct(names: Sequence[str]) -> None:
    """See that encoders can be told apart.

    Raises:
        EncoderError: two of them have the same display name.
    """
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise EncoderError(
            f"encoders must have different names; got {', '.join(map(repr, repeated))} more than once. Rename "
            "one with name=SOURCE."
        )


def catalogue() -> list[Entry]:
    """The encoders with a short name."""
    return list(ENTRIES.values())


def _package_reference(kind: Literal["openclip", "timm"], rest: str, name: str) -> Reference:
    """`MODEL/TAG` or `NAME@FILE`; of a file only its base name is shown."""
    model, separator, file = rest.partition("/" if kind == "openclip" else "@")
    if not model or (kind == "openclip" and not file):
        form = (
            "openclip:MODEL/TAG, e.g. openclip:ViT-B-32/openai"
            if kind == "openclip"
            else "timm:NAME or timm:NAME@FILE"
        )
        raise EncoderError(f"encoder {name!r} must have the form {form}.")
    if not file or not Path(file).expanduser().exists():
        _refuse_compound(name if kind == "openclip" else model)
    return Reference(f"{kind}:{model}{separator}{Path(file).name}" if file else name, kind, rest)


def _refuse_compound(name: str) -> None:
    if "+" in name:
        raise EncoderError(
            f"encoder {name!r}: joining two encoders with + is not supported yet. Name them one by one."
        )
    if "@" in name:
        raise EncoderError(
            f"encoder {name!r}: a filter of its own after @ is not supported yet. Leave it out."
        )


def _device(device: str | torch.device) -> torch.device:
    """The device asked for, if this machine has it."""
    import torch

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    if place is None or place.type not in present:
        raise EncoderError(f"device must be auto, cpu, cuda, cuda:N or mps; got {str(device)!r}.")
    if not present[place.type] or (place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count()):
        raise EncoderError(f"device {str(device)!r} is not on this machine. Use --device auto, or cpu.")
    return place
