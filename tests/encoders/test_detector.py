from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.encoders.detector import logits
from bandprobe.errors import EncoderError

WEIGHTS = np.array([[0.7], [-1.3], [0.4]], np.float32)  # of the channels' means


def write_onnx(
    path: Path,
    *,
    shape: Sequence[int | str] = ("n", 3, "h", "w"),
    outputs: int = 1,
    flat: bool = False,
    element: str = "FLOAT",
    names: Sequence[str] = ("score",),
) -> Path:
    """A detector whose logit is a weighted sum of the channels' means; of two outputs, the second."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed here")
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, element)
    weights = WEIGHTS if outputs == 1 else np.concatenate([0.5 * WEIGHTS, 1.5 * WEIGHTS], 1)
    dtype = {"FLOAT": np.float32, "FLOAT16": np.float16, "DOUBLE": np.float64, "UINT8": np.uint8}[element]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["matrix" if flat else names[0]]),
    ]
    if flat:
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
        nodes.append(helper.make_node("Squeeze", ["matrix", "axes"], [names[0]]))
    nodes += [helper.make_node("Identity", ["means"], [name]) for name in names[1:]]
    given = [helper.make_tensor_value_info(name, kind, None) for name in names]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", kind, list(shape))],
        given,
        [
            helper.make_tensor("weights", kind, weights.shape, weights.astype(dtype).tobytes(), raw=True),
            *([axes] if flat else []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def expected(images: Tensor) -> Tensor:
    return images.mean((2, 3)) @ torch.from_numpy(WEIGHTS)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A detector in Python in the current folder."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my_detector_for_tests.py"
    file.write_text(
        "import numpy as np\nimport weights_beside\n\n"
        "def predict(images):\n"
        "    assert isinstance(images, np.ndarray) and images.dtype == np.float32\n"
        "    answer = images.mean((2, 3)) @ np.array(weights_beside.W)\n"
        "    images[:] = 0\n"  # a user's code may write into what it is given
        "    return answer\n\n"
        "def tensor(images):\n    import torch\n"
        "    return torch.from_numpy(images).mean((1, 2, 3)).requires_grad_()\n\n"
        "def broken(images):\n    raise KeyError('no\\nsuch key')\n\n"
        "def text(images):\n    return 'fake'\n\n"
        "number = 3\n"
    )
    (tmp_path / "weights_beside.py").write_text(f"W = {WEIGHTS[:, 0].tolist()}\n")
    yield file
    for name in ("my_detector_for_tests", "weights_beside"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), (2, 3, 56, 56), (1, 3, "h", "w"), ("n", 3, 56, 56)])
@pytest.mark.parametrize("flat", [True, False])
def test_onnx(shape: Sequence[int | str], flat: bool, images: Tensor, tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "mine.onnx", shape=shape, flat=flat)
    detector = encoders.load(f"detector:{file}", device="cpu")
    assert (detector.name, detector.dim, detector.is_detector) == ("detector:mine", 1, True)
    torch.testing.assert_close(detector.encode(images), expected(images), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(detector.encode(images, batch_size=3), expected(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("element", "tolerance"), [("FLOAT16", 5e-3), ("DOUBLE", 1e-6)])
def test_onnx_of_other_precisions(element: str, tolerance: float, images: Tensor, tmp_path: Path) -> None:
    detector = encoders.load(f"detector:{write_onnx(tmp_path / 'm.onnx', element=element)}", device="cpu")
    torch.testing.assert_close(detector.encode(images), expected(images), rtol=tolerance, atol=tolerance)


def test_two_logits_are_real_and_fake(images: Tensor, tmp_path: Path) -> None:
    detector = encoders.load(f"detector:{write_onnx(tmp_path / 'two.onnx', outputs=2)}", device="cpu")
    torch.testing.assert_close(detector.encode(images), expected(images), rtol=1e-5, atol=1e-5)


def test_of_several_outputs_the_one_called_logits(images: Tensor, tmp_path: Path) -> None:
    named = write_onnx(tmp_path / "named.onnx", names=("logits", "features"))
    torch.testing.assert_close(
        encoders.load(f"detector:{named}", device="cpu").encode(images),
        expected(images),
        rtol=1e-5,
        atol=1e-5,
    )
    with pytest.raises(EncoderError, match="gives score, features, none of them called logits"):
        encoders.load(
            f"detector:{write_onnx(tmp_path / 'm.onnx', names=('score', 'features'))}", device="cpu"
        )


def test_a_fixed_size_that_is_not_the_grid(make_images: Any, tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "fixed.onnx", shape=("n", 3, 32, 48))
    detector = encoders.load(f"detector:{file}", device="cpu")
    detector.encode(make_images(1, 32, 48))
    with pytest.raises(EncoderError, match=r"takes images of 32x48 only; got 56x56\..*geometry squash:32x48"):
        detector.encode(make_images(1, 56, 56))


def test_models_that_take_something_else(tmp_path: Path) -> None:
    for options in ({"shape": ("n", 1, 56, 56)}, {"shape": ("n", 3)}):
        file = write_onnx(tmp_path / "other.onnx", **options)  # type: ignore[arg-type]
        with pytest.raises(EncoderError) as caught:
            encoders.load(f"detector:{file}", device="cpu")
        assert "must take one input of floating-point images" in str(
            caught.value
        ) or "cannot be loaded" in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    with pytest.raises(EncoderError, match=r"damaged\.onnx cannot be loaded"):
        encoders.load(f"detector:{tmp_path}/damaged.onnx", device="cpu")


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EncoderError, match=r'pip install "bandprobe\[onnx\]"'):
        encoders.load(f"detector:{tmp_path}/m.onnx", device="cpu")


@pytest.mark.parametrize("source", ["my_detector_for_tests", "./my_detector_for_tests.py"])
def test_a_function(source: str, module: Path, images: Tensor) -> None:
    path = list(sys.path)
    detector = encoders.load(f"detector:{source}:predict", device="cpu")
    assert sys.path == path
    before = images.clone()
    torch.testing.assert_close(detector.encode(images), expected(images), rtol=1e-5, atol=1e-5)
    assert torch.equal(images, before)
    assert detector.name == "detector:my_detector_for_tests:predict"
    assert detector.fingerprint["weights"] == hashlib.sha256(module.read_bytes()).hexdigest()
    assert encoders.resolve(f"detector:{source}:predict").files == [Path(module.name)]


def test_a_function_may_give_a_tensor(module: Path, images: Tensor) -> None:
    detector = encoders.load("detector:my_detector_for_tests:tensor", device="cpu")
    torch.testing.assert_close(detector.encode(images)[:, 0], images.mean((1, 2, 3)))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("broken", r"failed on images of shape \(5, 3, 56, 56\): KeyError: 'no\\nsuch key'\. Mend"),
        ("text", r"must give one logit an image as an array; got str"),
    ],
)
def test_what_a_function_does_wrong(function: str, message: str, module: Path, images: Tensor) -> None:
    detector = encoders.load(f"detector:my_detector_for_tests:{function}", device="cpu")
    with pytest.raises(EncoderError, match=message) as caught:
        detector.encode(images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_detector_for_tests:absent", "'absent' is not there in 'my_detector_for_tests'"),
        ("my_detector_for_tests:number", "'number' is no function"),
        ("no_such_module_here:f", "cannot be imported: ModuleNotFoundError"),
        ("builtins:len", "has no source file"),
    ],
)
def test_functions_that_are_none(name: str, message: str, module: Path) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        encoders.load(f"detector:{name}", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_module_that_fails_when_imported(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def f(images:\n")
    with pytest.raises(EncoderError, match="cannot be imported: SyntaxError") as caught:
        encoders.load(f"detector:{tmp_path}/bad.py:f", device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 3)), r"must give shape \(2,\), \(2, 1\) or \(2, 2\).*got \(2, 3\)"),
        (np.zeros(3), r"got \(3,\)"),
        (0.5, r"got \(\)"),
        (np.array([0.0, np.nan]), "not finite"),
        (np.array([0.0, -np.inf]), "not finite"),
    ],
)
def test_answers_that_are_no_logits(given: Any, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        logits(given, 2, "mine")


def test_one_image_with_two_logits_and_two_images_with_one() -> None:
    np.testing.assert_array_equal(logits(np.array([[1.0, 3.0]]), 1, "m"), [2.0])
    np.testing.assert_array_equal(logits(np.array([1.0, 3.0]), 2, "m"), [1.0, 3.0])


def test_the_fingerprint_names_the_weights_beside_the_model(images: Tensor, tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "mine.onnx")
    plain = encoders.load(f"detector:{file}", device="cpu").fingerprint
    assert plain["weights"] == hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "mine.onnx.data").write_bytes(b"weights")
    beside = encoders.load(f"detector:{file}", device="cpu").fingerprint
    assert {key for key in plain if plain[key] != beside[key]} == {"weights"}
    assert encoders.resolve(f"detector:{file}").files == [file, tmp_path / "mine.onnx.data"]


def test_a_detector_behind_a_filter_is_still_one(images: Tensor, tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "mine.onnx")
    behind = encoders.load(f"detector:{file}@highpass:3px:dc=zero", device="cpu")
    assert behind.is_detector
    assert encoders.resolve(f"detector:{file}@highpass:3px:dc=zero").is_detector
    assert behind.encode(images).abs().max() < 1e-5  # no mean is left
    joined = f"detector:{file}+spectral"
    assert not encoders.load(joined, device="cpu").is_detector
    assert not encoders.resolve(joined).is_detector
    assert not encoders.load("spectral", device="cpu").is_detector
