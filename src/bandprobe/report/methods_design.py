"""The methods paragraph's first half: what was asked, on what images, filters and encoders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bandprobe.analysis.sources import REAL
from bandprobe.errors import FilterError
from bandprobe.filters import Filter, parse
from bandprobe.report.arrangement import family_label, sort_families
from bandprobe.report.prose import (
    Cite,
    Code,
    Name,
    Part,
    Sentence,
    cite,
    count,
    in_line,
    listed,
    mapping,
    switches,
)
from bandprobe.report.robustness_view import degraded
from bandprobe.report.run_directory import Run
from bandprobe.report.sweeps import describe_sweep, sweep_of

_LAYOUTS = {"ricker": "ricker2022", "forensynths": "wang2020", "genimage": "zhu2023"}
_ENCODERS = (
    (r"dinov3", ("simeoni2025",)),
    (r"dinov2", ("oquab2024",)),
    (r"openclip|laion", ("cherti2023", "schuhmann2022", "radford2021")),
    (r"siglip2?", ("tschannen2025",)),
    (r"\bclip", ("radford2021",)),
    (r"\bmae\b|vit-mae", ("he2022",)),
)


def question(run: Run) -> Iterator[Sentence]:
    """What was asked, after whom."""
    yield [
        "We asked which spatial frequencies probes on frozen image embeddings use to tell generated images from real "
        "ones, and whether they hold on other generators, as earlier work did", cite("wustl2024"), ", using bandprobe",
        cite("bandprobe"), ".",
    ]  # fmt: skip
    if on := switches(run.record):
        yield [
            "These deviations of the published code were repeated on purpose: ",
            *listed(map(Code, on)),
            ".",
        ]


def data(run: Run, layouts: Sequence[str]) -> Iterator[Sentence]:
    """The images: generators, data sets, splits."""
    sources = [cite(key) for key in dict.fromkeys(_LAYOUTS[name] for name in layouts if name in _LAYOUTS)]
    families: dict[str, list[str]] = {}
    for name, family in run.results.drop_duplicates("tested_on")[["tested_on", "family_to"]].to_numpy():
        families.setdefault(family, []).append(name)
    groups = [_family(family, families[family]) for family in sort_families(families)]
    spelt = in_line(groups, ", ", " and ")
    sets = [Name(name) for name in run.results["dataset"].unique() if name]
    number = sum(map(len, families.values()))
    where = [" (data: ", *listed(sets), ")"] if sets else []
    yield [f"Fakes came from {count(number, 'generator')}", *where, *sources, ": ", *spelt, "."]
    counts = _counts(run.record)
    if counts is not None:
        splits = [name for name in ("train", "val", "test") if name in set(counts["split"])]
        words = {"train": "training", "val": "validation", "test": "test"}
        said = [
            f"{int(of.loc[of['real'], 'n'].sum()):,} real and {int(of.loc[~of['real'], 'n'].sum()):,} generated images "
            f"for {words[split]}"
            for split in splits
            for of in [counts[counts["split"] == split]]
        ]
        if said:
            yield [f"There were {', '.join(said[:-1])}{' and ' if said[:-1] else ''}{said[-1]}."]
    data = mapping(mapping(run.record.get("config")).get("data"))
    if data.get("near_duplicates"):
        yield ["Near-duplicates of a picture stood on one side of every split."]
    if recipe := data.get("equalise"):
        yield ["All images were first given one history: ", Code(str(recipe)), "."]
    left_out = run.record.get("left_out")
    if isinstance(left_out, int) and left_out > 0:
        verb = "was" if left_out == 1 else "were"
        yield [f"{count(left_out, 'image')} that could not be used {verb} left out."]


def _family(family: str, names: Sequence[str]) -> list[Part]:
    """`GAN (a, b and c)`."""
    return [Name(family_label(family)), " (", *listed(map(Name, names)), ")"]


def geometry(run: Run) -> Iterator[Sentence]:
    """The grid that every image was brought to."""
    text = str(run.record.get("geometry") or "")
    squash = re.fullmatch(r"squash:(\d+)(?:x(\d+))?(?::(nearest|bilinear|bicubic|lanczos))?", text)
    if squash:
        height, width, how = squash[1], squash[2] or squash[1], squash[3] or "bilinear"
        on = switches(run.record)
        aliased = (
            "; unfiltered images and those of training without anti-aliasing"
            if "resize_mismatch" in on
            else ""
        )
        statistics = "ImageNet’s" if "imagenet_stats" in on else "its own"
        yield [
            f"Every image was resized once to {height} × {width} pixels ({how}, anti-aliased, 8 bits{aliased}) before "
            f"any filter; every encoder was given the same pixels, normalised with {statistics} mean and deviation."
        ]
    elif text.startswith("native"):
        yield [
            "Every encoder kept its own resize and crop, so that cut-offs are not compared across encoders."
        ]
    elif text:
        yield ["Images were brought to one grid by ", Code(text), " before any filter."]


def filters(run: Run) -> Iterator[Sentence]:
    """The conditions of the test."""
    rows = run.results.drop_duplicates("filter")
    cutoffs = {
        str(spec): (px, nyq)
        for spec, px, nyq in zip(rows["filter"], rows["cutoff_px"], rows["cutoff_nyq"], strict=True)
    }
    parsed = {spec: found for spec in cutoffs if (found := _parsed(spec)) is not None}
    masks = {
        spec: found
        for spec, found in parsed.items()
        if len(found.steps) == 1 and found.cutoff and found.steps[0].is_mask
    }
    sweeps: dict[str, list[str]] = {}
    for spec in masks:
        sweeps.setdefault(sweep_of(spec) or spec, []).append(spec)
    items: list[Part] = []
    for sweep, specs in sweeps.items():
        order = "" if sweep.startswith("ideal") else f" of order {masks[specs[0]].steps[0].order}"
        kind = describe_sweep(re.sub(r":(order|dc|bits)=[^:]+", "", sweep))
        ends = sorted(cutoffs[spec] for spec in specs)
        text = f"{ends[0][0]:g} px ({ends[0][1]:.2g} of Nyquist)"
        if len(specs) > 1:
            (low, low_nyq), (high, high_nyq) = ends[0], ends[-1]
            text = f"{len(specs)} cut-offs from {low:g} to {high:g} px ({low_nyq:.2g} to {high_nyq:.2g} of Nyquist)"
        items.append(f"{kind}{order} at {text}")
    if items:
        butterworth = any(not spec.startswith("ideal") for spec in masks)
        what = "Butterworth masks" if butterworth else "masks"
        if butterworth and any(spec.startswith("ideal") for spec in masks):
            what = "Butterworth and ideal masks"
        yield [f"Test images were filtered with {what} on their Fourier transform", cite("gonzalez2018"), ": ",
               "; ".join(map(str, items)), ". A cut-off is in cycles per shorter side (px)."]  # fmt: skip
    if "identity" in cutoffs:
        yield ["The control ", Code("identity"), " went the same way with a mask of ones."]
    told = {*masks, "none", "identity", *degraded(run)["filter"]}
    others = [spec for spec in cutoffs if spec not in told]
    if others:
        used = [cite("yang2020")] if any("fda" in parsed[s].kind for s in others if s in parsed) else []
        yield ["Further conditions", *used, ": ", *listed(map(Code, others)), "."]


def encoders(run: Run) -> Iterator[Sentence]:
    """What the embeddings came from."""
    known = {
        str(one["name"]): one
        for one in run.record.get("encoders") or []
        if isinstance(one, Mapping) and one.get("name")
    }
    items = [_encoder(str(name), known.get(str(name), {})) for name in run.results["encoder"].unique()]
    yield ["Embeddings came from ", *in_line(items, "; ", "; and "), "."]


def _encoder(name: str, facts: Mapping[str, Any]) -> list[Part]:
    """An encoder's name, its citation, and in brackets what the record knows of it."""
    source = str(facts.get("source") or "")
    # The encoders that ship are small ones of our own, whatever their objective.
    text = "" if name.startswith("micro-") else f"{name} {source}".lower()
    works = [Cite(keys) for pattern, keys in _ENCODERS if re.search(pattern, text)][:1]
    said: list[list[Part]] = []
    if source and source != name:
        said.append([Code(source)])
    if facts.get("vector"):
        said.append([Name(str(facts["vector"]))])
    if isinstance(facts.get("dim"), int):
        said.append([f"{facts['dim']:,} dimensions"])
    revision, weights = str(facts.get("revision") or ""), str(facts.get("weights") or "")
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        said.append(["revision ", Code(revision[:12])])
    if re.fullmatch(r"[0-9a-f]{64}", weights):
        said.append(["weights with SHA-256 ", Code(weights[:12])])
    return [Name(name), *works, *([" (", *in_line(said, ", ", ", "), ")"] if said else [])]


def _counts(record: Mapping[str, Any]) -> pd.DataFrame | None:
    """Images by split, and whether they are real; None where the record does not say."""
    rows = mapping(record.get("data")).get("counts")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows) or not rows:
        return None
    table = pd.DataFrame(rows)
    if not {"generator", "split", "n"} <= set(table):
        return None
    return table.assign(
        real=table["generator"] == REAL, n=pd.to_numeric(table["n"], errors="coerce").fillna(0)
    )


def _parsed(spec: str) -> Filter | None:
    try:
        return parse(spec)
    except FilterError:
        return None
