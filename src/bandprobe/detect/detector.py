"""A probe as a detector: pictures in, a row each out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.detect.decision import AUTO, Decision, decide
from bandprobe.detect.inputs import Input, array_input, batches_of, file_input
from bandprobe.detect.scorer import Picture, Scorer, identified, load_scorers, probe_paths
from bandprobe.errors import ImageError, InputError
from bandprobe.images.decode import Colour
from bandprobe.machine import cores

Image: TypeAlias = "str | Path | NDArray[np.uint8] | Any"  # a path, an array, or a PIL image

COLUMNS = (
    "path", "probe", "logit", "probability", "verdict", "threshold", "false_alarm_rate", "false_alarm_low",
    "false_alarm_high", "n_real", "prior", "outside", "novelty",
)  # fmt: skip
BATCH = 32


@dataclass(frozen=True)
class Result:
    """A batch's rows, with `COLUMNS`, the pictures by name and background, and what could not be read, with reasons."""

    rows: list[dict[str, Any]]
    pictures: dict[str, dict[Colour, Picture]]
    left_out: dict[str, str]


class Detector:
    """One probe or several, ready for pictures. `Detector.load` makes it.

    Attributes:
        scorers: the probes with their encoders.
        decisions: how each probe's logits become verdicts, by the probe's name.
        prior: share of fakes among the images to come; None for as many fakes as reals.
    """

    def __init__(
        self, scorers: Sequence[Scorer], decisions: Mapping[str, Decision], prior: float | None
    ) -> None:
        self.scorers = tuple(scorers)
        self.decisions = dict(decisions)
        self.prior = prior

    @classmethod
    def load(
        cls,
        probe: str | Path | Sequence[str | Path],
        *,
        encoder: str | None = None,
        device: str = "auto",
        prior: float | None = None,
        false_alarms: float | None = None,
        abstain: str = AUTO,
    ) -> Detector:
        """Load a probe with its encoder.

        Args:
            probe: a probe's safetensors file, a folder of them, a published model folder, or several of these.
            encoder: what loads the probe's encoder, if that has moved since training.
            device: where the encoder runs.
            prior: share of fakes among the images to come; see `decision.decide`.
            false_alarms: share of reals that may be called fake, in place of the probe's own threshold.
            abstain: `auto`, `none` or `LOW..HIGH`; see `decision.decide`.

        Raises:
            InputError: no probe, an encoder with other weights than the probe's, or a rule that the probe cannot
                follow.
            EncoderError: the encoder cannot be loaded.
        """
        given = [probe] if isinstance(probe, (str, Path)) else list(probe)
        paths = probe_paths(Path(one) for one in given)
        scorers = load_scorers(paths, encoder=encoder, device=device)
        named = [one for scorer in scorers for one in scorer.probes]
        if len({one.name for one in named}) < len(named):
            raise InputError(
                "two of the probes have one file name; copy one to another name, so that rows tell them apart."
            )
        rules = {
            one.name: decide(one.file, prior=prior, false_alarms=false_alarms, abstain=abstain)
            for one in named
        }
        return cls(scorers, rules, prior)

    def score(
        self, images: Image | Sequence[Image], *, batch_size: int = BATCH, workers: int | None = None
    ) -> pd.DataFrame:
        """What the probes say of images.

        Args:
            images: one or several of: a path, uint8 of shape (h, w, 3), a PIL image.
            batch_size: images a batch.
            workers: decoding threads; every core by default.

        Returns:
            A row for each image and probe, in the order given, with `COLUMNS`: `outside` is None where the probe does
            not know what it was trained on. Images that cannot be read have no row; they stand in the table's
            `attrs["left_out"]`, with the reasons.

        Raises:
            InputError: something that is no image.
        """
        several = isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4)
        given: Any = images if several else [images]
        items = [_input(image, number) for number, image in enumerate(given)]
        rows: list[dict[str, Any]] = []
        left_out: dict[str, str] = {}
        for done in self.stream(batches_of(items, batch_size), workers=workers or cores()):
            rows += done.rows
            left_out |= done.left_out
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        table.attrs["left_out"] = left_out
        return table

    def stream(self, batches: Iterable[list[Input]], *, workers: int, ahead: bool = True) -> Iterator[Result]:
        """What the probes say, batch after batch.

        Args:
            batches: of inputs.
            workers: decoding threads.
            ahead: decode the next batch meanwhile; off where the next may be long in coming.
        """
        colours = {scorer.colour for scorer in self.scorers}

        def attempt(item: Input) -> dict[Any, Picture] | str:
            try:
                return {colour: item.read(colour) for colour in colours}
            except ImageError as error:
                return str(error)

        def begun(pool: ThreadPoolExecutor, batch: list[Input]) -> list[tuple[Input, Future[Any]]]:
            return [(item, pool.submit(attempt, item)) for item in batch]

        with ThreadPoolExecutor(workers) as pool:
            waiting: list[tuple[Input, Future[Any]]] | None = None
            for batch in batches:
                now = begun(pool, batch)
                if not ahead:
                    yield self._done(now)
                    continue
                if waiting is not None:
                    yield self._done(waiting)
                waiting = now
            if waiting is not None:
                yield self._done(waiting)

    def _done(self, batch: Sequence[tuple[Input, Future[Any]]]) -> Result:
        read = [(item, future.result()) for item, future in batch]
        left_out = {item.name: found for item, found in read if isinstance(found, str)}
        fit = [(item.name, found) for item, found in read if not isinstance(found, str)]
        rows: list[list[dict[str, Any]]] = [[] for _ in fit]
        for scorer in self.scorers if fit else ():
            pictures = [found[scorer.colour] for _, found in fit]
            placed = np.stack([scorer.placed(picture) for picture in pictures])
            logits, vectors = scorer.logits(placed, [identified(picture) for picture in pictures])
            for number, one in enumerate(scorer.probes):
                rule, novelty = self.decisions[one.name], one.file.novelty
                # Six digits: the last bits depend on what else is in the batch.
                far = (
                    [float(f"{value:.6g}") for value in novelty.distance(vectors[number]) / novelty.threshold]
                    if novelty is not None
                    else None
                )
                chances = rule.probability(logits[number])
                rate = rule.false_alarm_rate
                for place, (name, _) in enumerate(fit):
                    rows[place].append(
                        {
                            "path": name,
                            "probe": one.name,
                            "logit": float(logits[number, place]),
                            "probability": float(chances[place]),
                            "verdict": rule.verdict(float(logits[number, place])),
                            "threshold": rule.threshold,
                            "false_alarm_rate": rate[0] if rate else None,
                            "false_alarm_low": rate[1] if rate else None,
                            "false_alarm_high": rate[2] if rate else None,
                            "n_real": rule.n_real if rate else None,
                            "prior": self.prior,
                            "outside": None if far is None else far[place] > 1,
                            "novelty": None if far is None else far[place],
                        }
                    )
        return Result([row for some in rows for row in some], dict(fit), left_out)


def _input(image: Image, number: int) -> Input:
    if isinstance(image, (str, Path)):
        return file_input(image)
    if isinstance(image, np.ndarray):
        return array_input(f"image {number}", image)
    if hasattr(image, "convert"):  # of Pillow
        return array_input(f"image {number}", np.asarray(image.convert("RGB")))
    raise InputError(
        f"an image must be a path, a PIL image or uint8 of shape (h, w, 3); got {type(image).__name__}."
    )


def warn(detector: Detector, false_alarms: float | None) -> None:
    """Say what the user must know of the rules, once: too few held-out reals, or nothing known."""
    for name, rule in detector.decisions.items():
        if false_alarms is not None and rule.n_real * false_alarms < 10:
            progress.say(
                f"{name}: {rule.n_real:,} held-out reals are few for a false-alarm rate of {false_alarms:.3g}; "
                f"{int(np.ceil(10 / false_alarms)):,} would make the threshold sure."
            )
    unknown = [one.name for scorer in detector.scorers for one in scorer.probes if one.file.novelty is None]
    if unknown:
        progress.say(f"novelty is not known of {', '.join(unknown[:3])}{' ...' if len(unknown) > 3 else ''}.")
