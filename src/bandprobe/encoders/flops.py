"""What a forward pass costs, counted on the architecture itself, without weights."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bandprobe import progress, shipped
from bandprobe.encoders.architectures import architecture
from bandprobe.encoders.catalogue import ENTRIES
from bandprobe.encoders.checkpoint import Checkpoint, from_folder, from_hub
from bandprobe.encoders.layers import LayerEncoder, whole_of
from bandprobe.encoders.names import WEIGHTED, Reference
from bandprobe.encoders.protocol import Encoder
from bandprobe.errors import EncoderError
from bandprobe.images.geometry import Geometry

_META = torch.device("meta")
_ANY_SIDE = 224  # of an encoder whose authors had no size of their own


@dataclass(frozen=True)
class PassCost:
    """One image's forward pass.

    Attributes:
        flops: floating-point operations of its matrix products, convolutions and attention, a multiplication and an
            addition counted as two.
        parameters: weights of the image tower.
        values: numbers in the vector; of an encoder of tokens, in all of them.
        size: the height and width it was counted at.
    """

    flops: int
    parameters: int
    values: int
    size: tuple[int, int]


def pass_cost(reference: Reference, size: tuple[int, int] | None) -> PassCost | None:
    """Count one pass of an encoder; nothing is computed, no weights are needed and none are fetched.

    Operations on single values (norms, activations, softmax) are left out, as is the field's habit; of a vision
    transformer they are below 1 %. So are an encoder's own filters.

    Args:
        reference: the encoder.
        size: height and width of the images; None for the encoder's own.

    Returns:
        The count; None where there is no model of PyTorch to count on: spectra, detectors, tables.

    Raises:
        EncoderError: the architecture is unknown, or does not take that size.
        DiskError: its configuration is neither known here nor on disk, and cannot be fetched.
    """
    if reference.parts:
        counted = [pass_cost(part, size) for part, _ in reference.parts]
        known = [cost for cost in counted if cost is not None]
        if len(known) < len(counted):
            return None
        return PassCost(
            sum(cost.flops for cost in known),
            sum(cost.parameters for cost in known),
            sum(cost.values for cost in known),
            known[0].size,
        )
    if reference.kind not in WEIGHTED:
        return None
    encoder = _to_count(reference, _META)
    height, width = size or own_size(reference, encoder.native_geometry)
    encoder.check_grid(height, width)
    try:
        flops = _counted(encoder, height, width)
    except (
        RuntimeError
    ):  # a model that looks at what it is given cannot go without: SigLIP 2 of any aspect ratio
        flops = _counted(_to_count(reference, torch.device("cpu")), height, width)
    weights = sum(weight.numel() for module in _modules(whole_of(encoder)) for weight in module.parameters())
    return PassCost(flops, weights, encoder.dim * encoder.tokens_on(height, width), (height, width))


def _to_count(reference: Reference, device: torch.device) -> Encoder:
    """An encoder without weights, or its beginning up to a layer."""
    whole = untrained(reference.whole, device=device)
    return whole if reference.layer is None else LayerEncoder(whole, reference.layer, reference.name)


def _counted(encoder: Encoder, height: int, width: int) -> int:
    # Attention as plain products: the counter does not know every device's fused kernel.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encoder.embed(torch.zeros((1, 3, height, width), device=encoder.device))
    return int(counter.get_total_flops())


def untrained(
    reference: Reference, *, device: torch.device = _META, precision: str = "fp32", fill: float = 0.01
) -> Encoder:
    """An encoder's architecture with weights that mean nothing: to count its operations, or to time it.

    How long a pass takes does not depend on the weights' values, and this takes seconds where drawing a billion
    of them takes a minute.

    Args:
        reference: one encoder with weights, no compound.
        device: where it will run; on torch's `meta` device it has no weights at all.
        precision: of weights and activations.
        fill: the value of every weight.

    Raises:
        EncoderError, DiskError: as `pass_cost`.
    """
    with progress.quiet():  # what is said about statistics that are missing is of no matter here
        encoder = _on_meta(reference, precision)
    if device.type == "meta":
        return encoder
    for module in _modules(encoder):
        module.to_empty(device=device)
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                # Whole numbers are places in a table.
                tensor.fill_(fill if tensor.is_floating_point() else 0)
    encoder.device = device
    encoder.normalise_with(encoder.preprocessing.mean, encoder.preprocessing.std)
    return encoder


def own_size(reference: Reference, geometry: Geometry | None) -> tuple[int, int]:
    """The height and width that an encoder's authors gave it: of its files, or as the catalogue says."""
    if geometry is not None:
        return geometry.size
    entry = next((entry for entry in ENTRIES.values() if entry.source == reference.target), None)
    side = (entry.native_size if entry else None) or _ANY_SIDE
    return side, side


def _on_meta(reference: Reference, precision: str) -> Encoder:
    options: dict[str, Any] = {"name": reference.name, "precision": precision, "random": 0}
    if reference.kind == "timm":
        from bandprobe.encoders import timm_models

        with _META:
            return timm_models.load(reference.target, device=_META, **options)
    if reference.kind == "openclip":
        from bandprobe.encoders import openclip

        # The package moves what it builds to a device, which what has no weights cannot be.
        encoder = openclip.load(reference.target, device=torch.device("cpu"), **options)
        for module in _modules(encoder):
            module.to(_META)
        encoder.device = _META
        encoder.normalise_with(encoder.preprocessing.mean, encoder.preprocessing.std)
        return encoder
    from bandprobe.encoders import huggingface

    with tempfile.TemporaryDirectory() as folder:
        files = _configuration(reference, Path(folder))
        with _META:
            return huggingface.load(files, device=_META, tokens=reference.tokens, **options)


def _configuration(reference: Reference, folder: Path) -> Checkpoint:
    """The files that say what an encoder is, without its weights; `folder` is for what is known here."""
    if reference.kind == "hub":
        shape = architecture(reference.target)
        if shape is None:
            return from_hub(reference.target, reference.name, None, weights=False)
        open_clip = "vision_cfg" in shape
        file = folder / ("open_clip_config.json" if open_clip else "config.json")
        file.write_text(json.dumps(shape), encoding="utf-8")
        return Checkpoint(folder, (), "published", open_clip)
    place = reference.target
    where = shipped.part(f"encoders/{place}") if reference.kind == "shipped" else Path(place).expanduser()
    return from_folder(where, reference.name, weights=False)


def _modules(encoder: Encoder) -> list[torch.nn.Module]:
    found = [part for part in vars(encoder).values() if isinstance(part, torch.nn.Module)]
    if not found:
        raise EncoderError(f"{encoder.name} is no model of PyTorch, so nothing can be counted on it.")
    return found
