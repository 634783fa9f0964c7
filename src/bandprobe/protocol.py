"""What the published code did otherwise, each as a switch that is off unless asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from bandprobe.errors import InputError, did_you_mean

NAMES = ("corrected", "thesis")


@dataclass(frozen=True)
class Protocol:
    """The switches; `docs/protocol.md` says of each why it matters.

    Attributes:
        abs_uint8: a filtered image is the absolute value of the inverse FFT, truncated to 8 bits and
            wrapping above 255.
        resize_mismatch: filtered images are resized with anti-aliasing, unfiltered ones without.
        imagenet_stats: every encoder's pixels are normalised with ImageNet's mean and deviation.
        batch_metrics: PD, AUROC, F1, precision and recall are means over mini-batches of 128.
        fda_relabel: a real image adapted to a fake reference counts as fake.
        biased_mmd: the kernel's diagonal stays, the bandwidth is estimated anew for each pair.
        adm_validation: every probe is selected on ADM's validation images.
        threshold_half: fake is what has a probability of one half or more, not what validation says.
        resampled_test: 1,000 test images are drawn anew for every condition.
        thesis_optimiser: Adam, 5 epochs, 75 % of the batches, flips, embeddings as they come.
        spectrum_lowpass: spectra are those of images under a low-pass of 5 px.
        sigmoid_head: a sigmoid stands before the loss that has one of its own.

    Source:
        The code published with J. Wustl, *The Role of Middle Frequencies in General Deepfake Detection*
        (2024).
    """

    abs_uint8: bool = False
    resize_mismatch: bool = False
    imagenet_stats: bool = False
    batch_metrics: bool = False
    fda_relabel: bool = False
    biased_mmd: bool = False
    adm_validation: bool = False
    threshold_half: bool = False
    resampled_test: bool = False
    thesis_optimiser: bool = False
    spectrum_lowpass: bool = False
    sigmoid_head: bool = False

    @classmethod
    def parse(cls, words: str | Iterable[str]) -> Protocol:
        """The protocol that words name.

        Args:
            words: `corrected`, `thesis` (every switch but `sigmoid_head`), the names of switches, joined by
                commas or one an item; a name with `-` before it turns that switch off again.

        Raises:
            InputError: an unknown word; the nearest known one is named.
        """
        given = words.split(",") if isinstance(words, str) else list(words)
        on: dict[str, bool] = {}
        for word in (text.strip() for text in given):
            name = word.removeprefix("-")
            if word == "thesis":
                on.update({switch: switch != "sigmoid_head" for switch in SWITCHES})
            elif name in SWITCHES:
                on[name] = word == name
            elif word != "corrected":
                raise InputError(
                    f"protocol has no switch {word!r}.{did_you_mean(name, [*NAMES, *SWITCHES])} Known: "
                    f"{', '.join([*NAMES, *SWITCHES])}."
                )
        return cls(**on)

    @property
    def on(self) -> tuple[str, ...]:
        """The switches that are on."""
        return tuple(name for name in SWITCHES if getattr(self, name))

    def __str__(self) -> str:
        """The shortest words that parse to it: `corrected`, `thesis`, or the names of its switches."""
        named = {CORRECTED: "corrected", THESIS: "thesis"}
        return named.get(self) or ",".join(self.on)


SWITCHES = tuple(field.name for field in fields(Protocol))
CORRECTED = Protocol()
THESIS = Protocol.parse("thesis")
