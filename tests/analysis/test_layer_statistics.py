"""Layer by layer, on embeddings in which it was planted where what is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandprobe.analysis.claims import claims
from bandprobe.analysis.layers import COLUMNS, OUTPUT, by_layer, stacks, where_lost
from bandprobe.errors import InputError
from bandprobe.probes import LinearProbe, ProbeFile

FAMILY = {f"{family}-{i}": family for family in ("gan", "diffusion") for i in range(5)}
LADDER = {"lowpass:0.1nyq": 0.1, "lowpass:0.15nyq": 0.15, "lowpass:0.3nyq": 0.3, "lowpass:0.5nyq": 0.5,
          "lowpass:0.9nyq": 0.9}  # fmt: skip
SPECS = ["none", "identity", *LADDER, "highpass:0.15nyq", "highpass:0.5nyq"]
SIGNAL = 2.0  # of a probe's logit on its own fakes, under the identity
# The share of it that lies above half of Nyquist, block by block: lost between the second and the third.
HIGH = {"1": 0.5, "2": 0.6, "3": 0.1, OUTPUT: 0.1}
NAMES = {layer: "net" if layer == OUTPUT else f"net#layer{layer}" for layer in HIGH}


class Memory:
    """A store that lives in memory: what the analysis asks of one."""

    root = "memory"

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Any] = {}

    def conditions(self) -> list[tuple[str, str]]:
        return sorted(self.rows)

    def fingerprint(self, encoder: str, spec: str) -> dict[str, str]:
        _, _, layer = encoder.partition("#layer")
        made = {"geometry": "squash:64", "filter": spec, "encoder.weights": "x"}
        return {**made, "encoder.layer": layer, "encoder.layers": "3"} if layer else made

    def read(self, encoder: str, spec: str, ids: list[str]) -> Any:
        held, embedding = self.rows[encoder, spec]
        place = [held[image] for image in ids]
        return SimpleNamespace(embedding=embedding[place], ac_removed=np.full(len(place), 0.1))


def signal(layer: str, spec: str) -> float:
    """What of a probe's signal is left: the high share above half of Nyquist, the low share from 0.1 to 0.5."""
    high, low = HIGH[layer], 1 - HIGH[layer]
    if spec in LADDER:
        cutoff = LADDER[spec]
        below = min(1.0, np.log(cutoff / 0.1) / np.log(5))
        above = max(0.0, (cutoff - 0.5) / 0.4)
        return float(SIGNAL * (low * below + high * above))
    return SIGNAL * (high if spec == "highpass:0.5nyq" else 1.0)


@pytest.fixture(scope="module")
def run() -> tuple[Any, pd.DataFrame, list[ProbeFile]]:
    rng = np.random.default_rng(0)
    rows = [(f"{i:064x}", 0, "Real", "real") for i in range(300)]
    for name, family in FAMILY.items():
        rows += [(f"{len(rows) + i:064x}", 1, name, family) for i in range(150)]
    manifest = pd.DataFrame(rows, columns=["image_id", "label", "generator", "family"])
    manifest = manifest.assign(dataset="x", split="test")
    ids = {image: place for place, image in enumerate(manifest["image_id"])}
    store, names, extra = Memory(), list(FAMILY), 16
    for layer, name in NAMES.items():
        noise = rng.standard_normal((len(ids), len(names) + extra))
        for spec in SPECS:
            X = noise.copy()
            if spec == "lowpass:0.15nyq" and layer == "3":
                X[:, len(names) :] *= np.geomspace(1, 0.01, extra)  # fewer directions
            if spec.startswith("highpass:0.15") and layer != "1":
                X[:, len(names) :] = rng.standard_normal((len(ids), extra))  # nothing in common with the low
            for dimension, generator in enumerate(names):
                X[(manifest["generator"] == generator).to_numpy(), dimension] += signal(layer, spec)
            store.rows[name, spec] = ids, X.astype(np.float32)
    width = len(names) + extra
    probes = []
    for name in NAMES.values():
        for trained in ("none", "highpass:0.5nyq"):
            for dimension, generator in enumerate(names):
                weight = np.zeros(width)
                weight[dimension] = 1.0
                head = LinearProbe(np.zeros(width), np.ones(width), weight, 0.0, 0.0, 1.0, 0.0, 1.0, "split")
                family = FAMILY[generator]
                probes.append(ProbeFile(head, name, name, generator, family, trained, {}, {}))
    return store, manifest, probes


@pytest.fixture(scope="module")
def table(run: Any) -> pd.DataFrame:
    found: pd.DataFrame = by_layer(*run, resamples=300)
    return found


def one(table: pd.DataFrame, layer: str, measure: str, curve: str = "reliance", spec: str = "") -> Any:
    mine = table[(table["layer"] == layer) & (table["measure"] == measure) & (table["curve"] == curve)]
    mine = mine[mine["filter"] == spec]
    assert len(mine) == 1, (layer, measure, spec)
    return mine.iloc[0]


def auroc(shift: float) -> float:
    return float(stats.norm.cdf(shift / np.sqrt(2)))


