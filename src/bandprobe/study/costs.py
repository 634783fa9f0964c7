"""What a study will do, counted before it is done: passes, operations, bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandprobe.analysis import band_bank
from bandprobe.encoders import load_table, resolve, twin
from bandprobe.encoders.catalogue import ENTRIES
from bandprobe.encoders.flops import PassCost, pass_cost
from bandprobe.images.geometry import Geometry
from bandprobe.study.passes import Added, Passes, Scope, Scopes

if TYPE_CHECKING:
    from bandprobe.encoders import Reference
    from bandprobe.store import EmbeddingStore
    from bandprobe.study.plan import Plan
    from bandprobe.study.population import Population

_BYTES = 4  # of a number in the store, whatever the encoder's precision
# Of a row beside its vector: the image's id compressed, two shares, Parquet's own. Measured on parts of 10,000 rows.
BYTES_BESIDE = 48


@dataclass(frozen=True)
class Share:
    """What one stage of a study asks of one encoder.

    Attributes:
        stage: `study` for what the probes need, `bands` for locating what they use, `twins` for random-weight twins.
        reference: the encoder.
        images: how many it sees.
        conditions: how many filters each is seen under; where training and test images have different ones, the
            larger number.
        to_do: passes: images x conditions, less what is saved.
        saved: passes that the store, or an earlier stage, makes unnecessary.
        cost: of a pass; None where it cannot be counted.
        values: numbers in a vector; of an encoder with layers, in those of all that a pass gives.
    """

    stage: str
    reference: Reference
    images: int
    conditions: int
    to_do: int
    saved: int
    cost: PassCost | None
    values: int

    @property
    def flops(self) -> int | None:
        """Operations of its passes; None where they cannot be counted."""
        return None if self.cost is None else self.to_do * self.cost.flops

    @property
    def vector_bytes(self) -> int:
        """Bytes of the vectors that its passes make."""
        return self.to_do * self.values * _BYTES

    @property
    def stored_bytes(self) -> int:
        """Bytes that its passes take on disk, about."""
        return self.vector_bytes + self.to_do * BYTES_BESIDE


@dataclass(frozen=True)
class Costs:
    """What a study will do.

    Attributes:
        shares: of each stage and encoder.
        reads: how many times a picture will be opened to embed it.
        imported: rows that come from tables of embeddings computed elsewhere, without a pass.
    """

    shares: tuple[Share, ...]
    reads: int
    imported: int = 0

    @property
    def to_do(self) -> int:
        """Encoder passes."""
        return sum(share.to_do for share in self.shares)

    @property
    def saved(self) -> int:
        """Passes that need not be done."""
        return sum(share.saved for share in self.shares)

    @property
    def flops(self) -> int:
        """Operations of all passes that can be counted."""
        return sum(share.flops or 0 for share in self.shares)

    @property
    def uncounted(self) -> list[str]:
        """Encoders whose operations cannot be counted."""
        return list(
            dict.fromkeys(share.reference.name for share in self.shares if share.to_do and share.cost is None)
        )

    @property
    def vector_bytes(self) -> int:
        """Bytes of all vectors made."""
        return sum(share.vector_bytes for share in self.shares)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all of it on disk, about."""
        return sum(share.stored_bytes for share in self.shares)


class PassCosts:
    """The costs of encoders' passes on a study's grid, each counted once.

    Args:
        geometry: the study's: `squash:224`, or `native` for each encoder's own.
    """

    def __init__(self, geometry: str) -> None:
        self.size = None if geometry == "native" else Geometry.parse(geometry).size
        self._known: dict[tuple[str, str, bool, int | None], PassCost | None] = {}

    def __call__(self, reference: Reference) -> PassCost | None:
        """One pass; None where it cannot be counted."""
        key = reference.kind, reference.target, reference.tokens, reference.layer
        if key not in self._known:
            self._known[key] = pass_cost(reference, self.size)
        return self._known[key]


