"""The model card of a published probe: front matter that the Hugging Face Hub reads, and a page that people do."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bandprobe._version import __version__
from bandprobe.encoders import resolve
from bandprobe.errors import EncoderError
from bandprobe.probes import ProbeFile
from bandprobe.report.card_facts import KINDS, Cell, Curve, Facts, Rate, held_out_alarms
from bandprobe.report.citations import bibtex
from bandprobe.report.markdown import markdown_text

_LABELS = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy"}
_METRICS = {"auroc": "roc_auc", "balanced_accuracy": "balanced_accuracy"}
_FEW = 1000  # test reals
_TEMPLATES = Path(__file__).with_name("templates")


def model_card(
    file: ProbeFile,
    facts: Facts,
    *,
    name: str,
    place: str,
    licence: str,
    data_licence: str = "",
    encoder_note: str = "",
) -> str:
    """A `README.md`: YAML front matter, and Markdown in which no name from outside means anything.

    Args:
        file: the probe.
        facts: what its run says of it.
        name: the model's.
        place: what `--probe` takes: the folder's name.
        licence: the Hub's word for the probe's licence, e.g. `apache-2.0`; empty where it is not given.
        data_licence: of the training images, in words.
        encoder_note: how the encoder is had, where its name does not load it anywhere.

    Source:
        Mitchell et al. 2019, *Model Cards for Model Reporting*; the front matter follows huggingface_hub's
        `ModelCardData`.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # every text from outside goes through the filter `text`, which escapes Markdown and HTML
        keep_trailing_newline=True,
    )
    environment.filters["text"] = markdown_text
    page = environment.get_template("model_card.md.j2").render(
        name=name,
        place=re.sub(r"[^\w./@+-]", "-", place),
        summary=_summary(file),
        facts_table=_facts_table(file),
        encoder_note=encoder_note,
        carries=_carries(facts),
        measures=[_LABELS.get(one, one.upper()) for one in facts.measures],
        cells=[_shown(cell) for cell in facts.cells],
        condition_note=""
        if facts.condition == "none"
        else f" Test images were under `{_code(facts.condition)}`.",
        lives_on=_lives_on(facts),
        calibration=_calibration(file, facts),
        limits=_limits(file, facts),
        data=_data(file, data_licence),
        bibtex=bibtex(["bandprobe", "wustl2024"]).strip(),
    )
    return f"---\n{front_matter(file, facts, name=name, licence=licence)}\n---\n\n{page}"


def front_matter(file: ProbeFile, facts: Facts, *, name: str, licence: str) -> str:
    """The YAML between the dashes: licence, tags, base model and the grid as a model index."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-classification",
            task_name="Detection of generated images",
            dataset_type=cell.dataset,
            dataset_name=f"{cell.dataset}: {cell.tested_on} ({cell.kind})",
            dataset_config=cell.tested_on,
            dataset_split="test",
            metric_type=_METRICS.get(measure, measure),
            metric_name=_LABELS.get(measure, measure.upper()),
            metric_value=round(value, 4),
        )
        for cell in facts.cells
        for measure, (value, *_) in zip(facts.measures, cell.values, strict=True)
        if math.isfinite(value)
    ]
    bases = base_models(file)
    settings: dict[str, Any] = {
        "license": licence or "other",
        "license_name": None if licence else "not-stated",
        "library_name": "bandprobe",
        "pipeline_tag": "image-classification",
        "tags": ["bandprobe", "deepfake-detection", "image-forensics", "frequency-analysis", "linear-probe"],
        "base_model": (bases[0] if len(bases) == 1 else bases) or None,
        "metrics": sorted({_METRICS[one] for one in facts.measures if one in _METRICS}) or None,
    }
    data = ModelCardData(model_name=name, eval_results=results or None, **settings)
    return str(data.to_yaml()).strip()


def base_models(file: ProbeFile) -> list[str]:
    """The Hub ids of the probe's encoder, or of each of several; none for an encoder that is not there."""
    try:
        reference = resolve(file.source)
    except EncoderError:
        return []
    parts = [part for part, _ in reference.parts] or [reference]
    return list(dict.fromkeys(part.target for part in parts if part.kind == "hub" and part.random is None))


