"""Probes that others published, as probe files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bandprobe.encoders import resolve
from bandprobe.encoders.catalogue import ENTRIES
from bandprobe.errors import InputError
from bandprobe.probes.files import EXTERNAL, ProbeFile
from bandprobe.probes.linear import LinearProbe

ENCODER = "clip-vit-l-14"
_LARGEST = 2**26  # bytes; a linear layer is a few kilobytes


def read(path: str | Path, *, encoder: str = ENCODER, threshold: float = 0.0) -> ProbeFile:
    """A linear layer saved as a state dict of `weight` (1, dim) and `bias` (1,), e.g. `fc_weights.pth`.

    The file says neither what the layer was trained on nor what its embeddings were made with: the probe is
    `external` and its fingerprint empty. Its probability is the layer's own, the sigmoid of the logit.

    Args:
        path: a file of `torch.save`. It is read without running code that a pickle may hold.
        encoder: whose embeddings the layer takes, a name that loads it.
        threshold: on the logit; 0 is a probability of one half.

    Raises:
        InputError: no such file, another content, or a layer that does not fit the encoder.

    Source:
        The format of Ojha, Li & Lee 2023, *Towards Universal Fake Image Detectors that Generalize Across
        Generative Models*: CLIP ViT-L/14 after the projection, 768 values, not normalised to unit length;
        CLIP's own mean and deviation; a crop of 224 px.
    """
    reference = resolve(encoder)
    weight, bias = _layer(Path(path))
    entry = next((one for one in ENTRIES.values() if one.source == reference.target), None)
    if entry is not None and entry.dim != len(weight):
        raise InputError(
            f"{str(path)!r} takes {len(weight)} values, and {reference.name} gives {entry.dim}; name the encoder "
            "it was trained on with --encoder."
        )
    probe = LinearProbe(
        mean=np.zeros(len(weight)),
        scale=np.ones(len(weight)),
        weight=weight,
        bias=bias,
        threshold=threshold,
        slope=1.0,
        intercept=0.0,
        C=None,
        validation="imported",
    )
    return ProbeFile(
        probe=probe,
        encoder=reference.name,
        source=encoder,
        trained_on=EXTERNAL,
        family=EXTERNAL,
        train_filter="none",
        fingerprint={},
        training={"imported": Path(path).name, "head": "linear", "loss": "bce"},
    )


def _layer(path: Path) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """The weights, (dim,), and the bias of a linear layer with one output."""
    expected = "expected torch.save of a state dict with weight (1, dim) and bias (1,), as in fc_weights.pth"
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{str(path)!r} is too large for a linear layer; {expected}.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols that torch itself does not write
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"no file {str(path)!r}; give the published probe's weights.") from None
    except InputError:
        raise
    # Damaged archives and other files lead to whatever torch's reader meets.
    except Exception:
        raise InputError(
            f"{str(path)!r} is damaged or holds more than weights (nothing in it was run); {expected}."
        ) from None
    tensors = (
        {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    dim = shapes.get("weight", (0, 0))[-1]
    if shapes != {"weight": (1, dim), "bias": (1,)} or not dim:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no tensors"
        raise InputError(f"{str(path)!r} holds {got[:200]}; {expected}.")
    weight, bias = (tensors[name].double().numpy() for name in ("weight", "bias"))
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise InputError(f"{str(path)!r} holds weights that are not finite; fetch the file again.")
    return weight[0], float(bias[0])
