"""What pages say of the package is so: commands, settings, filters, functions, messages."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bandprobe import config
from bandprobe.encoders import names as encoder_names
from bandprobe.filters import KINDS
from bandprobe.filters.degradations import FAMILIES
from docs_tools import commands, messages, notebooks
from docs_tools.blocks import DOCS, ROOT, blocks

DEFINITIONS = sorted((DOCS / "definitions").glob("*.md"))
NAMED = re.compile(r"`(bandprobe(?:\.\w+)+)`")


def named(path: str) -> Any:
    """What a dotted name stands for."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(path)


def test_the_command_reference_is_what_the_commands_are() -> None:
    assert commands.PAGE.read_text(encoding="utf-8") == commands.page(), "run `make docs`"


def test_the_command_reference_has_every_command_and_option() -> None:
    import typer.main

    from bandprobe.cli.app import app

    text = commands.PAGE.read_text(encoding="utf-8")
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        for inner, leaf in getattr(command, "commands", {"": command}).items():
            if leaf.hidden or command.hidden:
                continue
            section = text.split(f"## bandprobe {name} {inner}".rstrip() + "\n", 1)[1].split("\n## ", 1)[0]
            for option in leaf.params:
                if option.param_type_name == "option" and not option.hidden:
                    assert all(one in section for one in option.opts), (name, option.opts)


@pytest.mark.parametrize("page", DEFINITIONS, ids=lambda page: page.stem)
def test_every_definition_names_functions_that_are_there(page: Path) -> None:
    found = NAMED.findall(page.read_text(encoding="utf-8"))
    assert len(found) >= 5
    for path in found:
        assert named(path) is not None, path


def test_every_section_of_definitions_names_its_function() -> None:
    silent = []
    for page in DEFINITIONS:
        for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            if not NAMED.search(section):
                silent.append(section.splitlines()[0])
    assert silent == ["The two controls", "Difference view"]  # what stands there is no function of its own


def test_every_formula_becomes_mathml() -> None:
    from docs_tools.formulas import block

    formulas = [one for page in DEFINITIONS for one in blocks(page) if one.language == "math"]
    assert len(formulas) > 25
    for one in formulas:
        made = block(one.text, "math", "math", None, None)
        assert made.count("<math ") == len(one.text.strip().splitlines())
        assert "<merror" not in made
        assert "\\" not in re.sub(r'alttext="[^"]*"', "", made), one.place


def test_every_setting_stands_on_its_page_with_its_default() -> None:
    [whole] = [one for one in blocks(DOCS / "reference" / "study-file.md") if one.title == "everything.toml"]
    shown = config.tomllib.loads(re.sub(r"^# (?=\w+ = )", "", whole.text, flags=re.MULTILINE))
    not_defaults = {("data", "root"), ("data", "limit"), ("run", "batch_size"), ("run", "workers"),
                    ("run", "address"), ("run", "actors"), ("run", "store")}  # fmt: skip
    for section, model in config.Config.model_fields.items():
        if section == "families":
            continue
        fields = getattr(model.annotation, "model_fields")  # noqa: B009 - a model of pydantic
        missing = set(fields) - set(shown[section]) - {"roots", "manifest", "real", "fakes"}
        assert not missing, f"[{section}] {missing}"
        for name, value in shown[section].items():
            default = fields[name].get_default(call_default_factory=True)
            if (section, name) not in not_defaults:
                assert (list(default) if isinstance(default, tuple) else default) == value, (section, name)


def test_every_kind_of_filter_is_listed() -> None:
    text = (DOCS / "reference" / "filters.md").read_text(encoding="utf-8")
    for name in KINDS:
        assert re.search(rf"^{re.escape(name)}\b", text, re.MULTILINE), name


def test_every_degradation_is_listed_with_its_values() -> None:
    page = (DOCS / "reference" / "filters.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    assert rows == [
        f"| `{one.name}` | {one.does} | {', '.join(f'`{spec}`' for spec in one.specs)} | {one.source} |"
        for one in FAMILIES
    ]


def test_every_form_of_an_encoders_name_is_listed() -> None:
    text = (DOCS / "reference" / "encoders.md").read_text(encoding="utf-8")
    for prefix in encoder_names._PREFIXES:
        assert f"`{prefix}:" in text


def test_every_message_that_is_explained_is_one() -> None:
    said = [text for _, text in messages.templates()]
    headings = messages.patterns()
    assert len(headings) > 80
    assert len(set(headings)) == len(headings)
    gone = [heading for heading in headings if not any(messages.explains(heading, text) for text in said)]
    assert gone == []


def test_messages_are_matched_by_their_words() -> None:
    assert messages.explains("no run in …", "no run in …: … is missing or damaged.")
    assert not messages.explains("no run in …", "there is no run in …")
    assert messages.explains("… is damaged…", "the store … is damaged (…)")
    assert not messages.explains("filter … needs …", "needs a filter …")


def test_the_list_of_every_message_has_them() -> None:
    page = messages.page()
    for said in ("no run in …", "unknown filter", "is gated: accept its licence"):
        assert said in page
    assert page.count("\n- ") > 300


@pytest.mark.parametrize("source", notebooks.sources(), ids=lambda path: path.stem)
def test_a_notebooks_page_is_made_from_it(source: Path) -> None:
    """Words and code; what they print is checked where they are run."""
    import jupytext

    page = source.with_suffix(".md").read_text(encoding="utf-8")
    own, _ = notebooks.rendered(jupytext.read(source), source.stem)
    pictures = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n", re.MULTILINE)
    squeezed = [
        re.sub(r"\n+", "\n", pictures.sub("", notebooks.without_outputs(text))).strip()
        for text in (page, own)
    ]
    assert squeezed[0] == squeezed[1], "run `make docs`"
    assert "```text\n" in page


def test_pictures_are_small_and_described() -> None:
    pictures = [*DOCS.rglob("*.png"), *DOCS.rglob("*.jpg")]
    assert sum(path.stat().st_size for path in pictures) < 2_000_000
    for path in pictures:
        assert path.stat().st_size < 150_000, path
        assert Image.open(path).width >= 300, path
    for page in DOCS.rglob("*.md"):
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page}: {target}"
            assert len(words) > 20, f"{page}: {target} needs a description"


def test_pages_say_nothing_of_this_machine() -> None:
    for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.py"), ROOT / "mkdocs.yml"]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"/tmp/(?!demo)|/work/|/root/", text), page