def _code(value: str) -> str:
    """A text between back quotes, where only they and line ends would mean anything."""
    return "".join(sign if sign.isprintable() and sign not in "`|" else " " for sign in value)


def _whom(file: ProbeFile) -> str:
    generators = [markdown_text(str(one)) for one in file.training.get("generators", [])]
    if not generators:
        return "images that its file does not name"
    names = ", ".join(generators[:8]) + (f" and {len(generators) - 8} more" if len(generators) > 8 else "")
    return f"{names} ({markdown_text(file.family)})" if file.family != "all" else names


def _summary(file: ProbeFile) -> str:
    head = str(file.training.get("head", "linear"))
    kind = "A linear probe" if head == "linear" else f"A probe with the head {markdown_text(head)}"
    return (
        f"{kind} on frozen embeddings of **{markdown_text(file.encoder)}** that tells generated images from real ones, "
        f"trained with bandprobe on {_whom(file)}."
    )


def _facts_table(file: ProbeFile) -> list[tuple[str, str]]:
    made = file.fingerprint
    rows = [
        (
            "encoder",
            f"`{_code(file.encoder)}`"
            + "".join(f", [{b}](https://huggingface.co/{b})" for b in base_models(file)),
        ),
        ("embedding", markdown_text(made.get("encoder.vector", "not known"))),
        (
            "images are put on",
            f"`{_code(made.get('geometry', 'the encoder own grid'))}`, 8 bits, before anything else",
        ),
        ("filter before the encoder", f"`{_code(file.train_filter)}`"),
        ("threshold on the logit", f"{file.probe.threshold:.4f}"),
        ("made with", f"bandprobe {__version__}"),
    ]
    return [(label, value) for label, value in rows if value]


def _shown(cell: Cell) -> dict[str, Any]:
    return {
        "tested_on": cell.tested_on,
        "family": cell.family,
        "kind": cell.kind,
        "shown": [_interval(*values) for values in cell.values],
        "counts": f"{cell.n_real:,}, {cell.n_fake:,}",
    }


def _interval(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "–"
    ends = f" ({low:.3f}–{high:.3f})" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:.3f}{ends}"


def _carries(facts: Facts) -> str:
    if not facts.cells:
        return "No results came with this probe: how well it does, on anything, is not known."
    words = {
        "own": "other images of what it was trained on",
        "same family": "other generators of its family",
        "other family": "generators of other families",
    }
    parts = []
    for kind in KINDS:
        values = [cell.values[0][0] for cell in facts.of_kind(kind) if math.isfinite(cell.values[0][0])]
        if values:
            spread = f", {min(values):.3f} to {max(values):.3f} over {len(values)}" if len(values) > 1 else ""
            parts.append(f"on {words[kind]} **{sum(values) / len(values):.3f}**{spread}")
    return f"Mean AUROC {'; '.join(parts)}. 0.5 is chance."


def _lives_on(facts: Facts) -> str:
    said = []
    if facts.bands:
        bands = ", ".join(
            f"{band.low_nyq:.2f} to {min(band.high_nyq, math.sqrt(2)):.2f} on {markdown_text(band.tested_on)} "
            f"(p = {band.p_value:.2g})"
            for band in facts.bands[:8]
        )
        said.append(f"Bands it was found to use, in fractions of Nyquist: {bands}.")
    elif facts.bands_asked:
        said.append(f"No band is claimed: {markdown_text(facts.bands_asked)}.")
    if facts.curve:
        said.append(_falls(facts.curve))
    return " ".join(said) or "Not known: its run asked no bands and no curve of it."


def _falls(curve: Curve) -> str:
    """The low-pass curve in words."""
    on, lowest, top = markdown_text(curve.tested_on), curve.cuts[0], curve.cuts[-1]
    left = f"{_interval(lowest.value, lowest.low, lowest.high)} at {lowest.cutoff_nyq:.2f}"
    if curve.keeps is None:
        return (
            f"Every first-order Butterworth low-pass tried costs it more than 5 % of its AUROC on {on} "
            f"({curve.whole:.3f}): {_interval(top.value, top.low, top.high)} is left at {top.cutoff_nyq:.2f} of "
            f"Nyquist, {left}."
        )
    return (
        f"Under a first-order Butterworth low-pass it keeps 95 % of its AUROC on {on} ({curve.whole:.3f}) down to "
        f"{curve.keeps.cutoff_nyq:.2f} of Nyquist; it has {left}."
    )


