"""Tables as columns of plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Control characters, line separators, and the bytes of file names that are no UTF-8 text.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shown(text: object) -> str:
    """A name from outside, fit for one line of a terminal: what would break or colour it stands as an escape."""
    return _UNSHOWN.sub(lambda found: _escaped(found[0]), str(text))


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # how Python keeps a byte that it cannot decode
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


def aligned(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table with two blanks between the columns, numbers to the right."""
    cells = [list(header), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    right = [all(row[at].isdigit() for row in cells[1:]) and len(cells) > 1 for at in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
