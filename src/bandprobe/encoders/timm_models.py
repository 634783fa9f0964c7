"""Image encoders of the timm package: `timm:NAME`, or `timm:NAME@FILE` for a checkpoint on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bandprobe.encoders.blocks import Block, of_timm
from bandprobe.encoders.checkpoint import hub_error, one_line, state_sha256
from bandprobe.encoders.extras import import_extra
from bandprobe.encoders.initialisation import drawn
from bandprobe.encoders.preprocessing import Preprocessing, from_config, shortest_edge
from bandprobe.encoders.protocol import DTYPES, Encoder, checked_precision
from bandprobe.errors import EncoderError, did_you_mean

# What a checkpoint saved with its classifier holds beyond the features.
_CLASSIFIERS = ("head.", "head_dist.", "fc.", "classifier.", "last_linear.")


class TimmEncoder(Encoder):
    """A model of timm without its classifier. `load` makes it."""

    def __init__(
        self,
        model: Any,
        *,
        name: str,
        device: torch.device,
        precision: str,
        preprocessing: Preprocessing,
        fingerprint: Mapping[str, str],
    ) -> None:
        super().__init__(
            name=name,
            dim=int(getattr(model, "head_hidden_size", None) or model.num_features),
            device=device,
            precision=precision,
            preprocessing=preprocessing,
            fingerprint=fingerprint,
        )
        self._model = model.to(device=device, dtype=DTYPES[precision]).requires_grad_(False).eval()
        self._proven: set[tuple[int, int]] = set()

    def check_grid(self, height: int, width: int) -> None:
        """Refuse a size that the model refuses, found by one forward pass of an empty image.

        Raises:
            EncoderError: the model does not take height x width.
        """
        if (height, width) in self._proven:
            return
        try:
            self.embed(torch.zeros((1, 3, height, width), device=self.device))
        except (AssertionError, RuntimeError, ValueError) as error:
            own = "x".join(map(str, self._model.pretrained_cfg.get("input_size", (3, 224, 224))[1:]))
            raise EncoderError(
                f"{self.name} does not take images of {height} x {width}: {one_line(error)}. "
                f"Resize them, e.g. geometry squash:{own}."
            ) from error
        self._proven.add((height, width))

    def blocks(self) -> list[Block]:
        """See `blocks.of_timm`."""
        return of_timm(self._model)

    def _embed(self, pixels: Tensor) -> Tensor:
        output = self._model(pixels)
        if not isinstance(output, Tensor) or output.ndim != 2:
            raise EncoderError(
                f"{self.name} gives no single vector an image. Choose a model of timm that pools."
            )
        return output


def load(
    reference: str, *, name: str, device: torch.device, precision: str = "fp32", random: int | None = None
) -> TimmEncoder:
    """The pooled features of a timm model (what it gives without a classifier).

    Args:
        reference: a model's name, with its tag if wanted (`vit_small_patch14_dinov2.lvd142m`), or
            `NAME@FILE` with a checkpoint of that architecture.
        name: how the encoder is called in tables and messages.
        device: where it runs.
        precision: `fp32`, `fp16` or `bf16`.
        random: the seed of weights drawn by timm's own initialisation; None for the pretrained ones.

    Raises:
        EncoderError: the package is missing, the name is unknown, the file does not fit.
        DiskError: no network, and the weights are not in the cache.
    """
    checked_precision(precision)
    package = import_extra("timm", "timm")
    architecture, _, file = reference.partition("@")
    if not package.is_model(architecture):
        raise EncoderError(
            f"timm:{reference}: timm has no model "
            f"{architecture!r}.{did_you_mean(architecture, package.list_models())}"
        )
    with contextlib.nullcontext() if random is None else drawn(random):
        model = _create(package, architecture, pretrained=not file and random is None, name=name)
    if file and random is None:
        _fill(package, model, Path(file).expanduser(), name)
    config = model.pretrained_cfg
    return TimmEncoder(
        model,
        name=name,
        device=device,
        precision=precision,
        preprocessing=_preprocessing(config, name),
        fingerprint={
            "library": "timm",
            "model_type": architecture,
            "vector": "pooled features",
            "revision": "local" if file else str(config.get("tag") or "default"),
            "weights": state_sha256(model),
            **({} if random is None else {"random": str(random)}),
        },
    )


def _preprocessing(config: Mapping[str, Any], name: str) -> Preprocessing:
    height, width = config["input_size"][1:]
    resize: dict[str, Any] = {}
    if config.get("crop_mode", "center") == "center":
        edge = int(min(height, width) / config.get("crop_pct", 0.875))
        resize = shortest_edge(edge, (height, width), config.get("interpolation", "bicubic"))
    found = {"image_mean": list(config["mean"]), "image_std": list(config["std"])}
    return from_config({**found, **resize}, f"{name}: timm's pretrained_cfg")


def _create(package: Any, architecture: str, pretrained: bool, name: str) -> Any:
    """The model; position embeddings follow the image's size where the architecture can."""
    for options in ({"dynamic_img_size": True}, {}):
        try:
            return package.create_model(architecture, pretrained=pretrained, num_classes=0, **options)
        except TypeError:
            if not options:
                raise
        except Exception as error:
            if not pretrained:
                raise
            hub = (package.get_pretrained_cfg(architecture) or package.models.PretrainedCfg()).hf_hub_id
            if hub is None:
                raise EncoderError(
                    f"{name}: timm has no pretrained weights for {architecture}. Give a checkpoint: "
                    "timm:NAME@FILE."
                ) from error
            raise hub_error(error, str(hub), name) from error
    raise EncoderError(f"{name}: timm cannot build {architecture}.")


def _fill(package: Any, model: Any, path: Path, name: str) -> None:
    """Load a checkpoint into the model; only a classifier may be left over, and nothing may lack."""
    if not path.is_file():
        raise EncoderError(f"{name}: there is no file {path}. Give the checkpoint's path: timm:NAME@FILE.")
    try:
        state = package.models.load_state_dict(str(path), weights_only=True)
        missing, left_over = model.load_state_dict(state, strict=False)
    except Exception as error:  # OSError, SafetensorError, UnpicklingError, RuntimeError
        raise EncoderError(
            f"{name}: {path.name} cannot be loaded: {one_line(error)}. Check that it is of this model."
        ) from error
    wrong = list(missing) or [key for key in left_over if not key.startswith(_CLASSIFIERS)]
    if wrong:
        raise EncoderError(
            f"{name}: {path.name} does not fit the model, e.g. {wrong[0]}. Check that it is of this model."
        )
