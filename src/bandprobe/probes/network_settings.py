"""How a network is trained on images."""

from __future__ import annotations

from dataclasses import dataclass

PRECISIONS = ("32", "16-mixed", "bf16-mixed")


@dataclass(frozen=True)
class Settings:
    """The choices of an end-to-end training.

    Attributes:
        head: see `heads.HEADS`.
        loss: see `losses.LOSSES`.
        augment: filter specs, each with `@PROBABILITY` behind it or one half.
        unfreeze: whether the encoder's weights are trained too.
        precision: of the training's forward and backward pass: `32`, `16-mixed` or `bf16-mixed`. What comes
            after training, and the probe, is in full precision.
        epochs: at most so many.
        patience: epochs without a lower validation loss before it stops.
        batch: images a batch.
        rate: AdamW's learning rate for the head.
        encoder_rate: the same for the encoder's weights.
        decay: of the weights.
    """

    head: str = "linear"
    loss: str = "bce"
    augment: tuple[str, ...] = ()
    unfreeze: bool = False
    precision: str = "32"
    epochs: int = 20
    patience: int = 3
    batch: int = 64
    rate: float = 1e-3
    encoder_rate: float = 1e-5
    decay: float = 1e-2
