"""Image towers run by the open_clip package: `openclip:MODEL/TAG`, where TAG may be a checkpoint file.

For towers that have no counterpart in transformers, and for tags that are not on the hub. Folders and hub
repositories in open_clip's format need neither this nor the package.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bandprobe.encoders.blocks import Block, of_open_clip
from bandprobe.encoders.checkpoint import hub_error, one_line, state_sha256
from bandprobe.encoders.extras import import_extra
from bandprobe.encoders.initialisation import drawn
from bandprobe.encoders.openclip_format import preprocessing
from bandprobe.encoders.preprocessing import Preprocessing
from bandprobe.encoders.protocol import DTYPES, Encoder, checked_precision
from bandprobe.errors import EncoderError, did_you_mean


class OpenClipEncoder(Encoder):
    """An image tower run by the open_clip package. `load` makes it."""

    def __init__(
        self,
        visual: torch.nn.Module,
        *,
        name: str,
        dim: int,
        device: torch.device,
        precision: str,
        preprocessing: Preprocessing,
        fingerprint: Mapping[str, str],
    ) -> None:
        super().__init__(
            name=name,
            dim=dim,
            device=device,
            precision=precision,
            preprocessing=preprocessing,
            fingerprint=fingerprint,
        )
        self._visual = visual.to(device=device, dtype=DTYPES[precision]).requires_grad_(False).eval()
        side: Any = visual.image_size
        self._native = (side, side) if isinstance(side, int) else tuple(side)

    def check_grid(self, height: int, width: int) -> None:
        """open_clip builds its towers for one size and interpolates nothing.

        Raises:
            EncoderError: height x width is not that size.
        """
        if (height, width) != self._native:
            size = " x ".join(map(str, self._native))
            raise EncoderError(
                f"{self.name} takes images of {size} only; got {height} x {width}. Resize them, or "
                "use the same weights in transformers' format, whose position embeddings are interpolated."
            )

    def blocks(self) -> list[Block]:
        """See `blocks.of_open_clip`."""
        return of_open_clip(self._visual)

    def _embed(self, pixels: Tensor) -> Tensor:
        output = self._visual(pixels)
        vectors: Tensor = output[0] if isinstance(output, tuple) else output  # CoCa adds its tokens
        return vectors


def load(
    reference: str, *, name: str, device: torch.device, precision: str = "fp32", random: int | None = None
) -> OpenClipEncoder:
    """The image tower of `MODEL/TAG` through the open_clip package, after the projection.

    Args:
        reference: an architecture and a pretrained tag of open_clip, or the architecture and the path
            of a checkpoint file, with a slash between.
        name: how the encoder is called in tables and messages.
        device: where it runs.
        precision: `fp32`, `fp16` or `bf16`.
        random: the seed of weights drawn by open_clip's own initialisation; None for the pretrained ones.

    Raises:
        EncoderError: the package is missing, the model or tag is unknown, the file does not fit.
        DiskError: no network, and the weights are not in the cache.
    """
    checked_precision(precision)
    package = import_extra("open_clip", "openclip")
    architecture, _, tag = reference.partition("/")
    if architecture not in package.list_models():
        raise EncoderError(
            f"openclip:{reference}: open_clip has no model "
            f"{architecture!r}.{did_you_mean(architecture, package.list_models())}"
        )
    file = Path(tag).expanduser()
    known = package.list_pretrained_tags_by_model(architecture)
    if not (tag and file.is_file()) and tag not in known:
        raise EncoderError(
            f"openclip:{reference}: {tag!r} is neither a file nor a tag of {architecture}; "
            f"its tags are {', '.join(known) or 'none'}."
        )
    settings = {} if tag not in known else package.get_pretrained_cfg(architecture, tag)
    try:
        with warnings.catch_warnings(), contextlib.nullcontext() if random is None else drawn(random):
            warnings.simplefilter("ignore")
            model = package.create_model(
                architecture,
                pretrained=None if random is not None else tag if tag in known else str(file),
                force_quick_gelu=bool(settings.get("quick_gelu", False)),  # else open_clip only warns
                require_pretrained=random is None,
                weights_only=True,
            )
    except Exception as error:
        if tag in known:
            raise hub_error(error, str(settings.get("hf_hub") or settings.get("url") or tag), name) from error
        raise EncoderError(
            f"openclip:{reference}: the file does not fit {architecture}: {one_line(error)}."
        ) from error
    visual = model.eval().visual  # in training a ResNet's batch norms would learn from the image below
    size = visual.image_size
    with torch.inference_mode():
        shape = (size, size) if isinstance(size, int) else tuple(size)
        vector = model.encode_image(torch.zeros(1, 3, *shape), normalize=False)
    prepared = dict(package.model.get_model_preprocess_cfg(model))
    if random is not None:  # a tag's statistics come with its weights, which were left out
        given = ("mean", "std", "interpolation", "resize_mode")
        prepared.update({key: settings[key] for key in given if settings.get(key) is not None})
    return OpenClipEncoder(
        visual,
        name=name,
        dim=int(vector.shape[-1]),
        device=device,
        precision=precision,
        preprocessing=preprocessing({"preprocess_cfg": prepared}, name),
        fingerprint={
            "library": "open_clip",
            "model_type": architecture,
            "vector": "image tower after the projection",
            "quick_gelu": str(any(type(part).__name__ == "QuickGELU" for part in visual.modules())),
            "revision": tag if tag in known else "local",
            "weights": state_sha256(visual),
            **({} if random is None else {"random": str(random)}),
        },
    )
