"""An encoder's layers: the vector behind each block, all of them from one forward pass.

`NAME#layer3` is the encoder NAME up to and through its third block; what is taken there is what a probe could
read at that depth: the class token as the block leaves it, before the norm and the projection that follow the
last one, or the mean over patch tokens or positions where there is no class token (see `blocks`). NAME itself
stays what it is: the whole encoder's own output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import local
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from bandprobe.encoders.names import Reference, no_layers, resolve
from bandprobe.encoders.protocol import Encoder
from bandprobe.errors import EncoderError
from bandprobe.images.geometry import Geometry

# Which layers are asked for: every one, or some by number, counted from 1.
Layers: TypeAlias = "Literal['all'] | Sequence[int]"


class LayerEncoder(Encoder):
    """An encoder up to and through one of its blocks.

    Args:
        whole: the encoder; its weights are shared, not copied.
        layer: the block, counted from 1.
        name: how the layer is called in tables and messages.

    Raises:
        EncoderError: the encoder has no blocks, or fewer.
    """

    def __init__(self, whole: Encoder, layer: int, name: str) -> None:
        tap = _tap(whole)
        depth = len(tap.blocks)
        if not 1 <= layer <= depth:
            raise EncoderError(f"{whole.name} has layers 1 to {depth}; got #layer{layer}.")
        block = tap.blocks[layer - 1]
        taken = f"{block.vector} after block {layer} of {depth}, no norm after it"
        super().__init__(
            name=name,
            dim=block.dim,
            device=whole.device,
            precision=whole.precision,
            preprocessing=whole.preprocessing,
            fingerprint={**whole.fingerprint, "vector": taken, "layer": str(layer), "layers": str(depth)},
        )
        self.why_no_gradient = whole.why_no_gradient
        self.whole, self.layer = whole, layer

    @property
    def nbytes(self) -> int:
        """Bytes of the whole encoder's weights."""
        return self.whole.nbytes

    @property
    def native_geometry(self) -> Geometry | None:
        """The whole encoder's."""
        return self.whole.native_geometry

    def check_grid(self, height: int, width: int) -> None:
        """Refuse a size that the whole encoder refuses.

        Raises:
            EncoderError: it does not take height x width.
        """
        self.whole.check_grid(height, width)

    def compile(self) -> None:
        """A pass that stops at a block is not compiled."""

    def _embed(self, pixels: Tensor) -> Tensor:
        return _passed(self.whole, pixels, {self.layer}, through=False)[self.layer]


def depth(encoder: Encoder) -> int:
    """How many layers an encoder has.

    Raises:
        EncoderError: it has no blocks.
    """
    return len(_tap(encoder).blocks)


def depth_of(reference: Reference) -> int:
    """How many layers an encoder has, from its configuration: no weights are fetched or read.

    Raises:
        EncoderError: it has no blocks, or its architecture is unknown.
        DiskError: its configuration is neither known here nor on disk, and cannot be fetched.
    """
    from bandprobe.encoders.flops import untrained
    from bandprobe.encoders.names import WEIGHTED

    if reference.kind not in WEIGHTED or reference.tokens or reference.layer is not None:
        raise EncoderError(f"encoder {reference.name!r}: {no_layers(reference.name)}")
    return depth(untrained(reference))


def with_layers(names: Sequence[str], layers: Layers) -> list[str]:
    """Encoders' names with their layers before each: `micro-dino#layer1`, ..., `micro-dino`.

    Args:
        names: encoders; the output of each stays among what is returned.
        layers: `all`, or numbers counted from 1; none leaves the names as they are.

    Raises:
        EncoderError: an encoder has no blocks, or not so many.
        DiskError: as `depth_of`.
    """
    if not layers:
        return list(names)
    found = []
    for name in names:
        reference = resolve(name)
        if reference.layer is not None:
            raise EncoderError(
                f"encoder {name!r} is a layer already; leave it or the choice of layers ({_words(layers)}) out."
            )
        there = depth_of(reference)
        wanted = list(range(1, there + 1)) if layers == "all" else sorted({int(one) for one in layers})
        if wrong := [one for one in wanted if not 1 <= one <= there]:
            raise EncoderError(f"{reference.name} has layers 1 to {there}; got {wrong[0]}.")
        found += [f"{name}#layer{number}" for number in wanted] + [name]
    return found


