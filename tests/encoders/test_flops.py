"""What a pass costs: against closed formulas, against the catalogue, and against a model that has its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import bandprobe as bp
from bandprobe.encoders import catalogue, resolve
from bandprobe.encoders.flops import pass_cost, untrained
from bandprobe.errors import DiskError, EncoderError
from random_encoder import write_random_encoder


def transformer(side: int, patch: int, width: int, layers: int, inner: int, matrices: int = 2) -> int:
    """A vision transformer with a class token: 2 operations a multiply-add.

    Each token meets every weight of query, key, value, output and the MLP's matrices once; attention makes a product
    of queries and keys and one with the values; a patch is a linear map of its pixels.
    """
    patches = (side // patch) ** 2
    tokens = patches + 1
    linear = 2 * tokens * (4 * width * width + matrices * width * inner)
    attention = 4 * tokens**2 * width
    return layers * (linear + attention) + 2 * patches * 3 * patch**2 * width


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dinov2-small", transformer(224, 14, 384, 12, 1536)),
        ("dinov2-base", transformer(224, 14, 768, 12, 3072)),
        ("clip-vit-b-16", transformer(224, 16, 768, 12, 3072)),
        ("mae-large", transformer(224, 16, 1024, 24, 4096)),
        # SwiGLU: two maps in, one out, of 2/3 of the width, rounded up to eights.
        ("dinov2-giant", transformer(224, 14, 1536, 40, 4096, matrices=3)),
        ("openclip-vit-g-14", transformer(224, 14, 1408, 40, int(1408 * 4.3637))),
    ],
)
def test_a_vision_transformer_costs_what_its_formula_says(name: str, expected: int) -> None:
    cost = pass_cost(resolve(name), (224, 224))
    assert cost is not None
    assert cost.flops == pytest.approx(expected, rel=0.01)


def test_the_cost_grows_with_the_image() -> None:
    small, large = (pass_cost(resolve("dinov2-small"), (side, side)) for side in (112, 224))
    assert small is not None
    assert large is not None
    assert small.flops == pytest.approx(transformer(112, 14, 384, 12, 1536), rel=0.01)
    assert large.parameters == small.parameters


# Siblings that differ in the image's side alone have the same shape; that of 428 M weights and any aspect ratio is
# counted on a real pass, as its small sibling is.
SHAPES = [
    one
    for one in catalogue()
    if one.parameters
    and not one.name.endswith(("-384", "-512", "so400m-patch16-naflex", "-noblur", "-notexture"))
]


@pytest.mark.parametrize("entry", SHAPES, ids=lambda one: one.name)
def test_published_shapes_have_the_weights_and_dimensions_of_the_catalogue(entry: bp.encoders.Entry) -> None:
    """The number of weights is known from elsewhere: a wrong width, depth or head would change it."""
    side = 64 if entry.source == "built in" else 224
    cost = pass_cost(resolve(entry.name), (side, side))
    assert cost is not None
    assert cost.parameters / 1e6 == pytest.approx(entry.parameters, rel=0.01, abs=0.6)
    assert cost.values == entry.dim


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny-dinov2"
    write_random_encoder(folder, "random-dinov2")
    return folder


def test_the_count_is_that_of_the_model_with_its_weights(tiny: Path) -> None:
    model = bp.encoders.load(str(tiny), device="cpu")
    # torch's counter does not know the processor's fused attention.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.embed(torch.rand(1, 3, 32, 32))
    cost = pass_cost(resolve(str(tiny)), (32, 32))
    assert cost is not None
    assert cost.flops == counter.get_total_flops()
    assert cost.values == model.dim


def test_an_encoder_gives_all_its_tokens_their_room(tiny: Path) -> None:
    cost = pass_cost(resolve(f"{tiny}#tokens"), (32, 32))
    assert cost is not None
    assert cost.values == 96 * (1 + 16)  # patches of 8


def test_a_model_that_looks_at_its_input_is_counted_on_a_real_pass() -> None:
    """SigLIP 2 of any aspect ratio is, on a square, the one of a fixed size: 14 x 14 patches in both."""
    free, fixed = (
        pass_cost(resolve(f"siglip2-base-patch16-{side}"), (224, 224)) for side in ("naflex", "224")
    )
    assert free is not None
    assert fixed is not None
    assert free.flops == pytest.approx(fixed.flops, rel=0.001)


def test_two_encoders_as_one_cost_their_sum() -> None:
    one, other = (pass_cost(resolve(name), (224, 224)) for name in ("dinov2-small", "clip-vit-b-16"))
    both = pass_cost(resolve("dinov2-small@lowpass:30px+clip-vit-b-16"), (224, 224))
    assert one is not None
    assert other is not None
    assert both is not None
    assert both.flops == one.flops + other.flops
    assert both.values == 384 + 512


def test_what_is_no_model_of_pytorch_is_not_counted() -> None:
    assert pass_cost(resolve("spectral"), (224, 224)) is None
    assert pass_cost(resolve("dinov2-small+spectral"), (224, 224)) is None


def test_stand_in_weights_give_finite_vectors(tiny: Path) -> None:
    encoder = untrained(resolve(str(tiny)), device=torch.device("cpu"))
    assert encoder.device.type == "cpu"
    assert torch.isfinite(encoder.encode(torch.rand(2, 3, 32, 32))).all()


def test_what_cannot_be_counted_is_one_line() -> None:
    with pytest.raises(EncoderError, match=r"multiples of its patch, 14; got 100 x 100"):
        pass_cost(resolve("dinov2-small"), (100, 100))
    with pytest.raises((DiskError, EncoderError), match="nobody/nothing"):
        pass_cost(resolve("nobody/nothing"), (224, 224))
