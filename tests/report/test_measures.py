import numpy as np
import pandas as pd
import pytest

from bandprobe.report.measures import ACCURACY, AUROC, choose_pd


def rows(values: dict[str, list[float]], reason: str = "PD@1% needs 1,000 reals") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"metric": m, "value": v, "reason": reason if np.isnan(v) else ""}
            for m, vs in values.items()
            for v in vs
        ]
    )


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ({"pd@1%": [0.2, 0.3], "pd@5%": [0.4, 0.5], "pd@10%": [0.6, 0.7]}, "pd@1%"),
        ({"pd@1%": [np.nan, np.nan], "pd@5%": [0.4, 0.5], "pd@10%": [0.6, 0.7]}, "pd@5%"),
        ({"pd@1%": [np.nan, np.nan], "pd@5%": [np.nan, np.nan], "pd@10%": [0.6, 0.7]}, "pd@10%"),
        ({"pd@1%": [0.2, np.nan], "pd@5%": [0.3, np.nan], "pd@10%": [0.6, np.nan]}, "pd@1%"),
        ({"pd@1%": [0.2, np.nan], "pd@10%": [0.6, 0.7]}, "pd@10%"),
        ({"pd@1%": [np.nan], "pd@5%": [np.nan], "pd@10%": [np.nan]}, None),
        ({"auroc": [0.5]}, None),
    ],
)
def test_the_fullest_then_the_strictest_is_shown(values, chosen):
    measure, sentence = choose_pd(rows(values))
    assert (measure.name if measure else None) == chosen
    blank = any(np.isnan(v) for name, vs in values.items() for v in vs if name.startswith("pd@1%"))
    assert bool(sentence) == (blank or chosen is None)
    if blank:
        assert "PD@1% needs 1,000 reals" in sentence


def test_printed_values():
    assert AUROC.text(0.98765) == "0.988"
    assert ACCURACY.text(0.98765) == "98.8"
    assert AUROC.text(float("nan")) == "–"
    assert ACCURACY.heading == "Accuracy"
