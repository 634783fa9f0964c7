"""`explore`: a page where a picture is dropped and a cut-off is moved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bandprobe import progress
from bandprobe.cli.options import Device, Quiet
from bandprobe.errors import InputError

_SHOWN = 3  # pictures of each generator of the embedded world


def explore(
    run: Annotated[
        Path | None, typer.Option(help="A run's folder: its probes on unfiltered images.", metavar="RUN")
    ] = None,
    probe: Annotated[
        list[Path] | None,
        typer.Option(help="A probe's file, or a folder of probes (repeatable).", metavar="FILE"),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Where the probes' encoder is now, if it has moved.", metavar="NAME")
    ] = None,
    radii: Annotated[int, typer.Option(min=2, max=200, help="Cut-offs of a curve.", metavar="N")] = 20,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on; by default nobody but this machine can reach it.", metavar="HOST"
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="By default the first free one from 7860.", metavar="PORT"),
    ] = None,
    max_size: Annotated[
        int, typer.Option(min=1, max=1000, help="Megabytes of an upload.", metavar="MB")
    ] = 20,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Width times height of a picture.", metavar="N")
    ] = 64_000_000,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser of this machine.")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Look at pictures under filters in the browser, with every probe's probability over the cut-off.

    Without probes it shows pictures, spectra and what a filter takes. Uploads stay on this machine and are deleted at
    the end.

    Examples:
        bandprobe explore --run runs/demo
        bandprobe explore --probe runs/demo/probes/micro-dino__all__none.safetensors --port 8000
        bandprobe explore
    """
    from bandprobe.encoders.extras import import_extra

    import_extra("gradio", "explorer")
    from bandprobe.detect.decision import decide
    from bandprobe.detect.scorer import load_scorers
    from bandprobe.explorer.server import LOCAL, own_folder, serve
    from bandprobe.explorer.session import Explorer

    with progress.quiet(quiet):
        paths = _probes(run, probe or [])
        scorers = load_scorers(paths, encoder=encoder, device=device) if paths else []
        rules = {one.name: decide(one.file, abstain="auto") for scorer in scorers for one in scorer.probes}
        explorer = Explorer(scorers, rules, max_pixels=max_pixels, radii=radii)
        if host not in (LOCAL, "localhost", "::1"):
            progress.say(
                f"listening on {host}: others on the network can reach this page; it asks for no password."
            )

        def ready(url: str) -> None:
            typer.echo(
                f"{len(rules)} probe{'s' if len(rules) > 1 else ''}; the explorer is at {url} (Ctrl-C ends it)"
            )
            if open_browser:
                import webbrowser

                webbrowser.open(url)

        with own_folder():
            serve(explorer, _samples(), host=host, port=port, max_megabytes=max_size, ready=ready)


def _probes(run: Path | None, given: list[Path]) -> list[Path]:
    from bandprobe.detect.scorer import probe_paths

    paths = probe_paths(given)
    if run is not None:
        folder = run / "probes"
        if not folder.is_dir():
            raise InputError(f"no probes in {str(run)!r}; give a run's folder, or a probe with --probe.")
        unfiltered = sorted(folder.glob("*__none.safetensors"))
        paths += unfiltered or probe_paths([folder])
    return list(dict.fromkeys(path.resolve() for path in paths))


def _samples() -> dict[str, Any]:
    """Pictures of the embedded world, by name."""
    from bandprobe import datasets

    world = datasets.micro("test")
    names = list(dict.fromkeys(world.table["generator"]))
    return {
        f"{name} {number + 1}": picture
        for name in names
        for number, picture in enumerate(world.images(name)[:_SHOWN])
    }
