import numpy as np
import pandas as pd
from report_runs import minimal_results, photo_record, write_run
from test_build import Page

from bandprobe.report import build
from bandprobe.report.claims_table import claim_lines

ROW = {
    "claim": "CLIP <is> influenced", "statistic": "fall", "value": 0.08, "low": 0.06, "high": 0.1, "margin": 0.05,
    "verdict": "supported", "reason": "lowpass:0.5nyq; 10 generators", "curve": "reliance",
    "mask": "butterworth", "depth": "float", "history": "raw", "metric": "auroc", "dino": "", "clip": "b",
    "beyond": "above",
}  # fmt: skip
BLANK = {"value": np.nan, "low": np.nan, "high": np.nan, "verdict": "undecided", "metric": ""}


def table():
    return pd.DataFrame(
        [
            ROW,
            {**ROW, "mask": "ideal", "value": -0.02, "low": -0.03, "high": -0.01, "verdict": "contradicted"},
            {**ROW, **BLANK, "depth": "8-bit", "reason": "no low-pass: add it"},
            {**ROW, **BLANK, "history": "equalised", "reason": "no low-pass: add it"},
            {**ROW, "claim": "DINO resists", "dino": "a", "margin": 0.67, "beyond": "below"},
            {**ROW, **BLANK, "claim": "the cause", "margin": np.nan, "dino": "", "clip": "", "reason": "why",
             **dict.fromkeys(("curve", "mask", "depth", "history"), "none")},
        ]
    )  # fmt: skip


def test_one_line_for_a_claim_and_its_variants_below():
    first, second, third = claim_lines(table())
    assert (first.verdict, first.value, first.margin) == ("supported", "0.080 [0.060, 0.100]", "> 0.05")
    assert first.variants == "3 variants: 1 contradicted, 2 undecided"
    assert [[cell.text for cell in row][:5] for row in first.table.rows] == [
        ["reliance", "butterworth", "float", "raw", "0.080 [0.060, 0.100]"],
        ["reliance", "ideal", "float", "raw", "−0.020 [−0.030, −0.010]"],
    ]
    assert first.absent == [
        "Reliance, butterworth, 8-bit, raw; reliance, butterworth, float, equalised: no low-pass: add it."
    ]
    assert (second.encoders, second.margin) == ("a / b", "< 0.67")
    assert (third.value, third.margin, third.table, third.absent) == ("–", "", None, ["why."])


def test_claims_stand_near_the_top_of_the_page(tmp_path):
    run = write_run(tmp_path, minimal_results(), photo_record() | {"protocol": "abs_uint8"})
    table().to_csv(run / "claims.csv", index=False)
    text = build(run).read_text(encoding="utf-8")
    page = Page(text)
    assert text.index('id="claims"') < text.index('id="encoder-1"')
    assert "CLIP <is> influenced" in page.text
    assert "nan" not in " ".join(page.words["p"] + page.words["td"])
    verdicts = [a["class"] for a in page.all("span") if a.get("class", "").startswith("verdict")]
    # On the first screen, and again with every variant.
    assert verdicts == 2 * ["verdict supported", "verdict supported", "verdict undecided"]
    assert "Protocol abs_uint8: the study did on purpose" in page.text


def test_tables_of_other_analyses_are_shown_and_damaged_ones_named(tmp_path):
    import pytest

    from bandprobe.errors import InputError

    run = write_run(tmp_path, minimal_results(), photo_record())
    pd.DataFrame(
        [("abs_uint8", "spectral", "own", 0.9, 0.8, -0.1, -0.2, -0.05, 3, ""),
         ("fda_relabel", "", "", *[np.nan] * 6, "no filter adapts")],
        columns=["switch", "encoder", "quantity", "baseline", "value", "moved", "low", "high", "cells", "reason"],
    ).to_csv(run / "ablation.csv", index=False)  # fmt: skip
    pd.DataFrame(
        [("spectral", "ProGAN", "none", "ProGAN", "none", 30, 10, 4, 36)],
        columns=["encoder", "trained_on", "train_filter", "tested_on", "filter", "tp", "fn", "fp", "tn"],
    ).to_csv(run / "confusion.csv", index=False)
    page = Page(build(run).read_text(encoding="utf-8"))
    for words in ("What each switch of the published protocol moves", "-0.1 [-0.2, -0.05]", "no filter adapts",
                  "Confusion matrices", "fakes missed"):  # fmt: skip
        assert words in page.text
    (run / "claims.csv").write_text("claim,value\nx,1\n")
    with pytest.raises(InputError, match=r"claims\.csv lacks the columns statistic"):
        build(run)
