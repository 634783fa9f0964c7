"""What the shell offers behind an option. Nothing here loads an array library: a reader waits for each key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Words = Callable[[str], list[str]]

# Said again, because the rooms they come from load such libraries; a test holds them to those.
LAYOUTS = ("auto", "ricker", "forensynths", "genimage", "folders", "table", "roots")
HEADS = ("linear", "mlp", "attention")
LOSSES = ("bce", "focal", "supcon", "triplet")
RECIPES = ("plain", "bands", "radii", "random-lowpass", "random-bandstop", "chosen-cutoff", "leace", "nuisance",
           "stacked")  # fmt: skip
KERNELS = ("gaussian", "exponential", "rational-quadratic")
SPECTRA = ("fft", "fft_hp", "dct", "density", "coherent", "magnitude", "power", "std")
GPUS = ("t4", "v100", "a10", "a100", "l4", "l40s", "h100", "h200", "rtx4090")
PREFIXES = ("openclip:", "timm:", "detector:", "table:", "random:")


def among(*words: str) -> Words:
    """A completion from fixed words."""

    def complete(incomplete: str) -> list[str]:
        return _last(incomplete, ",", words)

    return complete


def filters(incomplete: str) -> list[str]:
    """Kinds and presets; behind `+` or `,` what goes on."""
    from bandprobe.filters import KINDS, PRESETS

    return _last(incomplete, "+,", [*KINDS, *PRESETS])


def encoders(incomplete: str) -> list[str]:
    """Short names, and how the other forms begin; behind `+` or `,` what goes on."""
    from bandprobe.encoders.catalogue import ENTRIES

    return _last(incomplete, "+,", [*ENTRIES, *PREFIXES])


def protocols(incomplete: str) -> list[str]:
    """Protocols and their switches."""
    from bandprobe.protocol import NAMES, SWITCHES

    return _last(incomplete, ",", [*NAMES, *SWITCHES])


def _begun(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _last(incomplete: str, separators: str, words: Iterable[str]) -> list[str]:
    """Complete the last of several values in one word."""
    place = max(incomplete.rfind(separator) for separator in separators) + 1
    return [incomplete[:place] + word for word in _begun(incomplete[place:], words)]
