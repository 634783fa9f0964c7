"""The audit's block of the page."""

from __future__ import annotations

import io

import pandas as pd

from bandprobe.report.audit_view import audit_view

AS_FOUND = """trace,dataset,auroc,low,high,warning,kind,n_real,n_fake
format,faces,1.0,0.93,1.0,"format differs: <b>PNG</b> in 100 % of fakes, 0 % of reals",metadata,60,60
aspect,faces,0.5,0.4,0.6,,metadata,60,60
metadata,faces,1.0,0.93,1.0,files without their pixels tell fakes from reals,metadata,60,60
blockiness,faces,,,,,pixels,0,0
pixel traces,faces,,,,,pixels,0,0
"""


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


def test_all_together_and_what_tells() -> None:
    table, sentences = audit_view(read(AS_FOUND))
    assert table.columns == ["dataset", "trace", "AUROC", "what differs"]
    assert [row[1].text for row in table.rows] == ["format", "metadata", "pixel traces"]
    assert [row[2].text for row in table.rows] == ["1.000 [0.930, 1.000]", "1.000 [0.930, 1.000]", "–"]
    assert table.rows[2][3].text == "–"
    assert len(sentences) == 3
    assert "0.52" in sentences[0]
    assert sentences[1].startswith("faces: format differs")


def test_equalised() -> None:
    frame = read(AS_FOUND).assign(warning="", auroc_found=1.0, low_found=0.9, high_found=1.0)
    frame[["auroc", "low", "high"]] = [0.5, 0.4, 0.6]
    table, sentences = audit_view(frame, "crop:64+jpeg:75")
    assert table.columns == ["dataset", "trace", "as found", "equalised", "what differs"]
    assert len(table.rows) == 5
    assert table.rows[0][2].text == "1.000 [0.900, 1.000]"
    assert "Equalised by crop:64+jpeg:75" in sentences[1]
    assert sentences[-1] == "No trace tells fakes from reals."


def test_nothing_to_judge() -> None:
    frame = read(AS_FOUND).assign(
        auroc=float("nan"), low=float("nan"), high=float("nan"), warning=float("nan")
    )
    _, sentences = audit_view(frame)
    assert sentences[-1] == "There are too few images to judge."
