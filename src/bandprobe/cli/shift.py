"""How far distributions of embeddings lie apart: `mmd`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.manifests import ManifestFile, embedded
from bandprobe.cli.options import Json, Out, Quiet, Seed, Store, StoredEncoders, show


class Experiment(str, Enum):
    """What is set against what."""

    both = "both"
    fake_vs_real = "fake_vs_real"
    no_filter_vs_filter = "no_filter_vs_filter"


def mmd(
    store: Store,
    out: Out,
    probes: Annotated[
        Path | None,
        typer.Option(help="A folder of probes, for the MMD of their outputs as well.", metavar="DIR"),
    ] = None,
    manifest: ManifestFile = None,
    experiment: Annotated[
        Experiment,
        typer.Option(
            help="What is set against what: fake_vs_real, no_filter_vs_filter or both.", metavar="NAME"
        ),
    ] = Experiment.both,
    encoder: StoredEncoders = None,
    filter: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(
            "--filter",
            help="Filters, or several; all of the store by default.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=5, help="At most so many test images of each source.", metavar="N")
    ] = 1000,
    permutations: Annotated[
        int, typer.Option(min=1, help="Of each test; the smallest p is 1 / (N + 1).", metavar="N")
    ] = 500,
    kernel: Annotated[
        str,
        typer.Option(
            help="gaussian, exponential or rational-quadratic.",
            metavar="NAME",
            autocompletion=completion.among(*completion.KERNELS),
        ),
    ] = "gaussian",
    biased: Annotated[
        bool,
        typer.Option("--biased", help="As the thesis: the diagonal stays, a bandwidth for each comparison."),
    ] = False,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Test how far fakes lie from reals, and filtered images from unfiltered ones.

    By the maximum mean discrepancy (MMD) of their embeddings, with permutation tests.

    Examples:
        bandprobe mmd --store embeddings --out distances
        bandprobe mmd --store embeddings --probes probes --experiment fake_vs_real --out distances
    """
    from bandprobe.analysis.shift import EXPERIMENTS, shift
    from bandprobe.encoders import display_name
    from bandprobe.files import check_output, write_whole
    from bandprobe.filters import expand
    from bandprobe.probes import load_folder
    from bandprobe.report.mmd_figures import mmd_groups
    from bandprobe.store import EmbeddingStore

    check_output(out)
    held = EmbeddingStore(store)
    stored = {name for name, _ in held.conditions()}
    names = [name for text in encoder or () for name in text.split(",")]
    with progress.quiet(quiet):
        found = shift(
            held,
            embedded(held, manifest),
            load_folder(probes) if probes else (),
            [str(spec) for spec in expand(filter)] if filter else None,
            encoders=[name if name in stored else display_name(name) for name in names] or None,
            experiments=EXPERIMENTS if experiment is Experiment.both else (experiment.value,),
            samples=samples,
            permutations=permutations,
            kernel=kernel,
            seed=seed,
            biased=biased,
        )
        path = write_whole(out / "mmd.csv", found.to_csv(index=False, lineterminator="\n").encode())
        planned = [figure for group in mmd_groups(found) for figure in group.figures]
        figures = []
        with progress.bar("figures", len(planned), "figures") as step:
            for figure in planned:
                figures.append(str(figure.write(out)))
                step()
    if json:
        show({"mmd": str(path), "rows": len(found), "figures": figures})
    else:
        typer.echo("\n".join([f"{len(found):,} rows in {path}", *figures]))
