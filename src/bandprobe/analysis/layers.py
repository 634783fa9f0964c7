"""Layer by layer: where in an encoder what a probe lives on is gained and lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandprobe import progress
from bandprobe.analysis import encoder_statistics as statistics
from bandprobe.analysis.claim_conditions import Condition, Undecided, Variant, identity, ladder, nearest
from bandprobe.analysis.evidence import Answer, Evidence, Floats
from bandprobe.errors import InputError
from bandprobe.filters import parse
from bandprobe.images import Geometry
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

COLUMNS = (
    "encoder", "layer", "layers", "curve", "mask", "measure", "filter", "cutoff_px", "cutoff_nyq", "value", "low",
    "high", "note",
)  # fmt: skip
OUTPUT = "output"  # stands for the whole encoder's own vector, where a layer's number would
RESAMPLES = 1000
_DECIMALS = 9
_CURVES, _MASKS = ("reliance", "information"), ("butterworth", "ideal")

# Of one layer, in a variant: what is worked out besides the AUROC under each filter.
_OF_A_LAYER: dict[str, tuple[tuple[str, ...], Callable[[Evidence, Variant, str], Answer]]] = {
    "kept_cutoff": (_CURVES, statistics.kept_cutoff),
    "high_frequency_dependence": (("reliance",), statistics.high_frequency_dependence),
    "effective_rank_share": (("embedding",), statistics.rank_share),
    "cka": (("embedding",), statistics.correspondence),
}


@dataclass(frozen=True)
class Stack:
    """An encoder of a store with its layers.

    Attributes:
        encoder: the whole encoder's name.
        layers: how many blocks it has.
        held: names in the store by layer: numbers, rising, then `output` where that is stored.
    """

    encoder: str
    layers: int
    held: dict[str, str]


def stacks(store: EmbeddingStore, encoders: Sequence[str] | None = None) -> list[Stack]:
    """The encoders of a store of which layers are stored.

    Args:
        store: holds embeddings.
        encoders: names in the store to look among; all by default.
    """
    specs: dict[str, str] = {}
    for name, spec in store.conditions():
        specs.setdefault(name, spec)
    found: dict[str, dict[int, str]] = {}
    depth: dict[str, int] = {}
    for name, spec in specs.items():
        made = store.fingerprint(name, spec) or {}
        if "encoder.layer" in made and (encoders is None or name in encoders):
            layer = int(made["encoder.layer"])
            whole = name.removesuffix(f"#layer{layer}")
            found.setdefault(whole, {})[layer] = name
            depth[whole] = int(made["encoder.layers"])
    return [
        Stack(
            whole,
            depth[whole],
            {str(layer): of[layer] for layer in sorted(of)}
            | ({OUTPUT: whole} if whole in specs and (encoders is None or whole in encoders) else {}),
        )
        for whole, of in found.items()
    ]


def by_layer(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    *,
    filters: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """What probes find behind each block of each encoder.

    Measures, all of images in float as they are:

    - `auroc`: mean AUROC of probes of one generator on their own, under the identity and every low- and
      high-pass; `reliance` of the probe trained on unfiltered images, `information` of one re-trained under
      the filter.
    - `kept_cutoff`: the low-pass cut-off, of Nyquist, that keeps 95 % of the identity's AUROC.
    - `high_frequency_dependence`: the share of the AUROC above one half that goes with everything above half
      of Nyquist.
    - `high_alone`: AUROC of probes re-trained on the high-pass at half of Nyquist: how much of what the high
      frequencies hold is still there; `high_alone_change`: that less the layer's before, paired.
    - `effective_rank_share` under a low-pass at 0.15 nyq, and `cka` between that and the high-pass.

    Args:
        store: holds test images' embeddings of layers.
        manifest: the images.
        probes: trained on them.
        filters: test filters; by default all conditions of the store.
        seed: of the bootstrap; images and generators are resampled, as for claims, and all layers meet the
            same resamples.
        resamples: how many.

    Returns:
        A table with `COLUMNS`; `layer` is a number or `output`. A statistic that the run cannot give is NaN,
        and `note` says what to add; else it says what was compared.

    Raises:
        StoreError: an embedding is missing or damaged.
        InputError: no layer is stored, or no probe was trained on one.
    """
    probed = {probe.encoder for probe in probes}
    found = stacks(store, sorted(probed))
    if not found:
        stored = stacks(store)
        what = "no probe was trained on a layer" if stored else "no layer is stored"
        way = "train probes on it" if stored else "embed with --layers all"
        raise InputError(f"{what} of {str(store.root)!r}; {way} first.")
    mine = [probe for probe in probes if any(probe.encoder in stack.held.values() for stack in found)]
    evidence = Evidence(store, manifest, mine, [], filters, seed=seed, resamples=resamples)
    rows: list[dict[str, Any]] = []
    with progress.bar("layers", sum(len(stack.held) for stack in found), "layers") as step:
        for stack in found:
            before: dict[str, Floats] = {}
            for layer, name in stack.held.items():
                place = {"encoder": stack.encoder, "layer": layer, "layers": stack.layers}
                rows += ({**place, **row} for row in _of_layer(evidence, name, before))
                step()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["cutoff_px", "cutoff_nyq", "value", "low", "high"]
    table[numbers] = table[numbers].astype("float64").round(_DECIMALS) + 0.0
    return table


def _of_layer(e: Evidence, name: str, before: dict[str, Floats]) -> Iterator[dict[str, Any]]:
    """The rows of one layer; `before` holds each mask's `high_alone` of the layer before, and is brought up to date."""
    held = e.held.get(name, [])
    e.held.setdefault(name, held)
    for curve in _CURVES:
        yield from _aurocs(e, name, curve)
    for mask in _MASKS:
        if not any(condition.mask == mask for condition in held):
            continue
        for measure, (curves, statistic) in _OF_A_LAYER.items():
            for curve in curves:
                variant = Variant(curve, mask, "float", "raw")
                yield _row(variant, measure, *_tried(statistic, e, variant, name))
        yield from _high_alone(e, Variant("information", mask, "float", "raw"), name, before)


