"""Formulas as MathML, made while the site is built: a reader's browser draws them without any script."""

from __future__ import annotations

import html
from typing import Any

import latex2mathml.converter


def block(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    """A fenced block of LaTeX, a formula a line, as MathML (a custom fence of PyMdown's SuperFences).

    The LaTeX stays as what a screen reader and a search see where MathML is not read.
    """
    del language, options, md
    lines = [line.strip() for line in source.strip().splitlines() if line.strip()]
    rows = [latex2mathml.converter.convert(line, display="block") for line in lines]
    spoken = html.escape("; ".join(lines), quote=True)
    labelled = [row.replace("<math ", f'<math alttext="{spoken}" ', 1) for row in rows]
    return f'<div class="{css_class}" tabindex="0">{"".join(labelled)}</div>'
