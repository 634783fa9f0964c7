"""The grammar `A@FILTER+B@FILTER`: several encoders at once, each behind a filter of its own if asked."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bandprobe.errors import EncoderError, FilterError, did_you_mean
from bandprobe.filters import KINDS, PRESETS, Filter, expand

# What these put into an image comes from another image or is drawn for each one, so they are conditions of a
# study and no part of an encoder.
_CONDITIONS = ("fda", "inject", "noise", "random-lowpass", "random-bandstop")

_LINK = rf"(?:{'|'.join(map(re.escape, (*KINDS, *PRESETS)))})(?=[:+]|$)[^+]*"
_CHAIN = re.compile(rf"@({_LINK}(?:\+{_LINK})*)")
_END = re.compile(rf"\+|@(?={_LINK})|$")
_ALIAS = re.compile(r"[A-Za-z0-9][\w.-]*=")
RANDOM = re.compile(r"random:(?:(\d+):)?")
TOKENS = "#tokens"
LAYER = re.compile(r"#layer(\d+)$")

_LONGEST, _DEEPEST = 4096, 100
_MOST = 10_000  # encoders that one name stands for


class Part(NamedTuple):
    """One encoder of a compound: its name as written, and its own filter's spec, or an empty string."""

    name: str
    spec: str


def split(text: str, folder: Path = Path()) -> list[Part]:
    """The encoders that a name joins, as text; one without a filter where it joins nothing.

    A link that begins with a filter's kind goes on with the filter before it, any other names the next
    encoder. What is on disk under a name that holds + or @ is that file.

    Args:
        text: e.g. `dinov2-giant@lowpass:30px+openclip-vit-g-14`.
        folder: where relative paths start.

    Raises:
        EncoderError: an empty name between two `+`, or a filter where an encoder should stand.
    """
    _check_length(text)
    if _on_disk(text, folder):
        return [Part(text, "")]
    parts, start = [], 0
    while start <= len(text):
        ends = [match.start() for match in _END.finditer(text, start)]
        end = max((e for e in ends if _on_disk(text[start:e], folder)), default=ends[0])
        name, spec = text[start:end], ""
        if chain := _CHAIN.match(text, end):
            spec, end = chain[1], chain.end()
        if (not name and text) or name.partition(":")[0] in KINDS:
            what = f"the filter {name!r} follows no @" if name else "an encoder's name is empty"
            raise EncoderError(f"encoder {text!r}: {what}. Write it like dinov2-base@lowpass:30px+spectral.")
        parts.append(Part(name, spec))
        start = end + 1
    return parts


def own_filters(spec: str, name: str) -> list[Filter]:
    """The filters that the text behind an encoder's @ stands for.

    Args:
        spec: a filter spec; a range or a preset stands for several.
        name: the whole encoder's, for messages.

    Raises:
        EncoderError: no filter, or one that needs more than the image itself.
    """
    kinds = [link.partition(":")[0] for link in spec.split("+")]
    _check_own(kinds, name)
    try:
        found = expand(spec)
    except FilterError as error:
        raise EncoderError(f"encoder {name!r}: {error}") from None
    _check_own([step.kind for chain in found for step in chain.steps], name)  # of what presets hold
    return found


def _check_own(kinds: Sequence[str], name: str) -> None:
    for kind in kinds:
        if kind in _CONDITIONS:
            raise EncoderError(
                f"encoder {name!r}: {kind} cannot be an encoder's own filter, because it needs more than the "
                "image. Make it a condition of the study: --filter."
            )


