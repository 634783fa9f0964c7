"""docs/findings.md: its numbers are those of its tables, and one command makes it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]


def test_words_are_the_numbers() -> None:
    from docs_tools.findings.words import interval, least, mean, most, table

    values = np.random.default_rng(0).normal(0.1, 0.05, 11)
    low, high = stats.t.interval(0.95, 10, values.mean(), stats.sem(values))
    assert mean(values) == f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"
    rows = pd.DataFrame(
        {"value": [0.2, -0.1, 0.5], "low": 0.0, "high": 1.0}, index=pd.Index(list("abc"), name="at")
    )
    assert (least(rows, "value")["at"], most(rows, "value")["at"], most(rows, "value")["value"]) == (
        "b",
        "c",
        0.5,
    )
    assert interval(rows.loc["a"], sign="+") == "+0.200 [+0.000, +1.000]"
    assert interval({"value": np.nan, "low": 0, "high": 0}) == "–"
    assert table(["x", "y"], [["1", "2"]]) == "| x | y |\n| --- | --- |\n| 1 | 2 |"


def test_the_commands_are_bandprobes() -> None:
    from docs_tools.findings.steps import QUICK, WHOLE, chains
    from docs_tools.parsing import check_command

    for size in (WHOLE, QUICK):
        steps = [step for chain in chains(Path("runs/findings"), size) for step in chain]
        assert len({step.name for step in steps}) == len(steps)
        for step in steps:
            check_command(list(step.command))


@pytest.mark.long
def test_one_command_makes_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "docs_tools.findings", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "docs" / "findings.md").read_text(encoding="utf-8")
    assert "nan" not in text.lower().replace("nano", "")
    for picture in re.findall(r"\]\((images/\S+\.png)\)", text):
        assert (tmp_path / "docs" / picture).stat().st_size > 5000
    layers = pd.read_csv(tmp_path / "layers" / "layers.csv", keep_default_na=False, na_values=[""])
    output = layers[(layers["encoder"] == "micro-clip") & (layers["layer"] == "output")]
    value = output.loc[output["measure"] == "high_alone", "value"].iloc[0]
    assert f"| micro-clip | output | {value:.3f} [" in text
    # Called again nothing is run.
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "bandprobe study" not in again.stdout
    assert (tmp_path / "docs" / "findings.md").read_text(encoding="utf-8") == text
