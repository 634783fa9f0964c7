"""Summary tables of a run, as tidy data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.report.arrangement import Arrangement, of_one_generator, own_generators, sort_families
from bandprobe.report.sweeps import VIEWS, is_lowpass, sweep_of, sweep_rows, sweeps_in, with_sweep

KEPT = 0.95
CHANCE = 0.5


def transfer_table(results: pd.DataFrame, metric: str, arrangement: Arrangement) -> pd.DataFrame:
    """Unfiltered transfer with its intervals.

    Returns:
        Columns encoder, tested_on (with its dataset where there are several), trained_on, value, low,
        high, n_real, n_fake, in the arrangement's order.
    """
    rows = _unfiltered(results, metric)
    place = {name: i for i, name in enumerate(arrangement.tests)}
    column = {name: i for i, name in enumerate(arrangement.training)}
    encoders = {name: i for i, name in enumerate(results["encoder"].unique())}
    rows = rows.assign(
        _encoder=rows["encoder"].map(encoders),
        _row=rows["test"].map(place),
        _column=rows["trained_on"].map(column),
    ).sort_values(["_encoder", "_row", "_column"], kind="stable")
    rows = rows.drop(columns="tested_on").rename(columns={"test": "tested_on"})
    wanted = ["encoder", "tested_on", "trained_on", "value", "low", "high", "n_real", "n_fake"]
    return rows[wanted].reset_index(drop=True)


def family_table(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Averages of unfiltered transfer over pairs of families, for probes of a single generator.

    Returns:
        One row per encoder, `relation` and pair of families: relation `own` (trained and tested on the
        same generator), `within` (another generator of the same family) or `across`, and family
        columns `*` for averages over all families. `value` averages the cells, `low` and `high` the
        ends of their intervals, which is as wide as if all cells erred together; `n_cells` counts
        the cells averaged, `n_across_datasets` those whose training generator belongs to another
        dataset than the test set.
    """
    rows = _unfiltered(results, metric)
    rows = rows[of_one_generator(rows) & rows["value"].notna()]
    home = results.groupby("tested_on")["dataset"].agg(set).to_dict()
    own = rows["trained_on"] == rows["tested_on"]
    within = rows["family_from"] == rows["family_to"]
    rows = rows.assign(
        relation=np.select([own, within], ["own", "within"], "across"),
        elsewhere=[
            dataset not in home.get(trained, {dataset})
            for trained, dataset in zip(rows["trained_on"], rows["dataset"], strict=True)
        ],
    )
    whole = rows.assign(family_from="*", family_to="*")
    keys = ["encoder", "relation", "family_from", "family_to"]
    averages = pd.concat([whole, rows]).groupby(keys, sort=False).agg(
        value=("value", "mean"), low=("low", "mean"), high=("high", "mean"),
        n_cells=("value", "size"), n_across_datasets=("elsewhere", "sum"),
    )  # fmt: skip
    return averages.reset_index()


def cutoff_table(results: pd.DataFrame, arrangement: Arrangement, kept: float = KEPT) -> pd.DataFrame:
    """The smallest low-pass cut-off that keeps `kept` of the identity AUROC on a probe's own generators.

    For a pooled training set the AUROCs of its generators are averaged first. The comparison is with
    `identity` in the same view (for `information`, the probe trained on it), or with `none` where the
    run has no identity.

    Returns:
        One row per encoder, training set, low-pass sweep and view: `cutoff_px`, `cutoff_nyq` (NaN for
        never), the range `cutoff_px_low .. cutoff_px_high` in which the upper and the lower ends of the
        intervals first reach the threshold (NaN for never), `reference` (the identity AUROC),
        `control` (what it was compared with) and `verdict`: `found`, `never`, or `at chance` where the
        reference's interval reaches 0.5, so that keeping a share of it says nothing.
    """
    rows = results[results["metric"] == "auroc"]
    rows = rows[own_generators(rows, arrangement)]
    found: list[dict[str, Any]] = []
    for sweep in [name for name in sweeps_in(results) if is_lowpass(name)]:
        for view in VIEWS:
            chosen = sweep_rows(rows, sweep, view)
            for (encoder, trained), cell in chosen.groupby(["encoder", "trained_on"], sort=False):
                summary = _smallest_cutoff(cell, kept)
                if summary is not None:
                    found.append(
                        {"encoder": encoder, "trained_on": trained, "sweep": sweep, "view": view, **summary}
                    )
    columns = ["encoder", "trained_on", "sweep", "view", "cutoff_px", "cutoff_nyq", "cutoff_px_low",
               "cutoff_px_high", "reference", "control", "verdict"]  # fmt: skip
    table = pd.DataFrame(found, columns=columns)
    for name, order in (
        ("_encoder", list(results["encoder"].unique())),
        ("_sweep", sweeps_in(results)),
        ("_trained_on", list(arrangement.training)),
    ):
        table[name] = table[name[1:]].map({value: i for i, value in enumerate(order)})
    table = table.sort_values(["_encoder", "_sweep", "_trained_on"], kind="stable")
    return table[columns].reset_index(drop=True)


