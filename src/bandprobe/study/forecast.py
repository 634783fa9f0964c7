"""A study's costs before anything is spent: what was counted, what was measured here, what is projected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe.remote import is_remote
from bandprobe.store import EmbeddingStore
from bandprobe.study.calibration import Calibration, calibrate
from bandprobe.study.costs import BYTES_BESIDE, Costs, PassCosts, Share, conditions, costs
from bandprobe.study.devices import PRECISIONS
from bandprobe.study.population import SOURCE, Population, population
from bandprobe.study.projection import HALF, Fleet, Instead, what_if

if TYPE_CHECKING:
    from bandprobe.study.plan import Plan

LEFT_OUT = "near-duplicates, probes, analyses and the report"


@dataclass(frozen=True)
class Forecast:
    """What a study costs.

    Attributes:
        plan: the study's.
        people: its images.
        costs: what it does.
        calibration: what was measured here; None where nothing was.
        fleet: what it is projected onto; None where that was not asked.
        instead: the study as it stands, and with less.
        resumed: whether what the run's store holds was counted.
    """

    plan: Plan
    people: Population
    costs: Costs
    calibration: Calibration | None
    fleet: Fleet | None
    instead: tuple[Instead, ...]
    resumed: bool

    @property
    def hours_here(self) -> float | None:
        """Hours of embedding on this machine; None where they were not measured."""
        return None if self.calibration is None else self.calibration.hours(self.costs)

    @property
    def indexing_hours(self) -> float | None:
        """Hours of opening every picture once to index it; None where an earlier run has, or it was not measured."""
        read = None if self.calibration is None else self.calibration.read
        return None if read is None or self.people.table is not None else self.people.images * read / 3600

    def content(self) -> dict[str, Any]:
        """All of it, fit for JSON; every block says how its numbers were got."""
        tested, trained = conditions(self.plan)
        return {
            "run": str(self.plan.folder),
            "counted": {
                "images": {
                    "how": self.people.how,
                    "total": self.people.images,
                    "sources": self.people.counts[[*SOURCE, "split", "n"]].to_dict("records"),
                },
                "conditions": {"test": tested, "train": trained},
                "passes": {
                    "how": self._how_passes(),
                    "to_do": self.costs.to_do,
                    "saved": self.costs.saved,
                    "pictures_read": self.costs.reads,
                    "by_stage": [self._share(share) for share in self.costs.shares],
                },
                "flops": {
                    "how": "counted on the architecture: matrix products, convolutions, attention",
                    "total": self.costs.flops,
                    "not_counted": self.costs.uncounted,
                },
                "bytes": {
                    "how": f"vectors exactly, 4 bytes a number; the rest {BYTES_BESIDE} bytes a row",
                    "vectors": self.costs.vector_bytes,
                    "stored": self.costs.stored_bytes,
                    "rows_from_tables": self.costs.imported,
                },
            },
            "measured_here": self._measured(),
            "projected": self._projected(),
            "what_if": [self._instead(row) for row in self.instead],
            "left_out": LEFT_OUT,
        }

    def _how_passes(self) -> str:
        if self.resumed:
            return "images x conditions, less what the run's store holds and what an earlier stage has made"
        return "images x conditions, less what an earlier stage has made; no store was looked at"

    def _share(self, share: Share) -> dict[str, Any]:
        cost = share.cost
        return {
            "stage": share.stage,
            "encoder": share.reference.name,
            "images": share.images,
            "conditions": share.conditions,
            "to_do": share.to_do,
            "saved": share.saved,
            "flops_a_pass": None if cost is None else cost.flops,
            "parameters": None if cost is None else cost.parameters,
            "values": share.values,
            "flops": share.flops,
            "vector_bytes": share.vector_bytes,
        }

    def _measured(self) -> dict[str, Any] | None:
        found = self.calibration
        if found is None:
            return None
        return {
            "device": str(found.device),
            "precision": self.plan.settings.run.precision,
            "batches_at_once": found.lanes,
            "seconds_a_picture_read": found.read,
            "pictures_read": found.files,
            "encoders": [
                {
                    "encoder": name,
                    "seconds_a_pass": timing.seconds,
                    "passes": timing.passes,
                    "note": timing.note,
                }
                for name, timing in found.timings.items()
            ],
            "hours": {
                "how": "measured here x counted",
                "embedding": self.hours_here,
                "indexing": self.indexing_hours,
            },
        }

    def _projected(self) -> dict[str, Any] | None:
        fleet = self.fleet
        if fleet is None:
            return None
        return {
            "how": "operations / (peak x utilisation) + filters' bytes / bandwidth, over the GPUs",
            "device": fleet.device.title,
            "gpus": fleet.gpus,
            "utilisation": fleet.utilisation,
            "source": fleet.device.source,
            "bandwidth_gb_s": fleet.device.bandwidth,
            "usd_per_gpu_hour": fleet.usd_per_gpu_hour,
            "at": {
                precision: {
                    "peak_tflops": fleet.device.peak(precision),
                    "gpu_hours": fleet.gpu_hours(self.costs, precision),
                    "hours": fleet.hours(self.costs, precision),
                    "usd": fleet.usd(self.costs, precision),
                }
                for precision in PRECISIONS
                if fleet.device.peak(precision) is not None
            },
        }

    def _instead(self, row: Instead) -> dict[str, Any]:
        fleet = self.fleet
        return {
            "change": row.change,
            "precision": row.precision,
            "passes": row.costs.to_do,
            "flops": row.costs.flops,
            "stored_bytes": row.costs.stored_bytes,
            "hours_here": row.hours_here,
            "gpu_hours": None if fleet is None else fleet.gpu_hours(row.costs, row.precision),
            "hours": None if fleet is None else fleet.hours(row.costs, row.precision),
            "usd": None if fleet is None else fleet.usd(row.costs, row.precision),
        }


def forecast(
    plan: Plan, *, images: int | None = None, fleet: Fleet | None = None, calibrated: bool = True
) -> Forecast:
    """Work out what a study costs. Nothing is written, no weights are fetched, no picture is read but a sample.

    Args:
        plan: the study's.
        images: plan for so many images instead of those that are there.
        fleet: accelerators to project onto.
        calibrated: whether passes are timed on this machine, at most some ten seconds an encoder.

    Raises:
        InputError: no data and no number of images.
        EncoderError: an encoder does not take the study's grid.
        DiskError: an encoder's configuration is not here and cannot be fetched.
    """
    people = population(plan, images)
    of_pass = PassCosts(plan.settings.encoders.geometry)
    there = is_remote(str(plan.store)) or Path(plan.store).is_dir()
    store = EmbeddingStore(plan.store) if people.table is not None and there else None
    found = costs(plan, people, of_pass, store)
    calibration = calibrate(plan, people, found, of_pass) if calibrated else None
    half = HALF if fleet is None else fleet.half
    instead = what_if(plan, people, of_pass, found, calibration, store, half)
    return Forecast(plan, people, found, calibration, fleet, tuple(instead), store is not None)
