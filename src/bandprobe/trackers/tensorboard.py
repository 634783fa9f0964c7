"""TensorBoard: event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoard:
    """Event files in a folder of their own, for `tensorboard --logdir`.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, name: str, params: Mapping[str, str], previous: str | None = None) -> str:
        """Begin; what an earlier run left is replaced."""
        from torch.utils.tensorboard.writer import FileWriter

        for old in self._folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer: Any = FileWriter(str(self._folder))
        self.note({"run": name, **params})
        return name

    def log(self, metrics: Mapping[str, float], step: float | None = None) -> None:
        """Scalars; a step is rounded to a whole number."""
        for name, value in metrics.items():
            self._writer.add_summary(_make().scalar(name, value), round(step or 0))

    def note(self, words: Mapping[str, str]) -> None:
        """Texts, each under its own name."""
        for name, said in words.items():
            # Indented, Markdown shows it as it stands.
            self._writer.add_summary(_make().text(name, "    " + said.replace("\n", "\n    ")))

    def artifact(self, path: Path) -> None:
        """Pictures are shown; of another file TensorBoard can keep the path alone."""
        if path.suffix != ".png":
            self.note({f"files/{path.name}": str(path)})
            return
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        with Image.open(path) as picture:
            width, height = picture.size
        shown = Summary.Image(
            width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes()
        )
        named = Summary.Value(tag=f"figures/{path.stem}", image=shown)
        self._writer.add_summary(Summary(value=[named]))

    def finish(self, whole: bool) -> None:
        """Write what is still in memory."""
        self._writer.close()


def _make() -> Any:
    """torch's module of functions that make summaries."""
    from torch.utils.tensorboard import summary

    return summary