def test_a_row_for_each_layer_and_the_output(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(COLUMNS)
    assert list(dict.fromkeys(table["layer"])) == ["1", "2", "3", OUTPUT]
    assert set(table["encoder"]) == {"net"}
    assert set(table["layers"]) == {3}


@pytest.mark.parametrize("layer", HIGH)
def test_aurocs_are_what_was_planted(table: pd.DataFrame, layer: str) -> None:
    for spec in ("identity", *LADDER):
        row = one(table, layer, "auroc", spec=spec)
        assert row["low"] <= row["value"] <= row["high"]
        assert row["value"] == pytest.approx(auroc(signal(layer, spec)), abs=0.02)
        assert row["high"] - row["low"] < 0.1
    alone = one(table, layer, "high_alone", "information")
    assert alone["value"] == pytest.approx(auroc(HIGH[layer] * SIGNAL), abs=0.02)
    assert alone["value"] == one(table, layer, "auroc", "information", "highpass:0.5nyq")["value"]


@pytest.mark.parametrize("layer", HIGH)
def test_dependence_and_cutoff_are_worked_out_from_the_curve(table: pd.DataFrame, layer: str) -> None:
    whole, half = (one(table, layer, "auroc", spec=f)["value"] for f in ("identity", "lowpass:0.5nyq"))
    share = one(table, layer, "high_frequency_dependence")
    assert share["value"] == pytest.approx((whole - half) / (whole - 0.5), abs=1e-6)
    assert share["low"] < share["value"] < share["high"]
    curve = [one(table, layer, "auroc", spec=spec)["value"] for spec in LADDER]
    expected = np.exp(np.interp(0.95 * whole, curve, np.log(list(LADDER.values()))))
    assert one(table, layer, "kept_cutoff")["value"] == pytest.approx(expected, rel=1e-6)


def test_where_it_is_lost_is_found_and_said(table: pd.DataFrame) -> None:
    changes = {layer: one(table, layer, "high_alone_change", "information") for layer in ("2", "3", OUTPUT)}
    assert changes["3"]["high"] < 0
    assert changes["2"]["low"] < auroc(0.6 * SIGNAL) - auroc(0.5 * SIGNAL) < changes["2"]["high"]
    assert changes[OUTPUT]["low"] < 0 < changes[OUTPUT]["high"]
    difference = one(table, "3", "high_alone", "information")["value"]
    difference -= one(table, "2", "high_alone", "information")["value"]
    assert changes["3"]["value"] == pytest.approx(difference, abs=1e-8)
    (line,) = where_lost(table)
    assert line.startswith("net: probes re-trained on highpass:0.5nyq are best behind block 2 of 3")
    assert "The largest fall is" in line
    assert line.endswith("at block 3 of 3.")


def test_measures_of_embeddings(table: pd.DataFrame) -> None:
    ranks = {layer: one(table, layer, "effective_rank_share", "embedding") for layer in HIGH}
    assert ranks["3"]["high"] < 0.85
    assert ranks["2"]["low"] > 0.9
    alike = {layer: one(table, layer, "cka", "embedding") for layer in HIGH}
    assert alike["1"]["low"] > 0.8
    assert alike["2"]["high"] < alike["1"]["low"]


def test_the_numbers_are_those_of_the_claims(run: Any, table: pd.DataFrame) -> None:
    """The same statistics, by the way that judges claims: of two encoders called as those are."""
    store, manifest, probes = run
    alike = {"net#layer2": "dinov2-base", "net": "clip-vit-b-16"}
    other = Memory()
    other.rows = {(alike[name], spec): held for (name, spec), held in store.rows.items() if name in alike}
    named = [
        ProbeFile(p.probe, alike[p.encoder], alike[p.encoder], p.trained_on, p.family, p.train_filter, {}, {})
        for p in probes
        if p.encoder in alike
    ]
    judged = claims(other, manifest, named, resamples=300)  # type: ignore[arg-type]

    def claim(statistic: str) -> float:
        rows = judged[judged["statistic"].str.startswith(statistic) & judged["value"].notna()]
        return float(rows.iloc[0]["value"])

    kept = [one(table, layer, "kept_cutoff")["value"] for layer in ("2", OUTPUT)]
    assert claim("smallest low-pass cut-off") == pytest.approx(kept[0] / kept[1], abs=1e-6)
    ranks = [one(table, layer, "effective_rank_share", "embedding")["value"] for layer in ("2", OUTPUT)]
    assert claim("effective rank") == pytest.approx(ranks[0] / ranks[1], abs=1e-6)
    ckas = [one(table, layer, "cka", "embedding")["value"] for layer in ("2", OUTPUT)]
    assert claim("debiased CKA") == pytest.approx(ckas[0] - ckas[1], abs=1e-6)


def test_what_is_missing_is_said(run: Any) -> None:
    store, manifest, probes = run
    fewer = Memory()
    fewer.rows = {
        key: held for key, held in store.rows.items() if key[1] in ("none", "identity", "lowpass:0.5nyq")
    }
    reliance = [probe for probe in probes if probe.train_filter == "none"]
    table = by_layer(fewer, manifest, reliance, resamples=20)  # type: ignore[arg-type]
    blank = table[table["value"].isna()]
    assert blank["note"].str.contains("add").all()
    assert set(blank["measure"]) == {"kept_cutoff", "effective_rank_share", "cka", "high_alone"}
    (line,) = where_lost(table)
    assert "not known" in line
    none = Memory()
    none.rows = {key: held for key, held in store.rows.items() if key[0] == "net"}
    for held, given, message in (
        (none, probes, r"no layer is stored of 'memory'; embed with --layers all first\."),
        (store, [], r"no probe was trained on a layer"),
    ):
        with pytest.raises(InputError, match=message):
            by_layer(held, manifest, given)


def test_stacks(run: Any) -> None:
    (stack,) = stacks(run[0])
    assert (stack.encoder, stack.layers, stack.held) == ("net", 3, NAMES)
    (partial,) = stacks(run[0], ["net#layer3", "net#layer1"])
    assert partial.held == {"1": "net#layer1", "3": "net#layer3"}
