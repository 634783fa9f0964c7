"""A user's own detector: images in, logits out, from an ONNX file or a Python function."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bandprobe.encoders.checkpoint import one_line, sha256
from bandprobe.encoders.names import onnx_files
from bandprobe.encoders.onnx_model import OnnxModel
from bandprobe.encoders.preprocessing import IDENTITY
from bandprobe.encoders.protocol import Encoder
from bandprobe.errors import BandprobeError, EncoderError

# Images, float32 (n, 3, h, w), nominally in [0, 1] -> what the detector says of each.
Predict: TypeAlias = Callable[[NDArray[np.float32]], Any]


class DetectorEncoder(Encoder):
    """A finished detector as an encoder: its vector is the logit alone. `load` makes it."""

    is_detector = True
    why_no_gradient = "a detector of one's own gives its logits as an array"

    def __init__(
        self,
        predict: Predict,
        *,
        name: str,
        device: torch.device,
        fingerprint: Mapping[str, str],
        size: tuple[int | None, int | None] = (None, None),
    ) -> None:
        super().__init__(
            name=name,
            dim=1,
            device=device,
            precision="fp32",
            preprocessing=IDENTITY,
            fingerprint={
                **fingerprint,
                "vector": "logit of fake; of two outputs, the second less the first",
                "revision": "local",
            },
        )
        self._predict = predict
        self._size = size

    def check_grid(self, height: int, width: int) -> None:
        """Refuse a size the detector was not made for, where it was made for one.

        Raises:
            EncoderError: height x width is not that size.
        """
        if any(own not in (None, given) for own, given in zip(self._size, (height, width), strict=True)):
            own = "x".join("any" if side is None else str(side) for side in self._size)
            near = "x".join(str(side or 224) for side in self._size)
            raise EncoderError(
                f"{self.name} takes images of {own} only; got {height}x{width}. Give them that size: geometry "
                f"squash:{near}."
            )

    def _embed(self, pixels: Tensor) -> Tensor:
        try:
            given = self._predict(np.ascontiguousarray(pixels.cpu().numpy()))
        except BandprobeError:
            raise
        except Exception as error:  # whatever a user's code or model raises
            raise EncoderError(
                f"{self.name} failed on images of shape {tuple(pixels.shape)}: {type(error).__name__}: "
                f"{one_line(error)}. Mend the detector."
            ) from error
        return torch.from_numpy(logits(given, len(pixels), self.name)).to(self.device)[:, None]


def logits(given: object, n: int, name: str) -> NDArray[np.float32]:
    """One logit an image from what a detector gave.

    Args:
        given: a NumPy array, a tensor or a list, of shape (n,), (n, 1), or (n, 2) with the logits of real and of
            fake, whose difference is taken.
        n: how many images it was given.
        name: the detector's, for messages.

    Returns:
        float32, shape (n,), higher for fake.

    Raises:
        EncoderError: another shape, no numbers, or values that are not finite.
    """
    if isinstance(given, Tensor):
        given = given.detach().cpu().to(torch.float32).numpy()
    try:
        values: NDArray[np.float64] = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise EncoderError(
            f"{name} must give one logit an image as an array; got {type(given).__name__}."
        ) from None
    if values.shape not in ((n,), (n, 1), (n, 2)):
        raise EncoderError(
            f"{name} must give shape ({n},), ({n}, 1) or ({n}, 2), real before fake, for {n} images; got "
            f"{values.shape}."
        )
    if not np.isfinite(values).all():
        raise EncoderError(
            f"{name} gave values that are not finite for {n} images. Give logits, not log-probabilities of 0."
        )
    pairs = values.reshape(n, -1)
    single: NDArray[np.float64] = pairs[:, -1] - pairs[:, 0] if pairs.shape[1] == 2 else pairs[:, 0]
    return single.astype(np.float32)


def load(reference: str, *, name: str, device: torch.device) -> DetectorEncoder:
    """The detector in a file, ready to be asked.

    Args:
        reference: `FILE.onnx`, `MODULE:FUNCTION` with a module that can be imported, also from the current
            folder, or `FILE.py:FUNCTION`. A function gets float32 images of shape (n, 3, h, w), nominally in
            [0, 1] (filtered ones leave that range), and gives logits as `logits` takes them.
        name: how the detector is called in tables and messages.
        device: where an ONNX model runs, if onnxruntime can run there; a function chooses for itself.

    Raises:
        EncoderError: no such file, module or function, or one that cannot be loaded.
        DiskError: the file cannot be read.
    """
    if reference.endswith(".onnx"):
        path = Path(reference).expanduser()
        model = OnnxModel(path, name, cuda=device.type == "cuda")
        facts = {"library": "onnxruntime", "model_type": "onnx", "weights": sha256(onnx_files(path))}
        return DetectorEncoder(model, name=name, device=device, fingerprint=facts, size=model.size)
    source, _, attribute = reference.rpartition(":")
    function = getattr(_module(source, name), attribute, None)
    if not callable(function):
        has = "is no function" if function is not None else "is not there"
        raise EncoderError(f"{name}: {attribute!r} {has} in {source!r}. Name a function that takes images.")
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # a callable object, or built in
        file = getattr(sys.modules.get(getattr(function, "__module__", "")), "__file__", None)
    if file is None:
        raise EncoderError(
            f"{name}: {attribute!r} has no source file to know it by. Name a function in a file."
        )
    facts = {"library": "python", "model_type": f"function {attribute}", "weights": sha256([Path(file)])}
    return DetectorEncoder(function, name=name, device=device, fingerprint=facts)


def _module(source: str, name: str) -> ModuleType:
    """A module by its name or by its file; what it imports may lie beside it."""
    file = Path(source).expanduser() if source.endswith(".py") else None
    folder = Path.cwd() if file is None else file.resolve().parent
    try:
        with _first_on_path(folder):
            if file is None:
                return importlib.import_module(source)
            # A name of its own, so that it hides no other module.
            own = f"_bandprobe_detector_{sha256([file])[:16]}"
            spec = importlib.util.spec_from_file_location(own, file)
            if spec is None or spec.loader is None:
                raise ImportError(f"{source} is no Python file")
            module = importlib.util.module_from_spec(spec)
            sys.modules[own] = module
            spec.loader.exec_module(module)
            return module
    except BandprobeError:
        raise
    except Exception as error:  # whatever a user's module raises while it is imported
        raise EncoderError(
            f"{name}: {source} cannot be imported: {type(error).__name__}: {one_line(error)}. Check the module."
        ) from error


@contextlib.contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
