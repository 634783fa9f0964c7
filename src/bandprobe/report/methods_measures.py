"""The methods paragraph's second half: probes, metrics and their intervals, analyses, and what it was made with."""

from __future__ import annotations

from collections.abc import Iterator

from bandprobe.report.arrangement import is_pooled
from bandprobe.report.prose import Code, Name, Part, Sentence, cite, count, in_line, listed, mapping, switches
from bandprobe.report.robustness_view import degraded
from bandprobe.report.run_directory import Run

_LOSSES = {"focal": "lin2017", "supcon": "khosla2020", "triplet": "hermans2017"}
_METRICS = {
    "auroc": "AUROC", "ap": "average precision", "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy",
    "real_accuracy": "accuracy on reals", "fake_accuracy": "accuracy on fakes", "eer": "equal error rate", "f1": "F1",
    "precision": "precision", "recall": "recall", "brier": "Brier score", "ece": "expected calibration error",
}  # fmt: skip
_PROPORTIONS = {"accuracy", "real_accuracy", "fake_accuracy", "recall"}
_SPREAD = {
    "ap": "average precision",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "precision": "precision",
}


def probes(run: Run) -> Iterator[Sentence]:
    """What was trained on the embeddings, and what was tested elsewhere."""
    results = run.results[run.results["trained_on"] != "external"]
    if results.empty:
        yield ["No probe was trained; the detectors are those of other authors."]
        return
    config = mapping(mapping(run.record.get("config")).get("probes"))
    head, loss = str(config.get("head", "linear")), str(config.get("loss", "bce"))
    names = list(results["trained_on"].unique())
    single, pooled = [n for n in names if not is_pooled(n)], [n for n in names if is_pooled(n)]
    sets = [f"for each of {count(len(single), 'generator')}"] if single else []
    sets += [f"for {count(len(pooled), 'pool')} of generators"] if pooled else []
    where = f"For each encoder a probe was trained {' and '.join(sets)}: "
    on = switches(run.record)
    if {"thesis_optimiser", "sigmoid_head"} & set(on):
        yield [
            f"{where}a head ",
            Code(head),
            " with the loss ",
            Code(loss),
            ", by the published code’s own recipe.",
        ]
    elif head == "linear" and loss == "bce":
        yield [
            f"{where}logistic regression on standardised embeddings, with the L2 penalty (C from 1e-5 to 10) of the "
            "lowest log loss on validation images, or in five-fold cross-fitting below 100 of a class; reals and fakes "
            "of a data set weighed alike", cite("pedregosa2011"), ".",
        ]  # fmt: skip
    else:
        works = [cite(_LOSSES[loss])] if loss in _LOSSES else []
        yield [f"{where}a head ", Code(head), " with the loss ", Code(loss), *works, "."]
    half = "threshold_half" in on
    threshold = (
        "A probability of one half is the threshold"
        if half
        else "Thresholds maximise balanced accuracy on validation"
    )
    yield [f"{threshold}, and probabilities are Platt’s", cite("platt1999"), ", for as many fakes as reals."]
    again = results.loc[results["train_filter"] != "none", "train_filter"].nunique()
    if again and (results["train_filter"] == "none").any():
        yield [
            "Probes trained on unfiltered images were tested under every filter (reliance), and probes trained and "
            f"tested under one filter show what it leaves (information; {count(again, 'filter')})."
        ]


def metrics(run: Run) -> Iterator[Sentence]:
    """What was measured, and the intervals."""
    names = [str(name) for name in run.results["metric"].unique()]
    words = [_METRICS.get(name, name.upper() if name.startswith("pd@") else name) for name in names]
    batches = "batch_metrics" in switches(run.record)
    over = (
        "; PD, AUROC, F1, precision and recall are means over mini-batches"
        if batches
        else ", over the whole test set"
    )
    yield [
        "Fake is the positive class, and a generator’s test fakes were compared with the test reals of their own data "
        f"set{over}: ", *listed(map(Name, words)), ".",
    ]  # fmt: skip
    if any(name.startswith("pd@") for name in names):
        yield ["PD@x% is the share of fakes found at no more than x% false alarms."]
    kinds: list[list[Part]] = []
    if _PROPORTIONS & set(names):
        kinds.append(["Wilson’s for proportions", cite("wilson1927")])
    if "auroc" in names:
        kinds.append(["DeLong’s on the logit for AUROC", cite("delong1988", "sun2014")])
    if spread := [word for name, word in _SPREAD.items() if name in names]:
        kinds.append(
            [
                "on the logit with the deviation of a stratified bootstrap for ",
                *listed(spread),
                cite("efron1993"),
            ]
        )
    if any(name.startswith("pd@") for name in names):
        whose = ["that bootstrap for PD"] if spread else ["a stratified bootstrap for PD", cite("efron1993")]
        kinds.append(["percentiles of ", *whose])
    if kinds:
        yield ["Intervals are of 95%: ", *in_line(kinds, ", ", ", and "), "."]
        if len(kinds) > 2:
            yield ["The 1,000 resamples of a test set were the same for all conditions and encoders."]


