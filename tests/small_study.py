"""A small study's folder, and a report without figures, which take most of its time."""

from __future__ import annotations

from pathlib import Path


def write_study(folder: Path, world: Path, checkpoint: Path, text: str) -> Path:
    """A study file, beside it the `world` and the encoder `tiny-dinov2` that it may name.

    Args:
        folder: made where it is missing.
        world: a folder of images.
        checkpoint: a folder that holds an encoder.
        text: the study, in TOML.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in (("world", world), ("tiny-dinov2", checkpoint)):
        if not (folder / name).exists():
            (folder / name).symlink_to(target)
    path = folder / "study.toml"
    path.write_text(text)
    return path


def without_figures(folder: str | Path, *_: object, **__: object) -> Path:
    """In the place of `report.build`."""
    page = Path(folder) / "report.html"
    page.write_text("left out in this test")
    return page
