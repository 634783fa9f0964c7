"""How long a study takes on accelerators that are not here, and what asking for less would save."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bandprobe.filters import parse
from bandprobe.study.costs import costs

if TYPE_CHECKING:
    from bandprobe.config import Analysis
    from bandprobe.store import EmbeddingStore
    from bandprobe.study.calibration import Calibration
    from bandprobe.study.costs import Costs, PassCosts
    from bandprobe.study.devices import Device
    from bandprobe.study.plan import Plan
    from bandprobe.study.population import Population

UTILISATION = 0.4
# How often a filtered image, 4 bytes a number, goes through an accelerator's memory: the spectrum read, the product
# written, two passes of the inverse transform that each read and write, the image read by what measures clipping,
# and read and written by what normalises it.
TRAVERSALS = 9
HALF = "bf16"


@dataclass(frozen=True)
class Fleet:
    """Accelerators that a study could run on.

    Attributes:
        device: of which kind.
        gpus: how many.
        utilisation: share of the peak that the encoders reach, in (0, 1]; assumed.
        usd_per_gpu_hour: what one costs; None where that is not asked.
    """

    device: Device
    gpus: int
    utilisation: float = UTILISATION
    usd_per_gpu_hour: float | None = None

    @property
    def half(self) -> str:
        """The half precision that it has; bf16, whose range is fp32's, where there is a choice."""
        return HALF if self.device.peak(HALF) else "fp16"

    def gpu_hours(self, costs: Costs, precision: str) -> float | None:
        """Hours of one accelerator; None where it does not have the precision, or nothing could be counted.

        Encoders: operations / (peak x utilisation). Filters: bytes through memory / bandwidth, where that is known.
        Passes whose operations cannot be counted are left out.
        """
        peak = self.device.peak(precision)
        if peak is None or (costs.to_do and not costs.flops):
            return None
        seconds = costs.flops / (peak * 1e12 * self.utilisation)
        if self.device.bandwidth is not None:
            seconds += _filter_bytes(costs) / (self.device.bandwidth * 1e9)
        return seconds / 3600

    def hours(self, costs: Costs, precision: str) -> float | None:
        """Hours of all of them: passes do not depend on each other, so N take an N-th."""
        alone = self.gpu_hours(costs, precision)
        return None if alone is None else alone / self.gpus

    def usd(self, costs: Costs, precision: str) -> float | None:
        """What they cost; None where no price is given."""
        alone = self.gpu_hours(costs, precision)
        return None if alone is None or self.usd_per_gpu_hour is None else alone * self.usd_per_gpu_hour

    def readers(self, costs: Costs, precision: str, seconds: float) -> float | None:
        """Processor cores that keep them fed, where one takes so many seconds to read a picture."""
        hours = self.hours(costs, precision)
        return None if not hours else costs.reads * seconds / (3600 * hours)


def _filter_bytes(costs: Costs) -> int:
    return sum(
        share.to_do * TRAVERSALS * 4 * 3 * share.cost.size[0] * share.cost.size[1]
        for share in costs.shares
        if share.cost is not None
    )


@dataclass(frozen=True)
class Instead:
    """A study that asks for something else.

    Attributes:
        change: in words.
        costs: what it does.
        precision: what its encoders calculate in.
        hours_here: hours on this machine; None where that was not measured.
    """

    change: str
    costs: Costs
    precision: str
    hours_here: float | None


def what_if(
    plan: Plan,
    people: Population,
    of_pass: PassCosts,
    found: Costs,
    calibration: Calibration | None,
    store: EmbeddingStore | None,
    half: str = HALF,
) -> list[Instead]:
    """The study as it stands, and with less of one thing at a time.

    Args:
        plan: the study's.
        people: its images.
        of_pass: what a pass of each encoder costs.
        found: what the study as it stands does.
        calibration: what was measured here.
        store: the run's, if it counts.
        half: the half precision to look at.
    """

    def here(counted: Costs) -> float | None:
        return None if calibration is None else calibration.hours(counted)

    precision = plan.settings.run.precision
    rows = [Instead("as it stands", found, precision, here(found))]
    if precision == "fp32":
        rows.append(Instead(f"in {half}", found, half, None))
    for change, other in _plans(plan):
        counted = costs(other, people, of_pass, store)
        if counted.to_do != found.to_do:
            rows.append(Instead(change, counted, precision, here(counted)))
    fewer = people.images // 10
    if fewer and store is None:  # which of the images in a store a tenth would hold is not known
        counted = costs(plan, people.scaled(fewer, ""), of_pass)
        rows.append(Instead(f"{fewer:,} images", counted, precision, here(counted)))
    return rows


def _plans(plan: Plan) -> Iterator[tuple[str, Plan]]:
    asked = plan.settings.analysis
    for step, words in ((2, "every 2nd cut-off"), (4, "every 4th cut-off")):
        coarse, again = coarser(plan.test_filters, step), coarser(plan.train_filters, step)
        kept = tuple(dict.fromkeys([*plan.everywhere, *again]))
        yield words, replace(plan, test_filters=coarse, train_filters=kept)
    if set(plan.train_filters) != set(plan.everywhere):
        settings = asked.model_copy(update={"information": False})
        yield "no re-training", _with(replace(plan, train_filters=plan.everywhere), settings)
    if asked.bands:
        yield "no bands", _with(plan, asked.model_copy(update={"bands": False}))
    if asked.twin and asked.entropy:
        yield "no twins", _with(plan, asked.model_copy(update={"twin": False}))
    if plan.beside:
        yield "no layers", _without(plan, plan.beside)
    wholes = list(dict.fromkeys(encoder.whole.name for encoder in plan.encoders))
    for whole in wholes if len(wholes) > 1 else ():
        yield f"no {whole}", _without(plan, {one.name for one in plan.encoders if one.whole.name == whole})


def _without(plan: Plan, names: Collection[str]) -> Plan:
    """The plan less some encoders."""
    kept = [at for at, encoder in enumerate(plan.encoders) if encoder.name not in names]
    return replace(
        plan,
        names=tuple(plan.names[at] for at in kept),
        encoders=tuple(plan.encoders[at] for at in kept),
    )


def _with(plan: Plan, analysis: Analysis) -> Plan:
    return replace(plan, settings=plan.settings.model_copy(update={"analysis": analysis}))


def coarser(specs: Sequence[str], step: int) -> tuple[str, ...]:
    """Every `step`-th cut-off of each sweep, the first and what has no cut-off kept.

    Args:
        specs: canonical filter specs, a sweep's in the order of its cut-offs.
        step: 2 keeps half.
    """
    seen: dict[str, int] = {}
    kept = []
    for spec in specs:
        found = parse(spec)
        if found.cutoff is not None:
            at = seen.get(found.sweep, 0)
            seen[found.sweep] = at + 1
            if at % step:
                continue
        kept.append(spec)
    return tuple(kept)