def _aurocs(e: Evidence, name: str, curve: str) -> Iterator[dict[str, Any]]:
    """Own-generator AUROC under the identity and every mask; of the re-trained probe where there is one."""
    scope = e.grid.own()
    if scope is None:
        return
    for condition in _shown(e, name):
        variant = Variant(curve, condition.mask, "float", "raw")
        try:
            draws = e.mean(name, variant, condition, scope, "auroc")
        except Undecided:
            continue
        answer = Answer(draws, "auroc", scope.note, scope.few)
        yield _row(variant, "auroc", answer, "") | _place(e, name, condition)


def _shown(e: Evidence, name: str) -> list[Condition]:
    held = e.held[name]
    found: list[Condition] = []
    for mask in _MASKS:
        variant = Variant("reliance", mask, "float", "raw")
        with contextlib.suppress(Undecided):
            found.append(identity(held, variant))
        for kind in ("lowpass", "highpass"):
            found += ladder(held, variant, kind)
    return list(dict.fromkeys(found))


def _high_alone(
    e: Evidence, variant: Variant, name: str, before: dict[str, Floats]
) -> Iterator[dict[str, Any]]:
    def alone(e: Evidence, variant: Variant, name: str) -> Answer:
        high = nearest(e.held[name], variant, "highpass", statistics.HIGH)
        scope = e.grid.own()
        if scope is None:
            raise Undecided("no probe of a single generator that is tested: train_on needs each")
        return Answer(
            e.mean(name, variant, high, scope, "auroc"), "auroc", f"{high.spec}; {scope.note}", scope.few
        )

    answer, why = _tried(alone, e, variant, name)
    yield _row(variant, "high_alone", answer, why)
    if answer is None:
        before.pop(variant.mask, None)
        return
    earlier = before.get(variant.mask)
    before[variant.mask] = answer.draws
    if earlier is not None:
        change = Answer(answer.draws - earlier, "auroc", f"less the layer before; {answer.said}", answer.bar)
        yield _row(variant, "high_alone_change", change, "")


def _tried(
    statistic: Callable[[Evidence, Variant, str], Answer], e: Evidence, variant: Variant, name: str
) -> tuple[Answer | None, str]:
    try:
        return statistic(e, variant, name), ""
    except Undecided as missing:
        return None, str(missing)


def _place(e: Evidence, name: str, condition: Condition) -> dict[str, Any]:
    cutoff = parse(condition.spec).cutoff
    px = np.nan if cutoff is None else cutoff.px(Geometry.parse(e.geometry[name]).size)
    return {
        "filter": condition.spec, "mask": condition.mask, "cutoff_px": px, "cutoff_nyq": condition.cutoff
    }  # fmt: skip


def _row(variant: Variant, measure: str, answer: Answer | None, why: str) -> dict[str, Any]:
    value = low = high = np.nan
    if answer is not None:
        value = float(answer.draws[0])
        low, high = (float(end) for end in np.nanquantile(answer.draws[1:], [0.025, 0.975]))
        bound = f"{answer.bound}, the sweep ends there" if answer.bound else ""
        why = "; ".join(filter(None, (bound, answer.said, answer.bar)))
    return {
        "curve": variant.curve, "mask": variant.mask, "measure": measure, "filter": "", "cutoff_px": np.nan,
        "cutoff_nyq": np.nan, "value": value, "low": low, "high": high, "note": why,
    }  # fmt: skip


def where_lost(table: pd.DataFrame, mask: str = "butterworth") -> list[str]:
    """A sentence for each encoder: behind which block high frequencies tell most, and behind which most of it goes.

    Args:
        table: of `by_layer`.
        mask: of the filters looked at.
    """
    lines = []
    for encoder, rows in table[table["mask"] == mask].groupby("encoder", sort=False):
        alone = rows[(rows["measure"] == "high_alone") & rows["value"].notna()]
        change = rows[(rows["measure"] == "high_alone_change") & rows["value"].notna()]
        if alone.empty:
            note = "".join(rows.loc[rows["measure"] == "high_alone", "note"].astype(str).head(1))
            lines.append(f"{encoder}: what high frequencies alone tell is not known: {note}.")
            continue
        spec = str(alone.iloc[0]["note"]).partition(";")[0]
        best, last = alone.sort_values("value", kind="stable").iloc[-1], alone.iloc[-1]
        line = (
            f"{encoder}: probes re-trained on {spec} are best behind {_named(best)}, AUROC {_interval(best)}; "
            f"behind {_named(last)} it is {_interval(last)}."
        )
        falls = change[change["high"] < 0]
        if len(falls):
            worst = falls.sort_values("value", kind="stable").iloc[0]
            line += f" The largest fall is {_interval(worst, '+.3f')}, at {_named(worst)}."
        elif len(change):
            line += " No step from layer to layer is a fall beyond chance."
        lines.append(line)
    return lines


def _named(row: Any) -> str:
    return "the output" if row["layer"] == OUTPUT else f"block {row['layer']} of {row['layers']}"


def _interval(row: Any, form: str = ".3f") -> str:
    return f"{row['value']:{form}} [{row['low']:{form}}, {row['high']:{form}}]"
