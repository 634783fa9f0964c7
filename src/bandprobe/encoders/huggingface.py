"""Encoders through transformers: from the Hugging Face Hub or from a local folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from bandprobe.encoders import openclip_format
from bandprobe.encoders.blocks import Block, of_transformers
from bandprobe.encoders.checkpoint import Checkpoint, one_line, sha256, state_sha256
from bandprobe.encoders.extras import hide_broken_torchvision
from bandprobe.encoders.initialisation import drawn
from bandprobe.encoders.preprocessing import Preprocessing, read, read_json
from bandprobe.encoders.protocol import DTYPES, Encoder, checked_precision
from bandprobe.encoders.towers import GENERIC, TOWERS, Tower, has_class_token, of_tokens
from bandprobe.errors import EncoderError

# What a configuration says about the file and not about the model.
_BOOKKEEPING = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"}


class HuggingFaceEncoder(Encoder):
    """One image tower of transformers. `load` makes it."""

    def __init__(
        self,
        model: Any,
        tower: Tower,
        *,
        name: str,
        dim: int,
        device: torch.device,
        precision: str,
        preprocessing: Preprocessing,
        fingerprint: Mapping[str, str],
        tokens: bool = False,
    ) -> None:
        super().__init__(
            name=name,
            dim=dim,
            device=device,
            precision=precision,
            preprocessing=preprocessing,
            fingerprint=fingerprint,
        )
        self._model = model.to(device=device, dtype=DTYPES[precision]).requires_grad_(False).eval()
        self._tower = tower
        self._tokens = tokens
        vision = getattr(model.config, "vision_config", model.config)
        self._patch = _pair(getattr(vision, "patch_size", None))
        self._native = _pair(getattr(vision, "image_size", None))
        self._proven: set[tuple[int, int]] = set()

    def check_grid(self, height: int, width: int) -> None:
        """Refuse a size that is not whole patches: the model would drop the rim without a word.

        The size the model was made for is taken in any case (SigLIP's 384 px in patches of 14 leave
        a rim by its authors' own definition).

        Raises:
            EncoderError: height or width is not a multiple of the patch, or the model refuses it.
        """
        grid = (height, width)
        if grid in self._proven:
            return
        if self._patch and grid != self._native and (height % self._patch[0] or width % self._patch[1]):
            size = "x".join(map(str, sorted(set(self._patch))))
            near = max(1, round(height / self._patch[0])) * self._patch[0]
            raise EncoderError(
                f"{self.name} takes heights and widths that are multiples of its patch, {size}; got "
                f"{height} x {width}. Resize the images, e.g. geometry squash:{near}."
            )
        if not self._patch or self._tower is GENERIC:
            try:
                self.embed(torch.zeros((1, 3, height, width), device=self.device))
            except (RuntimeError, ValueError) as error:
                raise EncoderError(
                    f"{self.name} does not take images of {height} x {width}: {one_line(error)}. Resize "
                    "them, e.g. geometry squash:224."
                ) from error
        self._proven.add(grid)

    def tokens_on(self, height: int, width: int) -> int:
        """How many tokens an image of height x width has: the class token and its whole patches, or 1."""
        if not self._tokens or self._patch is None:
            return 1
        return ("class" in self._tower.tokens) + (height // self._patch[0]) * (width // self._patch[1])

    def blocks(self) -> list[Block]:
        """See `blocks.of_transformers`."""
        return [] if self._tokens else of_transformers(self._model)

    def _embed(self, pixels: Tensor) -> Tensor:
        return self._tower.forward(self._model, pixels)


def load(
    checkpoint: Checkpoint,
    *,
    name: str,
    device: torch.device,
    precision: str = "fp32",
    random: int | None = None,
    tokens: bool = False,
) -> HuggingFaceEncoder:
    """The encoder in a checkpoint: its image tower alone, with the weights on `device`.

    Which vector is taken: DINOv2, DINOv3 ViT, ViT and MAE give the class token after the final norm (MAE
    with no patch masked), DINOv3 ConvNeXt its pooled output, CLIP the image tower after the projection,
    not normalised, SigLIP and SigLIP 2 the output of their attention pooling. Any other vision model
    gives the image features where it also has a text tower, else its class token, else its pooled output,
    else the mean over positions. Position embeddings are interpolated by the model's own rule where the
    grid is not the one it was trained on.

    Args:
        checkpoint: in the format of transformers, or of open_clip, which is converted.
        name: how the encoder is called in tables and messages.
        device: where it runs.
        precision: `fp32`, `fp16` or `bf16`.
        random: the seed of weights drawn by transformers' own initialisation; None for the checkpoint's.
        tokens: whether the vector is all tokens after the final norm, flattened, the class token first and
            registers left out.

    Raises:
        EncoderError: not a vision model, an unknown architecture, weights that are missing or damaged.
    """
    checked_precision(precision)
    hide_broken_torchvision()
    with _quiet_transformers(), contextlib.nullcontext() if random is None else drawn(random):
        if checkpoint.open_clip:
            config = read_json(checkpoint.folder / "open_clip_config.json")
            if random is None:
                state = openclip_format.read_visual(checkpoint.weights[0], name)
                model = openclip_format.convert_visual(state, config, name)
            else:
                model = openclip_format.build_visual(config, name)
            tower = of_tokens(TOWERS["clip"], name) if tokens else TOWERS["clip"]
            model_type, described = "open_clip", openclip_format.described(config)
            preprocessing = openclip_format.preprocessing(config, name)
        else:
            raw = read_json(checkpoint.folder / "config.json")
            model, tower = _load_tower(checkpoint, raw, name, DTYPES[precision], random, tokens)
            model_type, described = str(raw["model_type"]), _described(raw)
            preprocessing = read(checkpoint.folder, model_type, name)
    dim = _width(model, tower, name)
    return HuggingFaceEncoder(
        model,
        tower,
        name=name,
        dim=dim,
        device=device,
        precision=precision,
        preprocessing=preprocessing,
        fingerprint={
            "library": "transformers",
            "model_type": model_type,
            "config": _digest(described),
            "vector": tower.vector,
            "revision": checkpoint.revision,
            "weights": sha256(checkpoint.weights) if random is None else state_sha256(model),
            **({} if random is None else {"random": str(random)}),
            **({"tokens": tower.tokens, "token_dim": str(dim)} if tokens else {}),
        },
        tokens=tokens,
    )


def _load_tower(
    checkpoint: Checkpoint,
    raw: Mapping[str, Any],
    name: str,
    dtype: torch.dtype,
    random: int | None,
    tokens: bool,
) -> tuple[Any, Tower]:
    """The model with its weights, every one of them from the checkpoint, or every one of them drawn."""
    import transformers

    folder = checkpoint.folder
    model_type = raw.get("model_type")
    if not isinstance(model_type, str):
        raise EncoderError(
            f"{name}: config.json names no model_type, so it is not of transformers. For a timm model "
            "write timm:NAME."
        )
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(
            f"{name}: transformers {transformers.__version__} cannot use config.json (model_type "
            f"{model_type!r}): {one_line(error)}. Check the file, or upgrade transformers."
        ) from error
    tower = TOWERS.get(model_type, GENERIC)
    if tower is GENERIC:
        model_class = _vision_class(config, name)
    else:
        model_class = getattr(transformers, tower.model)
        config = _vision_config(config)
    if tokens:
        tower = of_tokens(tower, name)
    if getattr(config, "vision_use_head", True) is False:
        raise EncoderError(f"{name} was saved without its pooling head. Choose a checkpoint that has it.")
    if model_type == "vit_mae":
        config.mask_ratio = 0.0
    options = {"attn_implementation": "sdpa"} if getattr(model_class, "_supports_sdpa", False) else {}
    if random is not None:
        # In fp32 whatever the file was saved in, so that one seed gives one model.
        return model_class._from_config(config, dtype=torch.float32, **options), tower
    try:
        model, report = model_class.from_pretrained(
            folder, config=config, dtype=dtype, weights_only=True, output_loading_info=True, **options
        )
    except Exception as error:  # OSError, RuntimeError, ValueError, SafetensorError, UnpicklingError
        raise EncoderError(
            f"{name}: the weights cannot be loaded: {one_line(error)}. Fetch the checkpoint again."
        ) from error
    unused = tower.unused
    if tower is GENERIC and has_class_token(model):
        unused += ("pooler.",)
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unused))
    if missing:
        raise EncoderError(
            f"{name}: {len(missing)} of the image tower's weights are not in the checkpoint, such as "
            f"{missing[0]}. Save the whole model (for CLIP with its projection), or fetch it again."
        )
    return model, tower


def _vision_config(config: Any) -> Any:
    """The image tower's configuration in a two-tower model's, the configuration itself otherwise."""
    vision = getattr(config, "vision_config", None)
    if vision is None:
        return config
    if hasattr(config, "projection_dim"):
        vision.projection_dim = config.projection_dim  # older files keep it at the top alone
    return vision


def _vision_class(config: Any, name: str) -> Any:
    """The class that AutoModel would take for an architecture without a row in `TOWERS`."""
    import transformers

    try:
        model_class = transformers.MODEL_MAPPING[type(config)]
    except KeyError:
        model_class = None
    if isinstance(model_class, (list, tuple)):
        model_class = model_class[0]
    takes_pixels = getattr(model_class, "main_input_name", None) == "pixel_values"
    if model_class is None or not (takes_pixels or hasattr(model_class, "get_image_features")):
        raise EncoderError(
            f"{name} is no vision model (model_type {config.model_type!r}). Give an image encoder "
            "such as dinov2-base."
        )
    return model_class


def _width(model: Any, tower: Tower, name: str) -> int:
    """The length of the vector: from the configuration, or by asking once."""
    if tower is not GENERIC:
        sizes = getattr(model.config, "hidden_sizes", None)
        return int(sizes[-1] if sizes else getattr(model.config, tower.width))
    vision = getattr(model.config, "vision_config", model.config)
    side = _pair(getattr(vision, "image_size", None)) or (224, 224)
    with torch.inference_mode():
        vector = tower.forward(model, torch.zeros(1, 3, *side, dtype=model.dtype))
    if vector.ndim != 2:
        raise EncoderError(f"{name} gives no single vector an image; got shape {tuple(vector.shape)}.")
    return int(vector.shape[1])


def _described(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What of `config.json` decides the vector: the image tower's part of a two-tower model that is known."""
    described, vision = dict(raw), raw.get("vision_config")
    if raw.get("model_type") in TOWERS and isinstance(vision, dict):
        described = {**vision, "projection_dim": raw.get("projection_dim")}
    return {key: value for key, value in described.items() if key not in _BOOKKEEPING}


def _digest(content: Mapping[str, Any]) -> str:
    """A short name for a JSON object's content, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(side, int) for side in value):
        return int(value[0]), int(value[1])
    return None


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bars and no warnings of transformers' own while a model is loaded."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
