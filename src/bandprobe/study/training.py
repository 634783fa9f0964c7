"""A study's probes: those it trains, and the logits of detectors that come trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bandprobe import probes
from bandprobe.analysis.relabelling import relabelled

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.probes import ProbeFile, Relabel
    from bandprobe.store import EmbeddingStore
    from bandprobe.study.plan import Plan


def train(
    plan: Plan, store: EmbeddingStore, table: pd.DataFrame, filters: Sequence[str], *, replicate: int = 0
) -> list[ProbeFile]:
    """Probes of every encoder on every training set under filters.

    Args:
        plan: the study's.
        store: its embeddings.
        table: its manifest's.
        filters: canonical train filter specs.
        replicate: 0 for the study's probes, in `probes/`; k for those of the k-th resample of the training
            images, in `replicates/k/`, where detectors have none.
    """
    held = set(store.conditions())
    folder = plan.folder / (f"replicates/{replicate}" if replicate else "probes")
    trained: list[ProbeFile] = []
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for encoder, name in zip(plan.encoders, plan.names, strict=True):
        if replicate and encoder.name in plan.beside:  # claims are made about whole encoders
            continue
        if encoder.is_detector:
            trained += [] if replicate else probes.finished(store, {encoder.name: name}, folder)
            continue
        # A table need not hold every filter.
        given = tuple(spec for spec in filters if encoder.kind != "table" or (encoder.name, spec) in held)
        groups.setdefault(given, {})[encoder.name] = name
    settings, run = plan.settings.probes, plan.settings.run
    for given, sources in groups.items():
        if given:
            trained += probes.train(
                store,
                table,
                sources,
                settings.train_on,
                given,
                folder,
                seed=run.seed,
                workers=plan.workers,
                head=settings.head,
                loss=settings.loss,
                protocol=plan.protocol,
                replicate=replicate,
                relabel=relabel(plan, table),
                device=run.device,
            )
    return trained


def keep_only(plan: Plan, trained: Sequence[ProbeFile]) -> None:
    """Remove the probes of an earlier study in this folder: `evaluate` takes all that lie there."""
    wanted = {probe.file_name for probe in trained}
    for path in (plan.folder / "probes").glob("*.safetensors"):
        if path.name not in wanted:
            path.unlink()


def relabel(plan: Plan, table: pd.DataFrame) -> Relabel | None:
    """Under `fda_relabel`, the labels that count; None where labels stay."""
    return relabelled(table) if plan.protocol.fda_relabel else None
