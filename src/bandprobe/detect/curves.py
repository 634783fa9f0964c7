"""What probes say of one image under filter after filter: probability against the cut-off."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.detect.scorer import Scorer, identified
from bandprobe.filters import Filter

COLUMNS = ("probe", "encoder", "filter", "cutoff_px", "cutoff_nyq", "logit", "probability")
BATCH = 16  # filters encoded at a time


def radius_curve(
    image: NDArray[np.uint8],
    scorers: Sequence[Scorer],
    specs: Sequence[Filter],
    step: Callable[[int], None] = lambda done: None,
    *,
    own: bool = False,
) -> pd.DataFrame:
    """Logit and calibrated probability of one image under each filter, by every probe.

    Each filtered image is encoded once for all probes of an encoder. The filter is the study's test filter: a probe
    that was trained under one of its own meets this one alone, as in the transfer grid, unless `own` is asked.

    Args:
        image: uint8, shape (h, w, 3), any size.
        scorers: from `load_scorers`.
        specs: the filters, `none` and `identity` among them where wanted.
        step: told how many filters of one encoder were done.
        own: the filter that a probe was trained under comes after each, as when it decides on an image.

    Returns:
        A row for each probe and filter, with `COLUMNS`; cut-offs are NaN where a filter has none.
    """
    rows = []
    for scorer in scorers:
        placed, name = scorer.placed(image), identified(image)
        half = min(scorer.geometry.size) / 2
        for start in range(0, len(specs), BATCH):
            some = specs[start : start + BATCH]
            logits = scorer.sweep(placed, name, some, own=own, batch=BATCH)
            judged = zip(scorer.probes, logits, strict=True)
            chances = np.stack([probe.file.probe.probabilities(its) for probe, its in judged])
            for spec, told, sure in zip(some, logits.T, chances.T, strict=True):
                px = spec.cutoff.px(scorer.geometry.size) if spec.cutoff is not None else np.nan
                for probe, logit, chance in zip(scorer.probes, told, sure, strict=True):
                    rows.append((probe.name, scorer.model.name, str(spec), px, px / half, logit, chance))
            step(len(some))
    return pd.DataFrame(rows, columns=list(COLUMNS))
