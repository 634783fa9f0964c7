"""An ONNX model of images, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe.encoders.checkpoint import one_line
from bandprobe.encoders.extras import import_extra
from bandprobe.errors import EncoderError

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxModel:
    """A model with one input of shape (n, 3, h, w), each of n, h and w fixed or free. Callable on images.

    Attributes:
        size: height and width, None where free.

    Args:
        path: the ONNX file.
        name: the detector's, for messages.
        cuda: whether to run on an NVIDIA GPU, if this onnxruntime can.

    Raises:
        EncoderError: onnxruntime is missing, or the model is damaged or takes something else.
    """

    def __init__(self, path: Path, name: str, *, cuda: bool = False) -> None:
        runtime = import_extra("onnxruntime", "onnx")
        wanted = [*(["CUDAExecutionProvider"] if cuda else []), "CPUExecutionProvider"]
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # what goes wrong is raised as well
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=[p for p in wanted if p in runtime.get_available_providers()]
            )
        except Exception as error:  # onnxruntime's own, without a common parent
            raise EncoderError(
                f"{name}: {path.name} cannot be loaded: {one_line(error)}. Export the model again."
            ) from error
        inputs = list(self._session.get_inputs())
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3) or inputs[0].type not in _TYPES:
            took = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in inputs)
            raise EncoderError(
                f"{name}: {path.name} must take one input of floating-point images, (n, 3, h, w); it takes {took}. "
                "Wrap it in a function: detector:MODULE:FUNCTION."
            )
        outputs = [entry.name for entry in self._session.get_outputs()]
        named = [output for output in outputs if output.lower() in ("logit", "logits")]
        if len(outputs) > 1 and len(named) != 1:
            raise EncoderError(
                f"{name}: {path.name} gives {', '.join(outputs)}, none of them called logits. Export the logits "
                "alone."
            )
        self._input, self._dtype = inputs[0].name, _TYPES[inputs[0].type]
        self._output = named[0] if named else outputs[0]
        # A free side is a name, or nothing at all.
        batch, height, width = (shape[axis] if isinstance(shape[axis], int) else None for axis in (0, 2, 3))
        self.size: tuple[int | None, int | None] = (height, width)
        self._batch = batch

    def __call__(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """What the model gives for images of shape (n, 3, h, w), n at least 1."""
        n = len(images)
        step = self._batch or n
        given = []
        for start in range(0, n, step):
            part = images[start : start + step]
            # A batch that has to be full is filled with copies, whose answers are dropped.
            full = np.pad(part, ((0, step - len(part)), (0, 0), (0, 0), (0, 0)), mode="edge")
            (answer,) = self._session.run([self._output], {self._input: full.astype(self._dtype)})
            given.append(np.asarray(answer)[: len(part)])
        return np.concatenate(given)
