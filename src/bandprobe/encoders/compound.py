"""Several encoders as one: each sees the images through a filter of its own, and the vectors are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bandprobe.encoders.preprocessing import IDENTITY
from bandprobe.encoders.protocol import DEFINITION, Encoder
from bandprobe.filters import Filter, FilterBank, check
from bandprobe.images.geometry import Geometry


class CompoundEncoder(Encoder):
    """The concatenation of its parts' vectors, in their order. Under a study's condition each part sees that
    condition first and then its own filter, and normalises with its own mean and deviation.

    Args:
        parts: encoders on `device`, each with its own filter, or None.
        name: how the whole is called in tables and messages.
        device: where the parts are.
        precision: what the parts were asked for.
        abs_uint8: whether own filters give what the switch of that name makes of a filtered image.
    """

    def __init__(
        self,
        parts: Sequence[tuple[Encoder, Filter | None]],
        *,
        name: str,
        device: torch.device,
        precision: str,
        abs_uint8: bool = False,
    ) -> None:
        facts = _facts(
            [(part.fingerprint, "none" if own is None else str(own)) for part, own in parts], abs_uint8
        )
        super().__init__(
            name=name,
            dim=sum(part.dim for part, _ in parts),
            device=device,
            precision=precision,
            preprocessing=IDENTITY,
            fingerprint=facts,
        )
        self.parts = tuple(parts)
        self.why_no_gradient = next(
            (part.why_no_gradient for part, _ in self.parts if part.why_no_gradient), ""
        )
        self.is_detector = len(parts) == 1 and parts[0][0].is_detector
        self._abs_uint8 = abs_uint8
        self._banks: dict[tuple[Filter, int, int], FilterBank] = {}

    @property
    def native_geometry(self) -> Geometry | None:
        """The parts' own, where it is the same for all."""
        found = {part.native_geometry for part, _ in self.parts}
        return found.pop() if len(found) == 1 else None

    def check_grid(self, height: int, width: int) -> None:
        """Refuse a size that one of the parts, or its filter, refuses.

        Raises:
            EncoderError: a part does not take height x width.
            FilterError: an own filter passes nothing on that grid.
        """
        for part, own in self.parts:
            part.check_grid(height, width)
            if own is not None:
                check(own, (height, width))

    def _prepared(self, images: Tensor) -> Tensor:
        return images.to(torch.float32)  # each part normalises, in its own precision

    def _embed(self, pixels: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return torch.cat([part.vectors(self._filtered(pixels, own)) for part, own in self.parts], 1)
        return torch.cat([part.embed(self._filtered(pixels, own)) for part, own in self.parts], 1)

    def _filtered(self, images: Tensor, own: Filter | None) -> Tensor:
        if own is None:
            return images
        height, width = images.shape[-2:]
        key = own, height, width
        if key not in self._banks:
            self._banks[key] = FilterBank(
                [own], (height, width), device=self.device, abs_uint8=self._abs_uint8
            )
        ((_, filtered),) = self._banks[key](images)
        return filtered


def compound_fingerprint(parts: Sequence[tuple[Mapping[str, str], str]], precision: str) -> dict[str, str]:
    """The fingerprint of a `CompoundEncoder` of parts that are known by theirs alone, without loading one.

    Args:
        parts: each part's fingerprint and own filter, `none` where it has none.
        precision: what the parts were asked for.
    """
    mean, std = (" ".join(map(repr, values)) for values in (IDENTITY.mean, IDENTITY.std))
    return {"definition": DEFINITION, **_facts(parts), "precision": precision, "mean": mean, "std": std}


def _facts(parts: Sequence[tuple[Mapping[str, str], str]], abs_uint8: bool = False) -> dict[str, str]:
    facts = {"library": "bandprobe", "model_type": "compound", "vector": "concatenation"}
    for number, (fingerprint, own) in enumerate(parts, 1):
        described = {**fingerprint, "filter": own}
        if own != "none" and abs_uint8:
            described["filter_protocol"] = "abs_uint8"
        facts.update({f"part{number}.{key}": value for key, value in described.items()})
    return facts