def matrix_table(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Means over one-generator probes by the filter they were trained under and the one they met.

    Only train filters whose probes were tested under other filters too are in it, and only where there are
    two of them or more.

    Returns:
        One row per encoder, relation and pair of families (as in `family_table`; `own` for all families
        together), train filter and test filter: `value`, `low` and `high` averaged over cells, `n_cells`,
        and the cut-offs of either filter (NaN where it has none). Empty without such a sweep.
    """
    rows = results[(results["metric"] == metric) & results["value"].notna()]
    rows = rows[of_one_generator(rows)]
    cutoffs = results.drop_duplicates("filter").set_index("filter")[["cutoff_px", "cutoff_nyq"]]
    tested = rows.groupby(["encoder", "train_filter"])["filter"].nunique().rename("tests").reset_index()
    everywhere = tested[tested["tests"] > 1]
    several = everywhere.groupby("encoder")["train_filter"].transform("size") > 1
    kept = set(everywhere.loc[several, ["encoder", "train_filter"]].itertuples(index=False, name=None))
    pairs = zip(rows["encoder"], rows["train_filter"], strict=True)
    rows = rows[np.array([pair in kept for pair in pairs], dtype=bool)]
    own = rows["trained_on"] == rows["tested_on"]
    within = rows["family_from"] == rows["family_to"]
    rows = rows.assign(
        relation=np.select([own, within], ["own", "within"], "across"),
        family_from=rows["family_from"].where(~own, "*"),
        family_to=rows["family_to"].where(~own, "*"),
    )
    keys = ["encoder", "relation", "family_from", "family_to", "train_filter", "filter"]
    means = rows.groupby(keys, sort=False).agg(
        value=("value", "mean"), low=("low", "mean"), high=("high", "mean"), n_cells=("value", "size")
    ).reset_index()  # fmt: skip
    for side, start in (("train_filter", "train_"), ("filter", "")):
        for name in cutoffs.columns:
            means[f"{start}{name}"] = means[side].map(cutoffs[name])
    rank = {"own": 0, "within": 1, "across": 2}
    families = {name: i for i, name in enumerate(sort_families({*means["family_from"], *means["family_to"]}))}
    order = means.assign(
        _encoder=means["encoder"].map({name: i for i, name in enumerate(results["encoder"].unique())}),
        _relation=means["relation"].map(rank),
        _from=means["family_from"].map(families),
        _to=means["family_to"].map(families),
    ).sort_values(["_encoder", "_relation", "_from", "_to"], kind="stable")
    return order[means.columns].reset_index(drop=True)


def count_table(results: pd.DataFrame, record: Mapping[str, Any]) -> pd.DataFrame:
    """Images by dataset, generator and split: from `run.json`, else the test sets of the results.

    Returns:
        Columns dataset, generator, family and one column per split with counts.
    """
    data = record.get("data")
    counts = data.get("counts") if isinstance(data, Mapping) else None
    frame = pd.DataFrame(counts if isinstance(counts, list) else [])
    if not {"dataset", "generator", "split", "n"} <= set(frame.columns):
        tests = results.drop_duplicates("test")
        fakes = tests[["dataset", "tested_on", "family_to", "n_fake"]].set_axis(
            ["dataset", "generator", "family", "n"], axis=1
        )
        reals = tests.groupby("dataset", sort=False)["n_real"].max().reset_index(name="n")
        frame = pd.concat([reals.assign(generator="Real", family=""), fakes]).assign(split="test")
    if "family" not in frame:
        frame = frame.assign(family="")
    frame["family"] = frame["family"].astype("object").where(frame["family"].notna(), "")
    splits = [name for name in ("train", "val", "test") if name in set(frame["split"])]
    splits += [name for name in frame["split"].unique() if name not in splits]
    frame = frame.assign(n=pd.to_numeric(frame["n"], errors="coerce").fillna(0).astype(int))
    keys = ["dataset", "generator", "family"]
    wide = frame.pivot_table(index=keys, columns="split", values="n", aggfunc="sum", fill_value=0, sort=False)
    wide = wide.reindex(columns=splits).reset_index().rename_axis(columns=None)
    first = {name: i for i, name in enumerate(wide["dataset"].unique())}
    order = wide.assign(_d=wide["dataset"].map(first), _r=wide["generator"] != "Real")
    return order.sort_values(["_d", "_r"], kind="stable").drop(columns=["_d", "_r"]).reset_index(drop=True)


def energy_table(results: pd.DataFrame) -> pd.DataFrame:
    """Share of AC energy that each test filter with a cut-off removes, by dataset.

    Returns:
        Columns filter, cutoff_px, cutoff_nyq, zone (`low` below 0.15 of Nyquist, `middle`, `high` above
        0.5), then a column per dataset with the mean share in [0, 1]; empty when nothing was measured.
    """
    rows = results[results["cutoff_px"].notna() & results["ac_removed"].notna()]
    if rows.empty:
        return pd.DataFrame(columns=["filter", "cutoff_px", "cutoff_nyq", "zone"])
    keys = ["filter", "cutoff_px", "cutoff_nyq"]
    tests = rows.groupby([*keys, "dataset", "test"], sort=False, dropna=False)["ac_removed"].mean()
    shares = tests.groupby(level=[0, 1, 2, 3], sort=False, dropna=False).mean().unstack("dataset")
    shares = shares[list(rows["dataset"].unique())].reset_index().rename_axis(columns=None)
    zone = np.select([shares["cutoff_nyq"] < 0.15, shares["cutoff_nyq"] <= 0.5], ["low", "middle"], "high")
    shares.insert(3, "zone", np.where(shares["cutoff_nyq"].notna(), zone, ""))
    together = pd.factorize(shares["filter"].map(lambda spec: sweep_of(spec) or spec))[0]
    order = shares.assign(_sweep=together).sort_values(["_sweep", "cutoff_px"], kind="stable")
    return order.drop(columns="_sweep").reset_index(drop=True)


def condition_table(results: pd.DataFrame, arrangement: Arrangement) -> pd.DataFrame:
    """Mean own-generator AUROC of unfiltered-trained probes under each test filter outside the sweeps.

    Returns:
        Columns encoder, filter, value, low, high (ends averaged), `identity` (the same under the
        identity) and change; empty when every filter belongs to a sweep.
    """
    drawn = set(sweeps_in(results))
    rows = with_sweep(results[(results["metric"] == "auroc") & (results["train_filter"] == "none")])
    rows = rows[of_one_generator(rows) & (rows["trained_on"] == rows["tested_on"])]
    rows = rows[~rows["sweep"].isin(drawn) & (rows["filter"] != "none")]
    means = rows.groupby(["encoder", "filter"], sort=False)[["value", "low", "high"]].mean().reset_index()
    identity = means[means["filter"] == "identity"].set_index("encoder")["value"]
    means = means[means["filter"] != "identity"].reset_index(drop=True)
    means["identity"] = means["encoder"].map(identity).astype("float64")
    means["change"] = means["value"] - means["identity"]
    return means


def _unfiltered(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    return results[
        (results["metric"] == metric) & (results["filter"] == "none") & (results["train_filter"] == "none")
    ]


def _smallest_cutoff(cell: pd.DataFrame, kept: float) -> dict[str, Any] | None:
    """Cut-off summary of one probe's rows on its own generators; None without a control or a curve."""
    columns = ["value", "low", "high"]
    control = next((name for name in ("identity", "none") if (cell["filter"] == name).any()), None)
    swept = cell[cell["sweep"] != ""]
    if control is None or swept.empty:
        return None
    reference = cell.loc[cell["filter"] == control, columns].mean()
    if not np.isfinite(reference["value"]):
        return None
    curve = swept.groupby("cutoff_px")[[*columns, "cutoff_nyq"]].mean().sort_index().reset_index()
    needed = kept * reference["value"]
    first = {name: curve.index[curve[name] >= needed] for name in columns}
    px = {name: float(curve["cutoff_px"][at[0]]) if len(at) else np.nan for name, at in first.items()}
    chance = bool(reference["low"] <= CHANCE)
    nyq = float(curve["cutoff_nyq"][first["value"][0]]) if len(first["value"]) else np.nan
    return {
        "cutoff_px": np.nan if chance else px["value"],
        "cutoff_nyq": np.nan if chance else nyq,
        "cutoff_px_low": np.nan if chance else px["high"],
        "cutoff_px_high": np.nan if chance else px["low"],
        "reference": float(reference["value"]),
        "control": control,
        "verdict": "at chance" if chance else "found" if len(first["value"]) else "never",
    }
