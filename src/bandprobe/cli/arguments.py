"""Several values behind one option: `--filter none identity` means `--filter none --filter identity`."""

from __future__ import annotations

import re
from pathlib import Path

from bandprobe.cli import completion


def spread(arguments: list[str]) -> list[str]:
    """Repeat a list option before each further value that can only be its own.

    A word behind an option that takes several is another value where it is a filter spec, an encoder, a
    training set, or one of the option's own words; anything else, such as a file, stays what it was.
    """
    tests = {
        "--filter": _is_filter,
        "--train-filter": _is_filter,
        "--encoder": _is_encoder,
        "--train-on": _is_set,
        "--augment": _is_filter,
        "--method": ("tsne", "pca", "umap").__contains__,
        "--kind": _is_kind,
        "--format": ("html", "latex", "markdown").__contains__,
        "--paper": ("cvpr", "iclr", "ieee").__contains__,
        "--recipe": completion.RECIPES.__contains__,
        "--by": ("generator", "family").__contains__,
        "--track": ("tensorboard", "mlflow", "wandb").__contains__,
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
    from bandprobe.filters import KINDS, PRESETS

    return re.split("[:+,]", word)[0] in {*KINDS, *PRESETS} and not Path(word).exists()


def _is_encoder(word: str) -> bool:
    from bandprobe.encoders.catalogue import ENTRIES
    from bandprobe.encoders.compound_names import LAYER, TOKENS, split
    from bandprobe.errors import EncoderError

    word = LAYER.sub("", word.removesuffix(TOKENS))
    name, equals, renamed = word.partition("=")
    if equals and re.fullmatch(r"[\w.-]+", name):  # another name for an encoder, or a root of data
        return not Path(renamed).exists() and _is_encoder(renamed)
    if Path(word).exists():
        return any((Path(word) / name).is_file() for name in ("config.json", "open_clip_config.json"))
    try:
        parts = split(word)
    except EncoderError:
        return False
    if len(parts) > 1 or parts[0].spec:  # what it joins need not all be known by sight
        return any(_is_encoder(part.name) for part in parts)
    known = ("openclip:", "timm:", "detector:", "table:", "random:")
    return word in ENTRIES or word.startswith(known)


def _is_set(word: str) -> bool:
    return word in {"each", "families", "all"} or word.startswith("family:")


def _is_kind(word: str) -> bool:
    from bandprobe.metrics.spectrum_kinds import WORDS

    return word in WORDS
