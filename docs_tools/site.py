"""MkDocs hooks: pages that lie elsewhere in the repository, and links that hold both there and on the site.

A page links as it would on any host of the repository, `../zoo/README.md`; on the site that file is a page of its own.
Files that are no pages, such as tests and code, are named without a link there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from docs_tools import messages

ROOT = Path(__file__).resolve().parents[1]

# Files of the repository that are pages of the site.
PAGES = {
    "zoo/README.md": "zoo.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "README.md": "index.md",
    "studies/thesis.toml": "how-to/reproduce-the-thesis.md",
}
_MADE = {source: page for source, page in PAGES.items() if page.count("/") == 0 and page != "index.md"}
_LINK = re.compile(r"(?P<bang>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_FENCES = re.compile(r"^( *```.*?^ *```\s*?$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that lie outside docs/."""
    for source, page in _MADE.items():
        if not (ROOT / source).is_file():
            continue  # the navigation then says which page is missing
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "reference/messages.md", content=messages.page()))
    for picture in sorted((ROOT / "zoo" / "images").glob("*")):
        files.append(File.generated(config, f"zoo-images/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Point links that leave docs/ to the pages that stand for them."""
    del config, files
    origin = {made: source for source, made in _MADE.items()}.get(
        page.file.src_uri, f"docs/{page.file.src_uri}"
    )
    parts = _FENCES.split(markdown)
    return "".join(
        part if number % 2 else _LINK.sub(lambda found: _link(found, origin, page.file.src_uri), part)
        for number, part in enumerate(parts)
    )


def _link(found: re.Match[str], origin: str, page: str) -> str:
    """A link of a file of the repository, as the page of the site that it became has it."""
    target, hash_, anchor = found["target"].partition("#")
    if not target or re.match(r"[a-z]+:", target):
        return found[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    if path.startswith("docs/"):
        place = path.removeprefix("docs/")
    elif path in PAGES:
        place = PAGES[path]
    elif path.startswith("zoo/images/"):
        place = path.replace("zoo/images/", "zoo-images/")
    elif (ROOT / path).exists():
        return f"{found['text']} (`{path}`)" if f"`{path}`" != found["text"] else found["text"]
    else:
        raise PluginError(f"{origin} links {found['target']!r}, which is not there")
    relative = posixpath.relpath(place, posixpath.dirname(page) or ".")
    return f"{found['bang']}[{found['text']}]({relative}{hash_}{anchor})"
