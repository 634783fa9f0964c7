"""What the page's figures of distances, entropy, bands and the train-time sweep read."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.analysis.twins import twin_of, twins_beside
from bandprobe.report import interactive_marks as marks
from bandprobe.report.arrangement import family_label, sort_families, training_label
from bandprobe.report.entropy_curves import ALL, FAMILY, REAL, encoder_marks, source_label
from bandprobe.report.entropy_figures import IMAGES
from bandprobe.report.measures import Measure
from bandprobe.report.mmd_figures import OWN, prepared
from bandprobe.report.payload import Payload
from bandprobe.report.style import REAL as REAL_MARK
from bandprobe.report.sweeps import sweeps_in

_MEASURES = {
    "effective_rank": ("effective rank", "Entropy of embeddings"),
    "effective_rank_ratio": ("effective rank / identity's", "Entropy of embeddings"),
    "knn_entropy": ("kNN entropy, change (nats)", "Entropy of embeddings"),
    "cosine": ("cosine − shuffled pairs'", "Low-to-high correspondence"),
    "cka": ("debiased CKA", "Low-to-high correspondence"),
    "mutual_knn": ("mutual kNN", "Low-to-high correspondence"),
    "spectral_entropy": ("entropy over frequencies (nats)", "Spectral entropy of the images"),
    "radial_entropy": ("entropy over rings (nats)", "Spectral entropy of the images"),
}
_LEVELS = {"effective_rank_ratio": 1.0, "knn_entropy": 0.0, "cosine": 0.0, "cka": 0.0, "mutual_knn": 0.0}
_EXPERIMENTS = {
    "fake_vs_real": "Fakes against reals, both under the filter",
    "no_filter_vs_filter": "Filtered against unfiltered images",
}


def mmd_payload(payload: Payload, table: pd.DataFrame) -> dict[str, Any]:
    """The rows of `mmd.csv`: whose output, which experiment, source, filter, and what was found."""
    rows = prepared(table)
    for name in ("n", "n_real"):
        rows[name] = pd.to_numeric(rows[name], errors="coerce") if name in rows else np.nan
    known = marks.filters(rows)
    place = {one["spec"]: i for i, one in enumerate(known)}
    family_of = dict(zip(rows["label"], rows["family"], strict=True))
    order = ["", *sort_families(family for family in family_of.values() if family)]
    family_of = dict(sorted(family_of.items(), key=lambda item: order.index(item[1])))
    looks = marks.source_marks({name: family for name, family in family_of.items() if family})
    real = marks.plotly_mark(REAL_MARK)
    whose = {
        probe: "embeddings" if probe == "" else "output of each source's own probe" if probe == OWN
        else f"output of the probe on {training_label(probe)}"
        for probe in rows["probe"].unique()
    }  # fmt: skip
    return {
        "filters": known,
        "sweeps": marks.sweeps(rows[rows["mmd2"].notna()], known),
        "families": [{"name": "", "label": "reals", **_ink()}, *marks.families([f for f in order if f])],
        "sources": [
            {"label": name, "family": family, "mark": looks.get(name, real)}
            for name, family in family_of.items()
        ],
        "encoder": payload.words(rows["encoder"]),
        "space": payload.words(rows["probe"].map(whose)),
        "experiment": payload.words(rows["experiment"].map(lambda name: _EXPERIMENTS.get(name, name))),
        "source": payload.integers(rows["label"].map({name: i for i, name in enumerate(family_of)})),
        "filter": payload.integers(rows["filter"].map(place)),
        "reason": payload.words(rows["reason"].where(rows["mmd2"].isna(), "")),
        **{name: payload.floats(rows[name]) for name in ("mmd2", "p_value", "q_value", "n", "n_real")},
    }


def entropy_payload(
    payload: Payload, table: pd.DataFrame, family_of: Mapping[str, str]
) -> dict[str, Any] | None:
    """The rows of `entropy.csv`: whose, which measure, source and filter, and the value with its interval.

    None where no measure has values at two cut-offs of a sweep.
    """
    rows = table[table["measure"].isin(list(_MEASURES))].copy()
    for name, empty in (("cutoff_nyq", np.nan), ("n", np.nan), ("dataset", ""), ("reason", "")):
        if name not in rows:
            rows[name] = empty
    if not sweeps_in(rows[rows["value"].notna()]):
        return None
    several = rows.loc[rows["dataset"] != "", "dataset"].nunique() > 1
    label = rows["source"].map({name: source_label(str(name)) for name in rows["source"].unique()})
    rows["label"] = label + (" · " + rows["dataset"]).where(several & (rows["dataset"] != ""), "")
    known = marks.filters(rows)
    place = {one["spec"]: i for i, one in enumerate(known)}
    encoders = twins_beside([str(name) for name in rows["encoder"].unique() if name != IMAGES])
    looks = encoder_marks(encoders)
    sources = rows[["label", "source"]].drop_duplicates("label").itertuples(index=False, name=None)
    families = {str(shown): family_of.get(str(source), "") for shown, source in sources}
    families = {shown: "" if shown.startswith(source_label(REAL)) else of for shown, of in families.items()}
    pooled = (rows["source"] == ALL) | rows["source"].str.startswith(FAMILY)
    pools = set(rows.loc[pooled, "label"])
    of_sources = marks.source_marks({name: family for name, family in families.items() if family})
    real = marks.plotly_mark(REAL_MARK)
    measures = [name for name in _MEASURES if name in set(rows["measure"])]
    names = [*encoders, *([IMAGES] if (rows["encoder"] == IMAGES).any() else [])]
    shown = ["", *sort_families({family for family in families.values() if family})]
    return {
        "filters": known,
        "sweeps": marks.sweeps(rows[rows["value"].notna()], known),
        "families": [{"name": "", "label": "reals", **_ink()}, *marks.families(shown[1:])],
        "measures": [
            {"label": _MEASURES[name][0], "group": _MEASURES[name][1], "level": _LEVELS.get(name)}
            for name in measures
        ],
        "encoders": [
            {
                "label": name,
                "twin": twin_of(name, encoders) is not None,
                "mark": marks.plotly_mark(looks[name]) if name in looks else real,
            }
            for name in names
        ],
        "images": names.index(IMAGES) if IMAGES in names else None,
        "sources": [
            {"label": name, "family": family, "mark": of_sources.get(name, real), "pool": name in pools}
            for name, family in families.items()
        ],
        "encoder": payload.integers(rows["encoder"].map({name: i for i, name in enumerate(names)})),
        "measure": payload.integers(rows["measure"].map({name: i for i, name in enumerate(measures)})),
        "source": payload.integers(rows["label"].map({name: i for i, name in enumerate(families)})),
        "filter": payload.integers(rows["filter"].map(place)),
        **{name: payload.floats(rows[name]) for name in ("value", "low", "high", "n")},
    }


def matrix_payload(
    payload: Payload, matrices: Mapping[str, pd.DataFrame], measures: Sequence[Measure]
) -> dict[str, Any] | None:
    """Means by train-time and test-time filter, of `tables.matrix_table`; None without such a sweep."""
    frames = [matrices[m.name].assign(measure=i) for i, m in enumerate(measures) if len(matrices[m.name])]
    if not frames:
        return None
    rows = pd.concat(frames)
    tested = marks.filters(rows)
    trained = marks.filters(
        rows[["train_filter", "train_cutoff_px", "train_cutoff_nyq"]].set_axis(
            ["filter", "cutoff_px", "cutoff_nyq"], axis=1
        )
    )
    panel = [
        "own generator" if relation == "own"
        else f"{family_label(start)} → {family_label(end)}{', others' if relation == 'within' else ''}"
        for relation, start, end in zip(rows["relation"], rows["family_from"], rows["family_to"], strict=True)
    ]  # fmt: skip
    return {
        "filters": tested,
        "training_filters": trained,
        "measures": [{"label": m.heading, "floor": m.floor, "percent": m.percent} for m in measures],
        "measure": payload.integers(rows["measure"]),
        "encoder": payload.words(rows["encoder"]),
        "panel": payload.words(panel),
        "filter": payload.integers(_places(rows["filter"], tested)),
        "train_filter": payload.integers(_places(rows["train_filter"], trained)),
        **{name: payload.floats(rows[name]) for name in ("value", "low", "high", "n_cells")},
    }


def bands_payload(payload: Payload, claimed: pd.DataFrame, tested: pd.DataFrame) -> dict[str, Any] | None:
    """The strips of `bands_tested.csv` and the bands claimed; None where no probe was asked.

    A strip is a probe on a test set under all band-passes, or all band-stops: over intervals of frequency between
    neighbouring ends of its bands, the mean AUROC of the bands that cover them.
    """
    if "kind" not in tested or not tested["kind"].isin(("pass", "stop")).any():
        return None
    asked = tested[tested["kind"].isin(("pass", "stop"))]
    keys = ["encoder", "trained_on", "train_filter", "tested_on"]
    cases = sorted(
        asked[keys].drop_duplicates().itertuples(index=False, name=None), key=lambda case: case[1] != case[3]
    )
    strips, claims = [], []
    by_case = dict(list(asked.groupby(keys, sort=False)))
    claimed_by = dict(list(claimed.groupby(keys, sort=False)))
    for number, case in enumerate(cases):
        for kind in ("pass", "stop"):
            mine = by_case[case][by_case[case]["kind"] == kind]
            edges, inside = _strip(mine)
            strips += [
                (number, kind, *pair, value)
                for pair, value in zip(itertools.pairwise(edges), inside, strict=True)
            ]
        for _, band in claimed_by.get(case, claimed.iloc[:0]).iterrows():
            claims.append([float(number), *(float(band[name]) for name in
                           ("low_nyq", "centre_nyq", "high_nyq", "strength", "p_value"))])  # fmt: skip
    where, kinds, low, high, auroc = zip(*strips, strict=True)
    facts = asked.drop_duplicates(keys).set_index(keys)
    return {
        "cases": [
            {
                "encoder": case[0],
                "label": _case_label(*case[1:]),
                "own": _plain(facts.loc[case, "own_auroc"]),
                "n_real": _plain(facts.loc[case, "n_real"]),
                "n_fake": _plain(facts.loc[case, "n_fake"]),
            }
            for case in cases
        ],
        "claims": [[_plain(value) for value in claim] for claim in claims],
        "case": payload.integers(where),
        "kind": payload.words(kinds),
        "low": payload.floats(low),
        "high": payload.floats(high),
        "auroc": payload.floats(auroc),
    }


def _strip(bands: pd.DataFrame) -> tuple[list[float], list[float]]:
    """Ends of the bands in order, and between neighbours the mean AUROC of the bands that cover that part."""
    edges = np.unique(np.round(bands[["low_nyq", "high_nyq"]].to_numpy(dtype=float), 6))
    low, high, auroc = (bands[name].to_numpy(dtype=float) for name in ("low_nyq", "high_nyq", "auroc"))
    covers = (low[None] <= edges[:-1, None] + 1e-6) & (high[None] >= edges[1:, None] - 1e-6)
    covers &= np.isfinite(auroc)[None]
    count = covers.sum(axis=1)
    mean = np.where(covers, np.nan_to_num(auroc)[None], 0).sum(axis=1) / np.maximum(count, 1)
    return [float(edge) for edge in edges], [
        float(v) if n else np.nan for v, n in zip(mean, count, strict=True)
    ]


def _case_label(trained_on: str, train_filter: str, tested_on: str) -> str:
    whose = tested_on if trained_on == tested_on else f"{training_label(trained_on)}, on {tested_on}"
    return whose if train_filter == "none" else f"{whose} ({train_filter})"


def _places(names: pd.Series[str], known: list[dict[str, Any]]) -> pd.Series[int]:
    return names.map({one["spec"]: i for i, one in enumerate(known)})


def _ink() -> dict[str, str]:
    return {"colour": REAL_MARK.colour, "dark": marks.on_dark(REAL_MARK.colour)}


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
