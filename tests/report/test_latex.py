"""LaTeX tables: they compile, or at least are whole; names in them are words."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from report_runs import photo_record, photo_results, thesis_results, write_run
from test_markdown import HOSTILE

from bandprobe.report.latex import latex_table, latex_text
from bandprobe.report.page_tables import table
from bandprobe.report.printed_tables import PrintedTable
from bandprobe.report.table_files import write_tables


def _latex() -> bool:
    """Whether there is a LaTeX with the package that the tables need."""
    if shutil.which("pdflatex") is None:
        return False
    found = subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, check=False)
    return found.returncode == 0


needs_latex = pytest.mark.skipif(
    not _latex(), reason="no pdflatex with booktabs here: the structure of the tables is checked all the same"
)


def check(text: str) -> None:
    """Braces and environments close, every row has the columns that the tabular declares, and all is ASCII."""
    assert text.isascii()
    bare = re.sub(r"(?<!\\)%.*", "", text)
    depth = 0
    for sign in re.sub(r"\\[{}]", "", bare):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    open_ones: list[str] = []
    for begin, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", bare):
        if begin == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert not open_ones
    if r"\midrule" not in bare:
        return
    spec = re.search(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}\n", bare)
    assert spec
    count = len(re.sub(r">\{[^}]*\}p\{[^}]*\}", "p", spec[1]))
    body = bare[bare.index(r"\toprule") : bare.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) >= 2
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == count - 1, row


def compile_page(folder) -> str:
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"],
        cwd=folder, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    log = made.stdout.decode("latin-1")
    assert made.returncode == 0, log[-2000:]
    return log


def test_a_thesis_size_run_fits_and_holds_its_numbers(tmp_path):
    results = thesis_results()
    write_tables(write_run(tmp_path, results), ["latex"])
    folder = tmp_path / "tables"
    for path in folder.glob("*.tex"):
        check(path.read_text(encoding="ascii"))
    grid = (folder / "transfer-auroc-dinov2-giant.tex").read_text()
    assert r"\begin{sidewaystable*}" in grid
    assert r"\label{tab:bandprobe-transfer-auroc-dinov2-giant}" in grid
    row = results.query(
        "encoder == 'dinov2-giant' and metric == 'auroc' and filter == 'none' and train_filter == 'none' "
        "and trained_on == 'ADM' and tested_on == 'LDM'"
    ).iloc[0]
    line = next(line for line in grid.splitlines() if line.startswith("LDM &"))
    value = f"{{{row['value']:.3f}}}{{{row['low']:.3f}}}{{{row['high']:.3f}}}"
    assert value in line.replace(r"\textbf{", "").replace("}}", "}")
    assert grid.count(r"\bandprobestack{") == 14 * 11
    families = (folder / "families-auroc.tex").read_text()
    assert r"$\to$" in families


@needs_latex
def test_a_thesis_size_run_compiles(tmp_path):
    write_tables(write_run(tmp_path, thesis_results()), ["latex"])
    log = compile_page(tmp_path / "tables")
    assert "Overfull \\hbox" not in log
    assert "too large" not in log


def hostile_run(folder):
    names = dict(zip(("StyleGAN2", "DALLE-mini", "Disco-ADM", "LatentDiffusion"), HOSTILE[1:5], strict=True))
    results = photo_results(("spectral",)).replace({"trained_on": names, "tested_on": names})
    results = results.replace({"encoder": {"spectral": r"/tmp/a_b\end{tabular}$#"}})
    return write_run(folder, results, photo_record())


def test_hostile_names_are_words(tmp_path):
    write_tables(hostile_run(tmp_path), ["latex"])
    for path in (tmp_path / "tables").glob("*.tex"):
        text = path.read_text(encoding="ascii")
        check(text)
        if path.stem != "tables":
            assert r"\input" not in text
            assert text.count("\n\\end{tabular}}") == 1


@needs_latex
def test_hostile_names_compile(tmp_path):
    write_tables(hostile_run(tmp_path), ["latex"])
    extra = [
        [name, "0.5 [0.4, 0.6]"] for name in [*HOSTILE, *map(chr, range(32, 127)), "ÀÉîõüçčžıłŁœ€£µÐþ\u200b"]
    ]
    text = latex_table(PrintedTable("hostile", table("all & signs", ["name", "value"], extra)), "hostile")
    check(text)
    (tmp_path / "tables" / "hostile.tex").write_text(text)
    page = tmp_path / "tables" / "tables.tex"
    page.write_text(page.read_text().replace(r"\end{document}", "\\input{hostile}\n\\end{document}"))
    compile_page(tmp_path / "tables")


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("−0.1 → “é”", r"$-$0.1 $\to$ ``\'{e}''"),
        ("中", "{[}U+4E2D{]}"),
        ("a\nb\x00", "a b "),
        ("[1]", "{[}1{]}"),
    ],
)
def test_signs(text, latex):
    assert latex_text(text) == latex


def test_wide_tables_are_turned_and_words_are_wrapped():
    def floated(columns: int) -> str:
        names = [f"c{i}" for i in range(columns)]
        made = latex_table(PrintedTable("t", table("c", names, [["0.5 [0.4, 0.6]"] * columns])), "t")
        check(made)
        return re.search(r"^\\begin\{(\w+\*?)\}", made, re.MULTILINE)[1]

    assert [floated(n) for n in (2, 4, 5, 8, 9)] == ["table", "table", "table*", "table*", "sidewaystable*"]
    long = latex_table(PrintedTable("t", table("c", ["a", "b"], [["x", "words " * 20]])), "t")
    check(long)
    assert "p{" in long
    bold = PrintedTable("t", table("c", ["a", "b", "c"], [["x", "0.9 [0.8, 1.0]", "0.5 [0.4, 0.6]"]]), True)
    assert r"\bandprobeci{\textbf{0.9}}{0.8}{1.0}" in latex_table(bold, "t")
