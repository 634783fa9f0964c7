"""Whether a command prints what its page says."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_RELATIVE, _ABSOLUTE = (
    0.05,
    0.05,
)  # processors and library versions round otherwise, and a probe is fitted to that


def agrees(shown: str, printed: str) -> bool:
    """Whether printed text is what is shown.

    A line `...` stands for any lines. Spaces do not count, whole numbers are equal, and others nearly so.
    """
    return _lines_agree(_lines(shown), _lines(printed))


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.strip().splitlines() if line.strip()]


def _lines_agree(shown: list[str], printed: list[str]) -> bool:
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(_lines_agree(shown[1:], printed[start:]) for start in range(len(printed) + 1))
    return bool(printed) and line_agrees(shown[0], printed[0]) and _lines_agree(shown[1:], printed[1:])


def line_agrees(shown: str, printed: str) -> bool:
    """Whether two lines say the same in words, and nearly the same in numbers."""
    if _NUMBER.sub("#", shown) != _NUMBER.sub("#", printed):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(_number_agrees(a, b) for a, b in pairs)


def _number_agrees(shown: str, printed: str) -> bool:
    if "." not in shown and "e" not in shown:
        return shown == printed
    a, b = (float(text.replace(",", "")) for text in (shown, printed))
    return abs(a - b) <= max(_ABSOLUTE, _RELATIVE * abs(a))