def _rate(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f} %, {rate.n:,} reals)"


def _calibration(file: ProbeFile, facts: Facts) -> list[str]:
    probe = file.probe
    how = {
        "split": "on validation images",
        "cross-fitting": "by five-fold cross-fitting over training and validation images",
    }.get(probe.validation, markdown_text(str(probe.validation)))
    lines = [
        f"A picture is called fake at or above a logit of {probe.threshold:.4f}, where balanced accuracy is highest "
        f"{how}.",
        f"Its probability is `sigmoid({probe.slope:.4f} * logit {probe.intercept:+.4f})` (Platt), for as many fakes "
        "as reals; `bandprobe score --prior 0.01` is for where fakes are rare.",
    ]
    if held := held_out_alarms(file):
        lines.append(f"False alarms at this threshold on held-out validation reals: {_rate(held)}.")
    if facts.false_alarms:
        lines.append(f"False alarms on the test reals of its own data: {_rate(facts.false_alarms)}.")
    if not held and not facts.false_alarms:
        lines.append("Its false-alarm rate is not known.")
    return lines


def _limits(file: ProbeFile, facts: Facts) -> list[str]:
    lines = []
    others = [cell for cell in facts.cells if cell.kind != "own" and math.isfinite(cell.values[0][0])]
    if others:
        worst = min(others, key=lambda cell: cell.values[0][0])
        lines.append(
            f"Never tested on generators other than the {len(facts.cells)} above. On {markdown_text(worst.tested_on)}, "
            f"which it was not trained on, its AUROC is {_interval(*worst.values[0])}."
        )
    elif facts.cells:
        lines.append("Tested on nothing but what it was trained on: what it does elsewhere is not known.")
    small = min((cell.n_real for cell in facts.cells), default=_FEW)
    if small < _FEW:
        lines.append(
            f"Test sets have as few as {small:,} reals: false-alarm rates below {1000 / max(small, 10):.1f} % cannot "
            "be read from them."
        )
    kinds = ", ".join(facts.degradations)
    lines.append(
        f"Tested on damaged pictures ({kinds}) in its run; the table is of pictures as they are."
        if kinds
        else "Not tested on recompressed, resized, cropped or otherwise damaged pictures: what a platform does to an "
        "upload may undo it."
    )
    for dataset in dict.fromkeys(dataset for _, dataset, _ in facts.warnings):
        traces = [f"{markdown_text(t)} ({a:.2f})" for t, of, a in facts.warnings if of == dataset]
        lines.append(
            f"The audit warns that in {markdown_text(dataset)} these alone tell reals from fakes, by their AUROC: "
            f"{', '.join(traces)}. Some of the probe's may be owed to them."
        )
    lines.append(
        "It knows pictures unlike its training images, and `score` marks them as outside."
        if file.novelty is not None
        else "It does not know which pictures are unlike its training images: `score` cannot warn of them."
    )
    if facts.n_left_out:
        lines.append(f"{facts.n_left_out:,} images of its run could not be used.")
    return lines


def _data(file: ProbeFile, licence: str) -> str:
    datasets = ", ".join(markdown_text(str(one)) for one in file.training.get("datasets", []))
    told = f"Data sets: {datasets}. " if datasets else "Its file does not name its data sets. "
    images = file.training.get("images")
    if isinstance(images, dict):
        uses = {"train": "training", "val": "validation"}
        counts = [
            f"{images.get(f'{split} fake', 0):,} fakes and {images.get(f'{split} real', 0):,} reals for {use}"
            for split, use in uses.items()
        ]
        told += f"{'; '.join(counts)}. "
    end = f"Licence of the images: {markdown_text(licence)}." if licence else ""
    return told + (end or "The licence of the images is not stated here.")
