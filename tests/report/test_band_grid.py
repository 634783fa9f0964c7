"""Tables of probes against bands as figures: which numbers stand in which cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bandprobe.report.band_grid import attack_groups


def attacks(values: dict[tuple[str, str], dict[str, list[float]]]) -> pd.DataFrame:
    rows = [
        (encoder, trained_on, f"s{number}", band, "rms", one)
        for (encoder, trained_on), bands in values.items()
        for band, found in bands.items()
        for number, one in enumerate(found)
    ]
    return pd.DataFrame(rows, columns=["encoder", "trained_on", "source", "band", "measure", "value"])


def words(table: pd.DataFrame) -> list[str]:
    [group] = attack_groups(table)
    [planned] = group.figures
    figure = planned.draw()
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    labels = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    return [planned.alt, *labels, *texts]


def test_cells_are_medians_over_sources_and_blank_where_most_withstand() -> None:
    table = attacks(
        {
            ("e", "all"): {"0-0.5": [1.0, 2.0, np.inf], "0.5-1.41": [np.inf, np.inf, 3.0]},
            ("e-bands", "all (bands)"): {"0-0.5": [4.0, 4.5, 9.0], "0.5-1.41": [0.25, 0.5, 0.75]},
        }
    )
    alt, *rest = words(table)
    assert rest[:2] == ["e: all", "e-bands: all (bands)"]
    assert [one for one in rest[2:] if one] == ["2.00", "4.50", "0.50"]
    assert "nan" not in rest
    assert "in the mean 0.5-1.41 of Nyquist is cheapest to attack" in alt


def test_one_encoder_stands_in_the_title() -> None:
    table = attacks({("e", "family:gan"): {"0-1": [1.0, 2.0]}})
    [group] = attack_groups(table)
    assert group.figures[0].title == "How little of each band flips decisions, e"
    assert words(table)[1] == "all GAN"
