"""The commands."""

from __future__ import annotations

from collections.abc import Callable

import typer

from bandprobe.cli import (
    attack,
    audit,
    data,
    embed,
    embedding_space,
    evaluate,
    explore,
    fetch,
    layers,
    leaderboard,
    lists,
    openset,
    plan,
    probe_import,
    publish,
    score,
    sensitivity,
    shapley,
    shift,
    spectra,
    store,
    studies,
    train,
    trust,
)
from bandprobe.cli.pages import Command, Root

app = typer.Typer(
    name="bandprobe",
    cls=Root,
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


# In the order of the help page.
_TOPICS: dict[str, tuple[Callable[..., None], ...]] = {
    "A whole study": (studies.demo, plan.plan, studies.study, studies.report, leaderboard.leaderboard),
    "Data": (fetch.fetch, data.index, audit.audit, data.filter_images),
    "A study step by step": (embed.embed, train.train, evaluate.evaluate),
    "Analyses alone": (
        spectra.spectrum,
        shift.mmd,
        embedding_space.entropy,
        sensitivity.sensitivity,
        shapley.shapley,
        attack.attack,
        embedding_space.project,
        layers.layers,
        openset.openset,
    ),
    "A detector": (score.score, explore.explore, probe_import.import_probe, publish.publish),
    "Tools": (lists.encoders, lists.filters, trust.selftest),
}
for _topic, _commands in _TOPICS.items():
    for _command in _commands:
        _name = _command.__name__.removesuffix("_images").replace("_", "-")
        app.command(_name, cls=Command, rich_help_panel=_topic)(_command)

app.add_typer(store.app, name="store", rich_help_panel="Tools")