def parse_layers(text: str) -> Layers:
    """Layers from the command line: `all`, or numbers with commas between; an empty text is none.

    Raises:
        EncoderError: neither.
    """
    words = text.strip()
    if words == "all":
        return "all"
    parts = [part.strip() for part in words.split(",")] if words else []
    if not all(part.isdecimal() for part in parts):
        raise EncoderError(f"layers must be all, or numbers such as 1,4,12; got {text!r}.")
    return tuple(map(int, parts))


def whole_of(encoder: Encoder) -> Encoder:
    """The encoder whose forward pass gives another's vectors: itself, but for a layer."""
    return encoder.whole if isinstance(encoder, LayerEncoder) else encoder


def wholes(encoders: Iterable[Encoder]) -> list[Encoder]:
    """The encoders whose passes give the vectors of all, each once."""
    return list({id(whole): whole for whole in map(whole_of, encoders)}.values())


def embed_together(encoders: Sequence[Encoder], images: Tensor) -> Iterator[list[tuple[Encoder, Tensor]]]:
    """The vectors of several encoders, layers of one encoder and its output from one pass.

    Args:
        encoders: on one device.
        images: shape (n, 3, h, w), floating point, on that device.

    Yields:
        For each forward pass the encoders it serves, in their order, each with float32 vectors (n, dim).
    """
    groups: dict[int, list[Encoder]] = {}
    for encoder in encoders:
        groups.setdefault(id(whole_of(encoder)), []).append(encoder)
    for members in groups.values():
        whole = whole_of(members[0])
        if len(members) == 1:
            yield [(members[0], members[0].embed(images))]
            continue
        layers = {one.layer for one in members if isinstance(one, LayerEncoder)}
        with torch.inference_mode():
            found = _passed(whole, whole._prepared(images), layers, through=whole in members)
        yield [
            (one, found[one.layer if isinstance(one, LayerEncoder) else 0].to(torch.float32))
            for one in members
        ]


@dataclass
class _Caught:
    """What one pass in one thread is to catch, and has caught."""

    wanted: frozenset[int]
    last: int  # behind this block the pass may stop; 0 where it may not
    vectors: dict[int, Tensor] = field(default_factory=dict)


class _Reached(Exception):  # noqa: N818 - an outcome, not an error
    """The last block that is wanted has been run."""


class _Tap:
    """Hooks on an encoder's blocks. Threads pass through one model at once: each has its own catch."""

    def __init__(self, whole: Encoder) -> None:
        self.blocks = whole.blocks()
        if not self.blocks:
            raise EncoderError(no_layers(whole.name))
        self.catching = local()
        for number, block in enumerate(self.blocks, 1):
            block.module.register_forward_hook(self._hook(number))

    def _hook(self, number: int) -> Any:
        def hook(_module: object, _given: object, output: Any) -> None:
            caught: _Caught | None = getattr(self.catching, "now", None)
            if caught is None or number not in caught.wanted:
                return
            # Copied: a class token is a view that would keep every other token of its block.
            caught.vectors[number] = self.blocks[number - 1].take(output).clone()
            if number == caught.last:
                raise _Reached

        return hook


def _tap(whole: Encoder) -> _Tap:
    """The hooks on an encoder, set when first asked for; from then on its passes are not compiled."""
    if whole.tap is None:
        whole.tap = _Tap(whole)
        whole._forward = whole._embed
    tap: _Tap = whole.tap
    return tap


def _passed(whole: Encoder, pixels: Tensor, layers: Collection[int], *, through: bool) -> dict[int, Tensor]:
    """One pass: the vectors behind some blocks by number and, where it goes through to the end, the output as 0."""
    tap = _tap(whole)
    caught = _Caught(frozenset(layers), 0 if through else max(layers))
    tap.catching.now = caught
    try:
        output = whole._embed(pixels)
    except _Reached:
        return caught.vectors
    finally:
        tap.catching.now = None
    return {**caught.vectors, 0: output}


def _words(layers: Layers) -> str:
    return layers if isinstance(layers, str) else ",".join(map(str, layers))
