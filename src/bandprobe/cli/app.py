"""The commands."""

from __future__ import annotations

import typer

from bandprobe.cli import (
    audit,
    data,
    embedding_space,
    embeddings,
    plan,
    probe_import,
    shift,
    spectra,
    store,
    studies,
    trust,
)

app = typer.Typer(
    name="bandprobe",
    help="Which frequencies does a deepfake detector live on, and will it hold on new generators?",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    if version:
        from bandprobe._version import __version__

        typer.echo(__version__)
        raise typer.Exit


for _command in (
    studies.demo,
    studies.study,
    plan.plan,
    data.index,
    data.filter_images,
    audit.audit,
    spectra.spectrum,
    shift.mmd,
    embedding_space.entropy,
    embedding_space.project,
    embeddings.embed,
    embeddings.train,
    embeddings.evaluate,
    studies.report,
    embeddings.score,
    probe_import.import_probe,
    data.encoders,
    data.filters,
    trust.selftest,
):
    app.command(_command.__name__.removesuffix("_images").replace("_", "-"))(_command)

app.add_typer(store.app, name="store")