def expand_names(names: Sequence[str], folder: Path = Path()) -> list[str]:
    """Every encoder that names stand for: ranges and presets in own filters expanded, the order kept.

    Args:
        names: e.g. `["dinov2-giant@lowpass:5..185/5px+openclip-vit-g-14"]`, which stands for 37.
        folder: where relative paths start.

    Raises:
        EncoderError: an own filter is none, or one alias is given to several encoders.
    """
    found: list[str] = []
    for name in names:
        alias, rest = unaliased(name, folder)
        parts = split(rest, folder)
        choices = [
            [f"{part.name}@{spec}" for spec in own_filters(part.spec, name)] if part.spec else [part.name]
            for part in parts
        ]
        if math.prod(map(len, choices)) > _MOST:
            raise EncoderError(
                f"encoder {name!r} stands for more than {_MOST:,} encoders. Take longer steps in its ranges."
            )
        every = ["+".join(chosen) for chosen in itertools.product(*choices)]
        if len(every) == 1:
            found.append(name)
        elif alias:
            raise EncoderError(
                f"encoder {name!r} stands for {len(every)} encoders, which cannot all be called {alias!r}. "
                f"Leave {alias}= out."
            )
        else:
            found.extend(every)
    return found


def anchored(name: str, folder: Path) -> str:
    """An encoder's name with the relative paths in it that are there taken from `folder`.

    Args:
        name: as a study file in that folder has it.
        folder: where its relative paths start.
    """
    alias, rest = unaliased(name, folder)
    parts = [
        _anchored(part.name, folder) + (f"@{part.spec}" if part.spec else "") for part in split(rest, folder)
    ]
    return (f"{alias}=" if alias else "") + "+".join(parts)


def unaliased(name: str, folder: Path = Path()) -> tuple[str, str]:
    """An alias, or an empty string, and what it stands before: `d2=dinov2-base` is `d2`, `dinov2-base`."""
    _check_length(name)
    alias = _ALIAS.match(name)
    if alias is None or not name[alias.end() :] or _there(name, folder):
        return "", name
    return alias[0][:-1], name[alias.end() :]


def _check_length(name: str) -> None:
    """See that a name is not so long, or so deep, that reading it has no end.

    Raises:
        EncoderError: it is.
    """
    deepest = max(map(name.count, ("=", "random:", TOKENS, "#layer")))
    if len(name) > _LONGEST or deepest > _DEEPEST:
        raise EncoderError(
            f"encoder {name[:60]!r}... is too long for a name: at most {_LONGEST:,} characters, and {_DEEPEST} "
            "aliases. Check what was given."
        )


def is_there(text: str) -> bool:
    """Whether a text is the path of something on disk."""
    return _there(text, Path())


def not_a_filter(name: str) -> str:
    """What is wrong with an unknown name that holds an @, or an empty string."""
    link = name.partition("@")[2].partition(":")[0]
    if not link:
        return ""
    return f"unknown filter {link!r} behind @.{did_you_mean(link, KINDS)} `bandprobe filters` lists them."


def _anchored(name: str, folder: Path) -> str:
    before, path, after = _path_in(name)
    if _there(name, folder):
        return f"{before}{(folder / Path(path).expanduser()).resolve()}{after}"
    alias, rest = unaliased(path, folder)
    return f"{before}{alias}={_anchored(rest, folder)}{after}" if alias else name


def _on_disk(name: str, folder: Path) -> bool:
    """Whether a name is one of something on disk, perhaps behind an alias."""
    alias, rest = unaliased(_path_in(name)[1], folder)
    return _there(name, folder) or (bool(alias) and _on_disk(rest, folder))


def _there(name: str, folder: Path) -> bool:
    path = _path_in(name)[1]
    try:
        return bool(path) and (folder / Path(path).expanduser()).exists()
    except (OSError, ValueError, RuntimeError):  # too long for a path, a NUL in it, or nobody's home
        return False


def _path_in(name: str) -> tuple[str, str, str]:
    """A name cut around the part of it that may be a path; that part is empty where there is none."""
    start = match.end() if (match := RANDOM.match(name)) else 0
    end = len(LAYER.sub("", name.removesuffix(TOKENS)))
    for prefix, separator in (("timm:", "@"), ("openclip:", "/"), ("detector:", ":"), ("table:", ":")):
        if name.startswith(prefix, start):
            at = name.find(separator, start + len(prefix.rstrip(separator)), end)
            start = at + 1 if at >= 0 else end
            if prefix == "detector:" and not name.endswith(".onnx"):
                colon = name.rfind(":", start)
                # A module's name is no path, though a folder of that name may be there.
                end = colon if name[start:colon].endswith(".py") else start
    return name[:start], name[start:end], name[end:]
