"""The notebooks: percent scripts under docs/notebooks, run, and written as pages with what they print and draw.

`python -m docs_tools.notebooks` runs them and writes the pages.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbclient
import typer

from docs_tools.blocks import DOCS, ROOT
from docs_tools.output import agrees

FOLDER = DOCS / "notebooks"
_TIMEOUT = 300  # seconds a cell
_OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sources() -> list[Path]:
    """The notebooks' scripts."""
    return sorted(FOLDER.glob("*.py"))


def pages() -> list[Path]:
    """The pages that are made from them."""
    return [source.with_suffix(".md") for source in sources()]


def executed(source: Path) -> Any:
    """The notebook of a percent script, run from top to bottom in an empty folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    # The kernel's own backend puts figures into the notebook.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        nbclient.NotebookClient(
            notebook,
            timeout=_TIMEOUT,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        ).execute(env=environment)
    return notebook


def rendered(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """A notebook that was run as Markdown.

    Args:
        notebook: as `executed` returns it.
        name: the page's, without `.md`.

    Returns:
        The page, and its pictures by file name.
    """
    parts = [f"<!-- made from {name}.py by `make docs`: change that file -->"]
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in _joined(cell.outputs):
            if output.output_type == "stream" and output.name == "stdout":
                parts.append(_printed(output.text))
            elif "image/png" in output.get("data", {}):
                picture = f"{name}-{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode(output.data["image/png"])
                parts.append(f"![{_alternative(cell.source)}]({picture})")
            elif "text/plain" in output.get("data", {}):
                parts.append(_printed(output.data["text/plain"]))
    return "\n\n".join(parts) + "\n", pictures


def write(source: Path) -> None:
    """Run a notebook and write its page and pictures."""
    page, pictures = rendered(executed(source), source.stem)
    for old in FOLDER.glob(f"{source.stem}-*.png"):
        old.unlink()
    for name, content in pictures.items():
        (FOLDER / name).write_bytes(content)
    source.with_suffix(".md").write_text(page, encoding="utf-8")


def check(source: Path, *, update: bool = False) -> list[str]:
    """Run a notebook; what differs from its page, one line for each difference."""
    place = str(source.relative_to(ROOT))
    try:
        notebook = executed(source)
    except nbclient.exceptions.CellExecutionError as error:
        return [f"{place}: {error}"]
    page, _ = rendered(notebook, source.stem)
    shown = source.with_suffix(".md").read_text(encoding="utf-8")
    wrong = []
    if without_outputs(page) != without_outputs(shown):
        wrong.append(f"{place}: its page is not made from it; run `python -m docs_tools.notebooks`")
    for now, then in zip(_OUTPUT.findall(page), _OUTPUT.findall(shown), strict=False):
        if not agrees(then, now):
            wrong.append(f"{place}: it prints\n{now}\nand the page shows\n{then}")
    if wrong and update:
        write(source)
    return wrong


def without_outputs(page: str) -> str:
    """A page's own words and code: what its script says, whatever it prints."""
    return _OUTPUT.sub("", page)


def _joined(outputs: list[Any]) -> list[Any]:
    """A cell's outputs, what was printed to one stream in several pieces as one."""
    kept: list[Any] = []
    for output in outputs:
        if kept and output.output_type == kept[-1].output_type == "stream" and output.name == kept[-1].name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def _printed(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _alternative(code: str) -> str:
    """What a cell's figure shows, in its first comment `# figure: ...`."""
    found = re.search(r"^# figure: (.+)$", code, re.MULTILINE)
    if found is None:
        raise ValueError(f"a cell that draws needs a line `# figure: what it shows`; got {code[:60]!r}")
    return found[1]


def main() -> None:
    """Run every notebook and write its page."""
    for source in sources():
        write(source)
        typer.echo(source.with_suffix(".md").relative_to(ROOT))


if __name__ == "__main__":
    typer.run(main)
