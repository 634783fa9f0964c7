"""A whole study against the thesis's way through the same design: passes counted, seconds, and both as probes grow."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch.nn.modules.module import register_module_forward_hook

from bandprobe.run import Run
from side_by_side import Row, device, ratio
from thesis_pipeline import CONDITIONS, GENERATORS, TRAINING_SETS, Floats, Pictures, ThesisPipeline, measured
from thesis_study import TRAINED_ALIKE, Answers, Design

_T = TypeVar("_T")
Tested = tuple[str, str, Pictures, Floats]  # condition, generator, its test set's pictures and their logits
_ONCE = "each picture once for all test sets"


def rows(
    *,
    images: int = 40,
    probes: Sequence[int] = (1, 2, 4, 8, 14),
    conditions: Sequence[str] = tuple(CONDITIONS),
    every: int = 8,
    rounds: int = 1,
) -> list[Row]:
    """Encoder passes of both sides, and the seconds of both for so many probes.

    Args:
        images: of each source in train, val and test where seconds are measured. Passes are counted, and results
            compared in every cell, at 1.
        probes: how many of the thesis's 14 training sets, rising.
        conditions: names of the sweep.
        every: the thesis's way is timed on every so manieth condition of the first probe,
            whose metrics are compared too.
        rounds: how often each side runs.

    Raises:
        ArithmeticError: a weight, a logit or a metric of one side is not that of the other; a run's record does
            not say how many passes it made; a finished study made one when it was run again.
    """
    design = Design(1, tuple(TRAINING_SETS)[: probes[-1]], tuple(conditions))
    with TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *passes(design, every, folder / "passes"),
            *seconds(replace(design, images=images), probes, every, rounds, folder / "seconds"),
        ]


def passes(design: Design, every: int, folder: Path) -> list[Row]:
    """Both sides' passes, counted at the encoder, once their results are seen to be the same."""
    pipeline = design.pipeline(folder)
    alike, _ = recorded(design, folder, folder / "alike", TRAINED_ALIKE)
    _, mine = recorded(design, folder, folder / "ours")
    _, more = recorded(design, folder, folder / "ours")
    if more:
        raise ArithmeticError(f"a finished study made {more} encoder passes when it was run again.")
    # On batches of two, threads do nothing but wait for each other.
    with threads(1), counted() as sizes:
        distinct, tested = compare(design, pipeline, Answers(alike), design.conditions[::every])
    theirs = sum(sizes)
    once = theirs - tested + distinct
    name, unit = "encoder passes of a study", f"passes: {design}"
    return [
        Row(name, theirs / mine, 14.0, mine, theirs, unit, device()),
        Row(f"{name} / {_ONCE}", once / mine, 14.0, mine, once, unit, device()),
    ]


def recorded(design: Design, folder: Path, out: Path, protocol: str = "corrected") -> tuple[Run, int]:
    """A study and its passes, counted.

    Raises:
        ArithmeticError: its record says another number.
    """
    with counted() as sizes:
        run = design.run(folder, out, protocol)
    if sum(sizes) != run.record["encoder_passes"]["done"]:
        raise ArithmeticError(f"a study made {sum(sizes)} passes; it says {run.record['encoder_passes']}.")
    return run, sum(sizes)


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """The sizes of all batches that any DINOv2 of this process is given meanwhile."""
    sizes: list[int] = []

    def count(module: torch.nn.Module, _: object, output: Any) -> None:
        if type(module).__name__ == "Dinov2Model":
            sizes.append(len(output.last_hidden_state))

    hook = register_module_forward_hook(count)
    try:
        yield sizes
    finally:
        hook.remove()


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """So many of torch's threads, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compare(
    design: Design, pipeline: ThesisPipeline, answers: Answers, conditions: Sequence[str]
) -> tuple[int, int]:
    """Go the thesis's way through a whole design, and hold every probe and cell against a study trained alike.

    Args:
        design: what.
        pipeline: the thesis's way.
        answers: the study's.
        conditions: those whose metrics are compared too, which takes longer than the passes.

    Returns:
        Passes with a probe, a condition and a picture that were not together before; and all but training's.
    """
    seen: set[tuple[str, str, Path]] = set()
    tested = 0
    for name in design.probes:
        head = pipeline.train(name)
        answers.check_head(name, head)
        for condition, generator, pictures in design.cells(pipeline):
            logits = pipeline.logits(head, pictures, condition)
            answers.check_cell(name, condition, generator, pictures, logits, condition in conditions)
            seen.update((name, condition, path) for path, _ in pictures)
            tested += len(pictures)
    return len(seen), tested


def seconds(design: Design, probes: Sequence[int], every: int, rounds: int, folder: Path) -> list[Row]:
    """Whole studies of so many probes, against the thesis's way extrapolated: it is a sum of equal passes."""
    pipeline, name = design.pipeline(folder), design.probes[0]
    sample = replace(design, probes=(name,), conditions=design.conditions[::every])
    ours: dict[int, list[float]] = {count: [] for count in probes}
    training, testing = [], []
    for number in range(rounds):
        out = folder / f"run-{number}"
        run, whole = timed(partial(design.run, folder, out))
        ours[probes[-1]].append(whole)
        answers = Answers(run)
        ways = []
        for count in {1, torch.get_num_threads()}:  # on a busy machine one thread can be faster than two
            with threads(count):
                _, one = timed(partial(pipeline.train, name))
                tested, some = timed(partial(test, sample, pipeline, answers.head(name)))
            ways.append((one, some * len(design.conditions) / len(sample.conditions)))
            for cell in tested:
                answers.check_cell(name, *cell)
        one, all_conditions = min(ways, key=sum)
        training.append(one)
        testing.append(all_conditions)
        for count in probes[:-1]:
            # The same pictures pass through the encoder, whatever is trained on them: measured once is enough.
            fewer = folder / f"run-{number}-{count}"
            shutil.copytree(out / "store", fewer / "store")
            asked = replace(design, probes=design.probes[:count])
            warm, rest = timed(partial(asked.run, folder, fewer))
            ours[count].append(rest - _embedding(warm) + _embedding(run))
    distinct = len(pipeline.pictures("test", GENERATORS))
    once = distinct / sum(len(pipeline.pictures("test", [one])) for one in GENERATORS)

    def row(label: str, count: int, target: float, share: float = 1.0) -> Row:
        other = [count * (a + share * b) for a, b in zip(training, testing, strict=True)]
        ways = ratio(ours[count], other), target, statistics.median(ours[count]), statistics.median(other)
        asked = replace(design, probes=design.probes[:count])
        some = f"1 x {len(GENERATORS)} x {len(sample.conditions)}"
        unit = f"s, no report: {asked}; other extrapolated from {some}"
        return Row(label, *ways, unit, device())

    title = "whole study, wall"
    return [
        row(title, probes[-1], 20.0),
        row(f"{title} / {_ONCE}", probes[-1], 10.0, once),
        *(row(f"{title} / {count} of {probes[-1]} probes", count, 1.0) for count in probes[:-1]),
    ]


def test(design: Design, pipeline: ThesisPipeline, head: torch.nn.Linear) -> list[Tested]:
    """A probe's cells, each to its metrics."""
    found = []
    for condition, generator, pictures in design.cells(pipeline):
        logits = pipeline.logits(head, pictures, condition)
        measured(pictures, logits)
        found.append((condition, generator, pictures, logits))
    return found


def timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """What it gives, and the seconds that took."""
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def _embedding(run: Run) -> float:
    """Seconds of a run's embedding stage."""
    return float(run.record["timings"]["embed"])
