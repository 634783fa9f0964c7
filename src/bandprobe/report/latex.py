"""Tables in LaTeX: booktabs, intervals as macros, one file a table."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bandprobe.report.page_tables import Cell
from bandprobe.report.printed_tables import INTERVAL, PrintedTable

MARK = "% made by bandprobe report; changes here are lost"
PACKAGES = ("array", "booktabs", "graphicx", "rotating")
_NARROW, _WIDE = 4, 8  # most columns of a table in a text column, and across a page that is not turned
_LONG = 28  # characters from which a column of words is broken into lines

_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_",
    "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "`": r"\textquoteleft{}",
    "[": "{[}", "]": "{]}", "*": r"\textasteriskcentered{}",
    "–": "--", "—": "---", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "→": r"$\to$", "≥": r"$\geq$",
    "≤": r"$\leq$", "±": r"$\pm$", "²": "$^2$", "…": r"\dots{}", "’": "'", "‘": "`", "“": "``", "”": "''",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "°": r"$^\circ$",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030b": "H",
    "\u030c": "v", "\u0304": "=", "\u0306": "u", "\u0307": ".", "\u0327": "c",
}  # fmt: skip
_MACROS = r"""\providecommand{\bandprobeci}[3]{#1\,{\scriptsize[#2,\,#3]}}
\providecommand{\bandprobestack}[3]{\begin{tabular}[c]{@{}c@{}}#1\\[-3pt]{\tiny[#2,\,#3]}\end{tabular}}
"""


def latex_text(text: str) -> str:
    """Words in plain ASCII LaTeX in which no sign is a command, for every engine and font encoding.

    A letter with an accent is set with it; a sign of another script, which a font may lack, as `[U+4E2D]`.
    """
    return "".join(map(_sign, " ".join(text.split())))


def latex_table(printed: PrintedTable, label: str) -> str:
    """A floating table with caption and label.

    Up to 4 columns it takes a text column, up to 8 the page's width, and with more it is turned; a tabular
    that is still too wide is scaled down.

    Args:
        printed: the table; the best of each row, where there is one, is bold.
        label: of the float, letters, digits, dashes and colons.
    """
    view, best = printed.table, printed.best
    count = len(view.columns)
    turned = count > _WIDE
    float_name = "sidewaystable*" if turned else "table" if count <= _NARROW else "table*"
    macro = r"\bandprobestack" if turned else r"\bandprobeci"
    longest = [max((len(row[j].text) for row in view.rows), default=0) for j in range(count)]
    words = [
        j for j in range(count)
        if longest[j] > _LONG and not all(INTERVAL.fullmatch(row[j].text) for row in view.rows)
    ]  # fmt: skip
    columns = "".join(
        _column(j, view.numbers, words, view.rows[0] if view.rows else []) for j in range(count)
    )
    said = " Bold: best of its row, its interval above every other." if best else ""
    heads = [_head(name) for name in view.columns]
    body = [
        " & ".join(_cell(cell, macro, (i, j) in best) for j, cell in enumerate(row)) + r" \\"
        for i, row in enumerate(view.rows)
    ]
    return "\n".join(
        [
            MARK,
            "% \\usepackage{" + ",".join(PACKAGES) + "}",
            _MACROS.rstrip(),
            rf"\begin{{{float_name}}}",
            r"\centering",
            rf"\caption{{{latex_text(view.caption)}.{said}}}",
            rf"\label{{tab:{label}}}",
            r"\smallskip",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            " & ".join(heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            rf"\end{{{float_name}}}",
            "",
        ]
    )


def latex_page(names: Sequence[str]) -> str:
    """A document that shows all tables, to be compiled beside them.

    Args:
        names: of the tables' files.
    """
    packages = "\n".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    parts = "\n".join(rf"\input{{{name}}}" + "\n" + r"\clearpage" for name in names)
    return (
        f"{MARK}\n\\documentclass[10pt]{{article}}\n{packages}\n\\usepackage[margin=1in]{{geometry}}\n"
        f"\\begin{{document}}\n{parts}\n\\end{{document}}\n"
    )


def _column(j: int, numbers: frozenset[int], words: Sequence[int], first: Sequence[Cell]) -> str:
    if j in words:
        return r">{\raggedright\arraybackslash}p{0.26\textwidth}"
    if j in numbers:
        return "r"
    return "l" if not first or first[j].head else "c"


def _head(name: str) -> str:
    """A column's name, each word of a long one on a line of its own."""
    if len(name) <= 14 or " " not in name:
        return latex_text(name)
    lines = [""]
    for word in name.split():
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if len(joined) <= 14 or not lines[-1] else [*lines, word]
    return r"\begin{tabular}[b]{@{}c@{}}" + r"\\".join(map(latex_text, lines)) + r"\end{tabular}"


def _cell(cell: Cell, macro: str, best: bool) -> str:
    match = None if cell.head else INTERVAL.fullmatch(cell.text)
    text = latex_text(cell.text)
    if match:
        value, low, high = map(latex_text, match.groups())
        shown = rf"\textbf{{{value}}}" if best else value
        text = f"{macro}{{{shown}}}{{{low}}}{{{high}}}"
    return text


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign.isascii():
        return sign if sign.isprintable() else " "
    base, *marks = list(unicodedata.normalize("NFD", sign))
    if len(marks) == 1 and marks[0] in _ACCENTS and re.fullmatch("[A-Za-z]", base):
        letter = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] != "\u0327" else base
        return rf"\{_ACCENTS[marks[0]]}{{{letter}}}"
    return f"{{[}}U+{ord(sign):04X}{{]}}"