def costs(plan: Plan, people: Population, of_pass: PassCosts, store: EmbeddingStore | None = None) -> Costs:
    """Count what a study will do.

    Args:
        plan: the study's.
        people: its images.
        of_pass: what a pass of each encoder costs.
        store: the run's, where it may hold something already. Asked only where the images are known one by one. What
            it holds is taken to be made as this study would make it, which the run itself checks.

    Returns:
        The counts. With a manifest they are exactly what the run then reports; without, draws and splits may differ
        from it by a few images.
    """
    scopes = Scopes(plan, people)
    passes = Passes(store if people.table is not None else None)
    probed, finished, twins = _encoders(plan)
    tested, trained = conditions(plan)
    shares, reads = [], 0

    def ask(
        stage: str, references: Sequence[Reference], parts: Sequence[tuple[Scope, Sequence[str]]]
    ) -> None:
        nonlocal reads
        parts = [(scope, filters) for scope, filters in parts if scope.n]
        if not references or not parts:
            return
        together: dict[str, list[Reference]] = {}
        for one in references:
            together.setdefault(one.whole.name, []).append(one)
        counted: dict[str, list[Added]] = {}
        for members in together.values():
            # A pass goes as far as the deepest of what it gives.
            one = max(members, key=lambda member: math.inf if member.layer is None else member.layer)
            counted[one.name] = [passes.add([member.name for member in members], *part) for part in parts]
            cost = of_pass(one)
            shares.append(
                Share(
                    stage,
                    one,
                    sum(scope.n for scope, _ in parts),
                    max(len(filters) for _, filters in parts),
                    sum(each.to_do for each in counted[one.name]),
                    sum(each.saved for each in counted[one.name]),
                    cost,
                    sum(_values(member, of_pass) for member in members),
                )
            )
        grids = 1 if of_pass.size else len({cost.size for one in references if (cost := of_pass(one))}) or 1
        # A picture is opened once for all encoders of a grid, if any of them lacks it.
        reads += grids * sum(max(each[at].opened for each in counted.values()) for at in range(len(parts)))

    if set(tested) == set(trained):
        ask("study", probed, [(scopes.all, tested)])
    else:
        ask("study", probed, [(scopes.rest, trained), (scopes.test, tested)])
    ask("study", finished, [(scopes.test, tested)])
    asked = plan.settings.analysis
    if asked.bands and plan.base is None:
        ask(
            "bands",
            [one for one in (*probed, *finished) if one.name not in plan.beside],
            [(scopes.bands, band_bank.CONDITIONS)],
        )
    if asked.entropy and asked.twin and probed and plan.base is None:
        ask("twins", twins, [(scopes.twins, plan.test_filters)])
    tables = [(one, name) for one, name in zip(plan.encoders, plan.names, strict=True) if one.kind == "table"]
    wanted = {*tested, *trained}
    imported = sum(people.images * len(wanted & set(load_table(name).filters)) for _, name in tables)
    return Costs(tuple(shares), reads, imported)


def conditions(plan: Plan) -> tuple[list[str], list[str]]:
    """The filters that test images, and that training images, are embedded under, as the study embeds them."""
    tested = list(plan.test_filters)
    if plan.settings.analysis.mmd and "none" not in tested:
        tested.append("none")
    trained = list(plan.train_filters)
    if plan.protocol.thesis_optimiser:
        trained += ["flip" if spec == "none" else f"flip+{spec}" for spec in plan.train_filters]
    return tested, trained


def _encoders(plan: Plan) -> tuple[list[Reference], list[Reference], list[Reference]]:
    """Those that probes are trained on, finished detectors, and the twins of all."""
    computed = [one for one in plan.encoders if one.kind != "table"]
    names = [name for name in map(twin, plan.alone) if name and name not in plan.names]
    return (
        [one for one in computed if not one.is_detector],
        [one for one in computed if one.is_detector],
        [resolve(name) for name in names],
    )


def _values(reference: Reference, of_pass: PassCosts) -> int:
    """Numbers in an encoder's vector."""
    cost = of_pass(reference)
    if cost is not None:
        return cost.values
    if reference.parts:
        return sum(_values(part, of_pass) for part, _ in reference.parts)
    if reference.is_detector:
        return 1
    return ENTRIES[reference.name].dim if reference.name in ENTRIES else 0
