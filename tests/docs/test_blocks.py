"""Every code block of the pages is well formed, and the checker finds what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs_tools import blocks as pages_blocks
from docs_tools.blocks import ROOT, blocks, commands, pages, prepared
from docs_tools.check import IN_TESTS, write_outputs
from docs_tools.output import agrees
from docs_tools.parsing import SHOWN, parse
from docs_tools.running import Page, run_page

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_parses(page: Path) -> None:
    for block in blocks(page):
        parse(block)
        assert not block.not_run or len(block.not_run.split()) >= 3, f"{block.place}: no reason in words"


def test_there_is_much_to_run_and_little_that_is_not() -> None:
    every = [block for page in PAGES for block in blocks(page) if block.language in ("bash", "python")]
    run = [block for block in every if not block.not_run and not block.title]
    assert len(run) > 40
    assert len({block.page for block in run}) > 10


def test_tests_that_stand_for_a_page_name_it() -> None:
    for page, test in IN_TESTS.items():
        assert f'"{page.name}"' in test.read_text(encoding="utf-8")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pages_blocks, "ROOT", tmp_path)
    return tmp_path / "page.md"


def test_blocks_are_read_with_their_marks(page: Path) -> None:
    page.write_text(
        "<!-- desk: run -->\n\n```bash\nbandprobe filters\n```\n```text\nout\n```\n\n"
        "<!-- not run: needs a GPU here -->\n"
        '```python\nx = 1\n```\n\nwords\n\n```text\napart\n```\n\n```toml title="a.toml"\n[data]\n```\n',
        encoding="utf-8",
    )
    first, second, apart, titled = blocks(page)
    assert (first.language, first.output, first.output_line) == ("bash", "out\n", 6)
    assert (second.not_run, second.output, second.line) == ("needs a GPU here", None, 11)
    assert (apart.language, titled.title) == ("text", "a.toml")
    assert prepared(page) == ("run",)


def test_commands_are_joined_over_lines(page: Path) -> None:
    page.write_text("```bash\n# nothing\na \\\n  b # c\npython -c '\nx\n'\n```\n", encoding="utf-8")
    assert commands(blocks(page)[0]) == ["a    b # c", "python -c '\nx\n'"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bash\nbandprobe no-such-command", "no command 'no-such-command'"),
        ("bash\nbandprobe score a.png --probe x --no-such-option", "--no-such-option"),
        ("bash\nls && bandprobe store no-such", "no command 'no-such'"),
        ("bash\nmake no-such-target", "no target 'no-such-target'"),
        ("python\nx = = 1", "invalid syntax"),
        ('toml\n[data]\nroot = "a"\nlayuot = "auto"', "layuot"),
        ('toml\ntitle = "Ours"\nparts = [{name = "a", fiels = []}]', "fiels"),
        ("json\n{", "Expecting"),
        ("fortran\nEND", "fortran"),
    ],
)
def test_what_is_wrong_is_found(page: Path, text: str, reason: str) -> None:
    (page.parent / "Makefile").write_text("demo:\n", encoding="utf-8")
    page.write_text(f"```{text}\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        parse(blocks(page)[0])


def test_a_page_is_run_and_held_to_what_it_shows(page: Path, tmp_path: Path) -> None:
    page.write_text(
        "```python\nx = 3\nprint(x, 0.501)\n```\n```text\n3 0.5\n```\n"
        "```bash\necho $((1 + 1)) | tr 2 5\n```\n```text\n5\n```\n"
        "<!-- exits with 2 -->\n```bash\nbandprobe index nowhere\n```\n"
        "```python\nprint(x + 1)\n```\n```text\n5\n```\n",
        encoding="utf-8",
    )
    desk = tmp_path / "desk"
    desk.mkdir()
    done = run_page(page, desk)
    assert done.ran == 4
    [failure] = done.failures
    assert "it prints\n4" in failure
    assert "page.md:18" in failure


def test_what_was_printed_is_written_into_the_page(page: Path, tmp_path: Path) -> None:
    page.write_text(
        "```python\nprint(1)\nprint(2)\n```\n```text\nold\n```\n\n```python\nprint(3)\n```\n```text\n...\n9\n```\n",
        encoding="utf-8",
    )
    done: Page = run_page(page, tmp_path, compare=False)
    write_outputs(done)
    text = page.read_text(encoding="utf-8")
    assert "```text\n1\n2\n```\n" in text
    assert "...\n9\n" in text  # what leaves lines out is a hand's work
    assert [failure for failure in run_page(page, tmp_path).failures if "it prints\n3" in failure]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a  b", "a b\n", True),
        ("0.51 of 12", "0.54 of 12", True),
        ("0.51 of 12", "0.61 of 12", False),
        ("0.51 of 12", "0.51 of 13", False),
        ("103.0 s", "100.1 s", True),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nd", True),
        ("a\n...\nd", "a\nb", False),
        ("a", "a\nb", False),
        ("1,000.5", "1,000.6", True),
        ("v1.2", "v1.3", False),
    ],
)
def test_outputs_agree_up_to_rounding(shown: str, printed: str, same: bool) -> None:
    assert agrees(shown, printed) is same


def test_languages_that_are_only_shown_are_not_parsed(page: Path) -> None:
    assert {"text", "math"} <= SHOWN
    page.write_text("```math\n\\frac{1}\n```\n", encoding="utf-8")
    parse(blocks(page)[0])
