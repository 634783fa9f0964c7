"""From an encoder's name to the encoder. Imports neither torch nor transformers until one is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bandprobe import shipped
from bandprobe.encoders.catalogue import ENTRIES, WEIGHTLESS, Entry
from bandprobe.encoders.names import WEIGHTED, Reference, resolve
from bandprobe.encoders.origin import Origin
from bandprobe.errors import EncoderError
from bandprobe.protocol import CORRECTED, Protocol

if TYPE_CHECKING:
    import torch

    from bandprobe.encoders.protocol import Encoder
    from bandprobe.encoders.table import Table


def load(
    name: str,
    *,
    device: str | torch.device = "auto",
    precision: str = "fp32",
    revision: str | None = None,
    protocol: Protocol = CORRECTED,
    compiled: bool = False,
) -> Encoder:
    """The encoder of that name with its weights on `device`, ready to encode.

    Args:
        name: a short name of `catalogue()`, a Hugging Face id, a local folder, `openclip:MODEL/TAG`,
            `timm:NAME`, `timm:NAME@FILE`, `detector:FILE.onnx`, `detector:MODULE:FUNCTION`; `random:` in front
            draws its weights anew (`random:2:` with seed 2), `#tokens` behind gives all its tokens,
            `#layer3` the vector after its third block (see `layers`), `A@FILTER+B` joins several; `alias=` in
            front renames it.
        device: `auto` is the first of CUDA, Apple's GPU and the CPU that is there; or a device of torch.
        precision: of weights and activations: `fp32`, `fp16` or `bf16`.
        revision: a branch, tag or commit on the Hugging Face Hub; the main branch by default.
        protocol: with `imagenet_stats`, ImageNet's mean and deviation for every encoder with weights; with
            `abs_uint8`, an encoder's own filter gives such images.
        compiled: whether encoders with weights go through PyTorch's compiler: some 5 to 10 % faster, after
            twenty seconds to minutes of compiling; vectors change by rounding only.

    Raises:
        EncoderError: the name is unknown, or the encoder cannot be loaded.
        DiskError: the weights cannot be fetched or read.
    """
    reference = resolve(name)
    if revision is not None and reference.kind != "hub":
        raise EncoderError(
            f"revision is for models on the Hugging Face Hub; got {revision!r} for {name!r}. Leave it out."
        )
    return _Loader(device, precision, protocol, compiled, revision)(reference)


def load_all(
    names: Sequence[str],
    *,
    device: str | torch.device = "auto",
    precision: str = "fp32",
    protocol: Protocol = CORRECTED,
    compiled: bool = False,
) -> list[Encoder]:
    """The encoders of those names, as `load`; a part that several of them share is loaded once.

    Raises:
        EncoderError: as `load`.
        DiskError: as `load`.
    """
    references = [resolve(name) for name in names]
    loader = _Loader(device, precision, protocol, compiled)
    return [loader(reference) for reference in references]


def load_again(origins: Sequence[Origin], *, device: str | torch.device = "auto") -> list[Encoder]:
    """Encoders as they were loaded by another process; a part that several of them share is loaded once.

    Raises:
        EncoderError: as `load`.
        DiskError: as `load`.
    """
    loaders: dict[tuple[object, ...], _Loader] = {}
    loaded = []
    for origin in origins:
        asked = origin.precision, origin.protocol, origin.compiled, origin.revision
        loader = loaders.setdefault(asked, _Loader(device, *asked))
        loaded.append(loader(origin.reference))
    return loaded


def load_table(name: str) -> Table:
    """The embeddings of `table:FILE.parquet`.

    Raises:
        EncoderError: the name is no table's, or the file is not usable.
    """
    reference = resolve(name)
    if reference.kind != "table":
        raise EncoderError(f"encoder {name!r} is no table. Give table:FILE.parquet.")
    from bandprobe.encoders import table

    return table.read(Path(reference.target).expanduser(), reference.name)


def catalogue() -> list[Entry]:
    """The encoders with a short name."""
    return list(ENTRIES.values())


class _Loader:
    """Loads encoders the same way, each of them and each of their parts once."""

    def __init__(
        self,
        device: str | torch.device,
        precision: str,
        protocol: Protocol,
        compiled: bool,
        revision: str | None = None,
    ) -> None:
        from bandprobe.encoders.protocol import checked_precision

        self._place = _device(device)
        self._precision = checked_precision(precision)
        self._protocol = protocol
        self._compiled = compiled
        self._revision = revision
        self._loaded: dict[Reference, Encoder] = {}

    def __call__(self, reference: Reference) -> Encoder:
        if reference not in self._loaded:
            encoder = (
                self._compound(reference)
                if reference.parts
                else self._single(reference)
                if reference.layer is None
                else self._layer(reference)
            )
            if self._protocol.imagenet_stats and reference.kind in WEIGHTED:
                from bandprobe.encoders.preprocessing import IMAGENET

                encoder.normalise_with(*IMAGENET)
            if self._compiled and reference.kind in WEIGHTED and not reference.parts:
                encoder.compile()
            encoder.origin = Origin(
                reference, self._precision, self._protocol, self._compiled, self._revision
            )
            self._loaded[reference] = encoder
        return self._loaded[reference]

    def _compound(self, reference: Reference) -> Encoder:
        from bandprobe.encoders.compound import CompoundEncoder

        return CompoundEncoder(
            [(self(part), own) for part, own in reference.parts],
            name=reference.name,
            device=self._place,
            precision=self._precision,
            abs_uint8=self._protocol.abs_uint8,
        )

    def _layer(self, reference: Reference) -> Encoder:
        from bandprobe.encoders.layers import LayerEncoder

        return LayerEncoder(self(reference.whole), reference.layer or 0, reference.name)

    def _single(self, reference: Reference) -> Encoder:
        place, target, name = self._place, reference.target, reference.name
        if reference.kind == "weightless":
            module, _, encoder_class = WEIGHTLESS[target].partition(":")
            made: Encoder = getattr(importlib.import_module(module), encoder_class)(place, name)
            return made
        if reference.kind == "classical":
            from bandprobe.encoders.classical import ClassicalEncoder

            return ClassicalEncoder(target, place, name)
        if reference.kind == "detector":
            from bandprobe.encoders import detector

            return detector.load(target, name=name, device=place)
        if reference.kind == "table":
            raise EncoderError(
                f"{name} holds embeddings computed elsewhere and encodes no image. Use it in a study, or read it "
                "with encoders.load_table."
            )
        if reference.kind in ("openclip", "timm"):
            from bandprobe.encoders import openclip, timm_models

            package = openclip if reference.kind == "openclip" else timm_models
            encoder: Encoder = package.load(
                target, name=name, device=place, precision=self._precision, random=reference.random
            )
            return encoder
        from bandprobe.encoders import checkpoint, huggingface

        weights = reference.random is None
        if reference.kind == "hub":
            files = checkpoint.from_hub(target, name, self._revision, weights=weights)
        else:
            folder = shipped.part(f"encoders/{target}") if reference.kind == "shipped" else Path(target)
            files = checkpoint.from_folder(folder, name, weights=weights)
        return huggingface.load(
            files,
            name=name,
            device=place,
            precision=self._precision,
            random=reference.random,
            tokens=reference.tokens,
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
