"""Several values behind one option: `--filter none identity` means `--filter none --filter identity`."""

from __future__ import annotations

from pathlib import Path


def spread(arguments: list[str]) -> list[str]:
    """Repeat a list option before each further value that can only be its own.

    A word behind `--filter`, `--train-filter`, `--encoder` or `--train-on` is another value where it is a
    filter spec, an encoder, or a training set; anything else, such as a file, stays what it was.
    """
    tests = {
        "--filter": _is_filter,
        "--train-filter": _is_filter,
        "--encoder": _is_encoder,
        "--train-on": _is_set,
    }
    spreaded: list[str] = []
    option = ""
    first = False  # an option's first value is its own, whatever it is
    for word in arguments:
        if first:
            first = False
        elif word in tests:
            option, first = word, True
        elif option and not word.startswith("-") and tests[option](word):
            spreaded.append(option)
        else:
            option = ""
        spreaded.append(word)
    return spreaded


def _is_filter(word: str) -> bool:
    from bandprobe.filters.spec import KINDS, PRESETS

    return word.partition(":")[0].partition("+")[0] in {*KINDS, *PRESETS} and not Path(word).exists()


def _is_encoder(word: str) -> bool:
    from bandprobe.encoders.catalogue import ENTRIES

    if Path(word).exists():
        return any((Path(word) / name).is_file() for name in ("config.json", "open_clip_config.json"))
    return word in ENTRIES or word.startswith(("openclip:", "timm:"))


def _is_set(word: str) -> bool:
    return word in {"each", "families", "all"} or word.startswith("family:")