def analyses(run: Run) -> Iterator[Sentence]:
    """What was worked out besides the grid."""
    held = run.analyses
    if run.spectra is not None:
        yield ["Spectra are means over equal numbers of grey images of each source", cite("ricker2022"), "."]
    if "mmd" in held:
        biased = "biased_mmd" in switches(run.record)
        kind = "biased squared MMD with a Gaussian kernel, its width estimated for each pair" if biased else (
            "unbiased squared MMD with a Gaussian kernel, its width the median distance between unfiltered reals"
        )  # fmt: skip
        yield [
            f"Distances between distributions are {kind}, tested by permutation",
            cite("gretton2012"),
            "; the false discovery rate was controlled within encoder, space and experiment",
            cite("benjamini1995"),
            ".",
        ]
    if "entropy" in held:
        measures = set(held["entropy"]["measure"])
        parts: list[list[Part]] = []
        if measures & {"effective_rank", "effective_rank_ratio"}:
            parts.append(["the effective rank", cite("roy2007", "garrido2023")])
        if "knn_entropy" in measures:
            parts.append(["the nearest-neighbour entropy", cite("kozachenko1987")])
        if "cka" in measures:
            parts.append(["debiased linear CKA", cite("kornblith2019")])
        if "mutual_knn" in measures:
            parts.append(["the overlap of mutual nearest neighbours", cite("huh2024")])
        if parts:
            yield [
                "Embeddings were described by ",
                *in_line(parts, ", ", " and "),
                ", with jackknife intervals.",
            ]
    if "layers" in held:
        yield [
            "Probes were also trained on the vector behind every block, before any norm that follows the last: the "
            "class token, or where there is none the mean over patch tokens or positions."
        ]
    yield from _robustness(run)
    if "claims" in held:
        yield [
            "Claims, their statistics and margins were fixed before any number was seen; a verdict needs the whole 95% "
            "interval of a hierarchical bootstrap (test images, generators of a family, trainings of a probe) on one "
            "side of the margin, and five generators in a family."
        ]


def _robustness(run: Run) -> Iterator[Sentence]:
    """Which degradations were tried, and what their falls and rankings are held against."""
    rows = degraded(run)
    if rows.empty:
        return
    before = list(dict.fromkeys(map(str, rows["before"])))
    where: list[list[Part]] = [["alone"]] if "none" in before else []
    if specs := [Code(spec) for spec in before if spec != "none"]:
        where.append(["after ", *listed(specs)])
    names = [Name(str(name)) for name in dict.fromkeys(rows["degradation"])]
    most = rows.groupby(["before", "degradation"])["severity"].nunique().max()
    yield [
        "Images on that grid were also degraded (", *in_line([[name] for name in names], ", ", ", "),
        f"; up to {most} severities each, of the preset ", Code("robustness"), "), in the way of common corruptions",
        cite("hendrycks2019"), ", ", *in_line(where, " and ", " and "),
        "; a fall is that from the same images without the degradation.",
    ]  # fmt: skip
    if "robustness_ranks" in run.analyses:
        yield [
            "Rankings by mean AUROC with and without degradations were compared by Kendall’s tau-b",
            cite("kendall1945"),
            "; its interval takes every pair that resamples do not decide at 95% for turned, or for kept.",
        ]  # fmt: skip


def multiplicity(run: Run) -> Iterator[Sentence]:
    """What stands for how many tests at once."""
    said = []
    if "bands_tested" in run.analyses:
        said.append("bands were claimed at 5% over all bands tried")
    if "audit" in run.analyses:
        said.append("the audit’s intervals hold for all its traces at once")
    rest = "intervals of single cells are not adjusted for the number of cells"
    text = "; ".join([*said, rest])
    yield [f"{text[0].upper()}{text[1:]}."]


def provenance(run: Run) -> Iterator[Sentence]:
    """With what it was made."""
    record = run.record
    facts = [
        f"{name} {record[name]}"
        for name in ("seed", "precision", "device")
        if record.get(name) not in (None, "")
    ]
    if versions := mapping(record.get("versions")):
        yield ["Software: ", *listed(Name(f"{name} {version}") for name, version in versions.items()), "."]
    if facts:
        text = ", ".join(facts)
        yield [Name(f"{text[0].upper()}{text[1:]}"), "."]
    if record.get("command"):
        yield ["Command: ", Code(str(record["command"])), "."]
