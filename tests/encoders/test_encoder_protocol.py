from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.encoders import Encoder
from bandprobe.errors import ShapeError


@pytest.fixture(scope="module")
def encoder(checkpoint: Callable[[str], Any]) -> Encoder:
    return encoders.load(str(checkpoint("dinov2")[0]), device="cpu")


def test_the_answer_is_of_the_kind_asked_in(encoder: Encoder, images: Tensor) -> None:
    tensors, arrays = encoder.encode(images), encoder.encode(images.numpy())
    assert isinstance(tensors, Tensor)
    assert isinstance(arrays, np.ndarray)
    assert tensors.dtype == torch.float32
    assert arrays.dtype == np.float32
    np.testing.assert_array_equal(tensors.numpy(), arrays)
    assert not tensors.requires_grad
    torch.testing.assert_close(encoder.encode(images.double()), tensors)


def test_arrays_with_any_strides(encoder: Encoder, images: Tensor) -> None:
    channels_last = np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(encoder.encode(channels_last), encoder.encode(images.numpy()))
    assert encoder.encode(images.numpy()[::-1]).shape == (5, encoder.dim)


@pytest.mark.filterwarnings("error")
def test_arrays_that_may_not_be_written(encoder: Encoder, images: Tensor) -> None:
    fixed = images.numpy().astype(np.float64)
    fixed.flags.writeable = False
    np.testing.assert_array_equal(encoder.encode(fixed), encoder.encode(images.numpy()))


def test_the_input_is_left_alone(encoder: Encoder, images: Tensor) -> None:
    before = images.clone()
    encoder.encode(images)
    assert torch.equal(images, before)


def test_no_images_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode(torch.empty(0, 3, 56, 56)).shape == (0, encoder.dim)
    assert encoder.encode(np.empty((0, 3, 56, 56), np.float32)).shape == (0, encoder.dim)


def test_the_bare_forward_pass_is_the_same(encoder: Encoder, images: Tensor) -> None:
    assert torch.equal(encoder.embed(images), encoder.encode(images))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(3, 56, 56), r"got shape \(3, 56, 56\)"),
        (torch.zeros(1, 1, 56, 56), r"got shape \(1, 1, 56, 56\)"),
        (torch.zeros(1, 56, 56, 3), r"got shape \(1, 56, 56, 3\).*second axis"),
        (torch.zeros(1, 3, 0, 56), r"got shape"),
        (torch.zeros(1, 3, 56, 56, dtype=torch.uint8), r"got torch.uint8. Divide 8-bit images by 255"),
        (np.zeros((1, 3, 56, 56), np.uint8), r"got uint8. Divide"),
        (np.zeros((1, 3, 56, 56), object), r"got object"),
        (torch.full((1, 3, 56, 56), 255.0), r"values from 255 to 255. Divide 8-bit images by 255"),
        (torch.full((1, 3, 56, 56), float("nan")), r"not finite"),
        (torch.full((1, 3, 56, 56), float("inf")), r"not finite"),
        ([[0.0]], r"got list"),
    ],
)
def test_wrong_images(encoder: Encoder, wrong: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        encoder.encode(wrong)
    assert "\n" not in str(caught.value)


def test_one_nan_among_many_values_is_found(encoder: Encoder, images: Tensor) -> None:
    damaged = images.clone()
    damaged[2, 1, 30, 7] = float("nan")
    with pytest.raises(ShapeError, match="not finite"):
        encoder.encode(damaged)


def test_batch_size_of_nothing(encoder: Encoder, images: Tensor) -> None:
    with pytest.raises(ShapeError, match="batch_size must be at least 1; got 0"):
        encoder.encode(images, batch_size=0)
