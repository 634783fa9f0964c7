"""Markdown tables: read back, they hold the numbers of results.csv; names in them mean nothing."""

from __future__ import annotations

import re

import pytest
from report_runs import minimal_results, photo_record, photo_results, thesis_results, write_run

from bandprobe.cli import run as command
from bandprobe.errors import InputError
from bandprobe.report.arrangement import training_label
from bandprobe.report.markdown import MARK, markdown_table, markdown_text
from bandprobe.report.page_tables import table
from bandprobe.report.printed_tables import PrintedTable
from bandprobe.report.table_files import write_tables

HOSTILE = [
    "a|b", "$x_1$", r"\input{/etc/passwd}", "**bold** _it_ `code`", "<script>alert(1)</script>", "[x](http://y)",
    "a & b &amp; c", "# head\n- list", "~~gone~~", "100 %", "{a}^2~b", "-", 'quote "it"', "né ß 中文 → −1", "tab\there",
]  # fmt: skip


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def plain(text: str) -> str:
    """What a reader of GitHub's Markdown sees of escaped words."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("&amp;", "&")


def read(text: str) -> tuple[list[str], list[list[str]]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return cells(lines[0]), [cells(line) for line in lines[2:]]


@pytest.mark.parametrize("metric", ["auroc", "accuracy"])
def test_a_transfer_grid_read_back_is_the_results(tmp_path, metric):
    results = photo_results(("spectral", "clip-tiny"))
    write_tables(write_run(tmp_path, results), ["markdown"])
    unfiltered = results.query(
        f"encoder == 'clip-tiny' and metric == '{metric}' and filter == 'none' and train_filter == 'none'"
    )
    head, rows = read((tmp_path / "tables" / f"transfer-{metric}-clip-tiny.md").read_text(encoding="utf-8"))
    scale, digits = (100, 1) if metric == "accuracy" else (1, 3)
    column = {training_label(name): name for name in unfiltered["trained_on"].unique()}
    seen = 0
    for row in rows:
        tested = plain(row[0]).partition(" · ")[0]
        for name, cell in zip(head[1:], row[1:], strict=True):
            value, low, high = map(float, re.findall(r"[\d.]+", cell))
            mine = unfiltered[
                (unfiltered["tested_on"] == tested) & (unfiltered["trained_on"] == column[plain(name)])
            ].iloc[0]
            for got, wanted in ((value, "value"), (low, "low"), (high, "high")):
                assert got == pytest.approx(scale * mine[wanted], abs=0.5001 * 10**-digits)
            seen += 1
    assert seen == len(unfiltered) == 4 * 8


def test_every_table_is_there_and_one_page_holds_them_all(tmp_path, capsys):
    write_run(tmp_path, photo_results(("spectral",)), photo_record())
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.md").write_text("my own notes")
    (tmp_path / "tables" / "transfer-auroc-gone.md").write_text(f"{MARK}\n\nof an earlier run")
    assert command(["report", str(tmp_path), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "tables" / "tables.md")
    names = {path.stem for path in (tmp_path / "tables").glob("*.md")}
    assert names == {
        "transfer-auroc-spectral", "transfer-accuracy-spectral", "transfer-pd10-spectral", "families-auroc",
        "families-accuracy", "families-pd10", "cutoffs-spectral", "counts", "tables", "mine",
    }  # fmt: skip
    assert not (tmp_path / "report.html").exists()
    page = (tmp_path / "tables" / "tables.md").read_text(encoding="utf-8")
    for name in names - {"tables", "mine"}:
        body = (tmp_path / "tables" / f"{name}.md").read_text(encoding="utf-8").removeprefix(f"{MARK}\n\n")
        assert f"## {name}\n\n{body}" in page


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_one_cell_and_no_markup(name):
    text = markdown_table(PrintedTable("t", table("a caption", ["x", "y"], [[name, "0.5 [0.4, 0.6]"]])))
    _, ((shown, number),) = read(text)
    assert plain(shown) == " ".join(name.split())
    assert number == "0.5 [0.4, 0.6]"
    bare = re.sub(r"\\.", "", markdown_text(name))
    assert not set("`*_[]<>|$#~\n") & set(bare)
    assert not re.search(r"&(?!amp;)", bare)


def test_the_best_is_bold_where_its_interval_says_so_alone(tmp_path):
    rows = [
        ["clear", "0.90 [0.85, 0.95]", "0.70 [0.65, 0.75]", "0.60 [0.5, 0.84]"],
        ["overlap", "0.90 [0.74, 0.95]", "0.70 [0.65, 0.75]", "–"],
        ["below zero", "−0.30 [−0.40, −0.20]", "−0.10 [−0.15, −0.05]", "–"],
        ["alone", "0.90 [0.85, 0.95]", "–", "–"],
        ["0.99 [0.98, 1.00]", "0.1 [0.0, 0.2]", "0.5 [0.4, 0.6]", "–"],
    ]
    view = table("c", ["who", "a", "b", "c"], rows)
    assert PrintedTable("t", view, compared=True).best == {(0, 1), (2, 2), (4, 2)}
    assert PrintedTable("t", view).best == frozenset()
    text = markdown_table(PrintedTable("t", view, compared=True))
    assert text.count("**") == 6
    assert "**0.90 [0.85, 0.95]**" in text


def test_a_thesis_size_run_and_a_minimal_one(tmp_path):
    write_tables(write_run(tmp_path / "a", thesis_results()), ["markdown"])
    head, rows = read(
        (tmp_path / "a" / "tables" / "transfer-auroc-dinov2-giant.md").read_text(encoding="utf-8")
    )
    assert (len(head), len(rows)) == (1 + 14, 11)
    assert write_tables(write_run(tmp_path / "b", minimal_results()), ["markdown"])
    with pytest.raises(InputError, match="latex or markdown; got 'word'"):
        write_tables(tmp_path / "b", ["word"])
    assert command(["report", str(tmp_path / "b"), "--format", "latx"]) == 2
