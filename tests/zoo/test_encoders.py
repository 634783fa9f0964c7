"""The encoders' losses against naive loops, and their training from the first step to the shipped folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

import zoo.encoders
from bandprobe import encoders
from bandprobe.datasets import photograph
from bandprobe.errors import InputError
from zoo import training
from zoo.contrastive import Alignment, Contrastive, TextTower, Vocabulary, symmetric_loss
from zoo.schedules import adamw, cosine, set_rates, warmed
from zoo.self_distillation import Centre, Head, SelfDistillation, cross_entropy, follow
from zoo.vit import MEAN, STD, How, class_token, new_vit, save, spread

HOW = How(seed=0, batch=8, device=torch.device("cpu"), precision=torch.float32)
BRIGHTNESSES = ("dark", "dim", "bright", "brilliant")
HUES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def photographs() -> NDArray[np.uint8]:
    few = np.stack([photograph(number, "few", size=48)[0] for number in range(12)]) / 255
    tints = np.eye(3)[np.arange(48) % 3] * 0.6 + 0.4
    light = np.linspace(0.3, 1, 4)[np.arange(48) // 12]
    pictures = few[np.arange(48) % 12] * tints[:, None, None] * light[:, None, None, None]
    return (pictures * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return [f"A {BRIGHTNESSES[n // 12]} picture, mostly {HUES[n % 3]}" for n in range(48)]


def new(kind: str, photographs: NDArray[np.uint8], captions: list[str]) -> SelfDistillation | Contrastive:
    if kind == "dino":
        return SelfDistillation(photographs, HOW)
    return Contrastive(photographs, captions, HOW)


# --- the tower


def test_the_class_token_is_the_models_own() -> None:
    vit, pixels = new_vit(0), torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(
        class_token(vit, pixels), vit(pixels).last_hidden_state[:, 0], atol=1e-5, rtol=1e-5
    )
    small = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(
        class_token(vit, small), vit(small).last_hidden_state[:, 0], atol=1e-5, rtol=1e-5
    )


def test_one_seed_gives_every_objective_one_tower(
    photographs: NDArray[np.uint8], captions: list[str]
) -> None:
    dino, clip = new("dino", photographs, captions), new("clip", photographs, captions)
    assert isinstance(dino, SelfDistillation)
    assert isinstance(clip, Contrastive)
    for one, other in zip(dino.student.parameters(), clip.image_tower.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    weights = [new_vit(seed).encoder.layer[0].mlp.fc1.weight for seed in (0, 1)]
    assert not torch.equal(*weights)


def test_spread_is_one_for_opposite_vectors_and_nothing_for_equal_ones() -> None:
    assert float(spread(torch.tensor([[2.0, 0.0], [-5.0, 0.0]]))) == pytest.approx(1)
    assert float(spread(torch.ones(4, 3) * torch.arange(1, 5)[:, None])) == pytest.approx(0, abs=1e-3)


# --- self-distillation


def naive_dino_loss(teacher: np.ndarray, student: np.ndarray) -> float:
    terms = []
    for t in range(len(teacher)):
        for v in range(len(student)):
            if v == t:
                continue
            for n in range(teacher.shape[1]):
                exponentials = np.exp(student[v, n] - student[v, n].max())
                logs = np.log(exponentials / exponentials.sum())
                terms.append(-sum(p * q for p, q in zip(teacher[t, n], logs, strict=True)))
    return float(np.mean(terms))


def test_the_loss_of_self_distillation_is_over_pairs_of_different_views() -> None:
    rng = np.random.default_rng(0)
    teacher, student = rng.dirichlet(np.ones(7), (2, 5)), 4 * rng.standard_normal((6, 5, 7))
    loss = cross_entropy(torch.from_numpy(teacher), torch.from_numpy(student))
    assert float(loss) == pytest.approx(naive_dino_loss(teacher, student), rel=1e-10)


def test_the_centre_is_a_running_mean_that_is_taken_off_before_sharpening() -> None:
    rng = np.random.default_rng(1)
    centre, mean = Centre(5), np.zeros(5)
    for _ in range(4):
        logits = rng.standard_normal((2, 3, 5)).astype(np.float32)
        expected = np.empty((2, 3, 5))
        for t in range(2):
            for n in range(3):
                exponentials = [math.exp((logits[t, n, k] - mean[k]) / 0.05) for k in range(5)]
                expected[t, n] = [value / sum(exponentials) for value in exponentials]
        np.testing.assert_allclose(centre.sharpened(torch.from_numpy(logits), 0.05), expected, atol=1e-5)
        for k in range(5):
            batch = sum(float(logits[t, n, k]) for t in range(2) for n in range(3)) / 6
            mean[k] = 0.9 * mean[k] + 0.1 * batch
        centre.update(torch.from_numpy(logits))
        np.testing.assert_allclose(centre.mean, mean, atol=1e-6)


def test_the_teacher_follows_as_an_exponential_average() -> None:
    teacher, student = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    expected = [weight.detach().numpy().copy() for weight in teacher.parameters()]
    for momentum in (0.99, 0.9, 0.5, 1.0):
        with torch.no_grad():
            for weight in student.parameters():
                weight.add_(torch.randn_like(weight))
        for slow, fast in zip(expected, student.parameters(), strict=True):
            for place in np.ndindex(slow.shape):
                slow[place] = momentum * slow[place] + (1 - momentum) * fast.detach().numpy()[place]
        follow(teacher, student, momentum)
    for slow, weight in zip(expected, teacher.parameters(), strict=True):
        np.testing.assert_allclose(weight.detach(), slow, atol=1e-6)


def test_logits_are_cosines_with_the_prototypes() -> None:
    torch.manual_seed(0)
    head = Head()
    logits = head(torch.randn(9, 128))
    assert logits.shape == (9, 1024)
    assert logits.abs().max() <= 1 + 1e-6
    with torch.no_grad():
        scaled = Head()
        scaled.load_state_dict(head.state_dict())
        scaled.prototypes *= 3
    vectors = torch.randn(2, 128)
    torch.testing.assert_close(scaled(vectors), head(vectors))


def test_prototypes_stand_still_at_first(photographs: NDArray[np.uint8]) -> None:
    trainee = SelfDistillation(photographs, HOW)
    before = trainee.student_head.prototypes.detach().clone()
    rng = np.random.default_rng(0)
    trainee.step(0, 100, rng)
    assert torch.equal(trainee.student_head.prototypes, before)
    trainee.step(50, 100, rng)
    assert not torch.equal(trainee.student_head.prototypes, before)


def test_gradients_never_reach_the_teacher(photographs: NDArray[np.uint8]) -> None:
    trainee = SelfDistillation(photographs, HOW)
    losses = trainee.step(10, 100, np.random.default_rng(0))
    assert all(weight.grad is None for weight in trainee.teacher.parameters())
    assert set(losses) == {"loss", "teacher_entropy", "divergence", "spread"}
    assert float(losses["loss"]) == pytest.approx(float(losses["teacher_entropy"] + losses["divergence"]))
    assert float(losses["divergence"]) > 0


# --- language supervision


def test_the_contrastive_loss_asks_both_ways() -> None:
    logits = 3 * np.random.default_rng(0).standard_normal((6, 6))
    both = 0.0
    for matrix in (logits, logits.T):
        for n in range(6):
            both += -math.log(math.exp(matrix[n, n]) / sum(math.exp(matrix[n, k]) for k in range(6))) / 12
    assert float(symmetric_loss(torch.from_numpy(logits))) == pytest.approx(both, rel=1e-10)


def test_logits_are_cosines_over_the_temperature() -> None:
    torch.manual_seed(0)
    alignment, images, texts = Alignment(), torch.randn(3, 128), torch.randn(3, 128)
    logits = alignment(images, texts).detach()
    one, other = alignment.image(images[1]).detach().numpy(), alignment.text(texts[2]).detach().numpy()
    cosine_of = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert float(logits[1, 2]) == pytest.approx(cosine_of / 0.07, rel=1e-4)
    with torch.no_grad():
        alignment.sharpness.fill_(99.0)
    assert float(alignment(images, texts)[1, 2].detach()) == pytest.approx(cosine_of / 0.01, rel=1e-4)


def test_captions_become_rows_of_words() -> None:
    vocabulary = Vocabulary(["Many red discs, lit.", "a blue-grey disc"])
    assert len(vocabulary) == 2 + 7
    assert vocabulary.length == 5
    rows = vocabulary.rows(["lit discs, RED", "a blue-grey disc"])
    assert rows.shape == (2, 5)
    words = ["", "", "a", "blue-grey", "disc", "discs", "lit", "many", "red"]
    assert [words[n] for n in rows[0, :3]] == ["lit", "discs", "red"]
    assert rows[0, 3:].tolist() == [1, 0]


def test_an_unknown_word_and_a_long_caption_are_refused() -> None:
    vocabulary = Vocabulary(["many red discs"])
    with pytest.raises(InputError, match=r"'disks'.*Did you mean 'discs'"):
        vocabulary.rows(["red disks"])
    with pytest.raises(InputError, match="at most 3 words; got 4"):
        vocabulary.rows(["many many red discs"])


def test_what_stands_behind_the_end_mark_is_not_read() -> None:
    torch.manual_seed(0)
    tower = TextTower(9, 6).eval()
    rows = torch.tensor([[2, 3, 1, 0, 0, 0], [2, 3, 1, 5, 6, 7], [2, 4, 1, 0, 0, 0]])
    vectors = tower(rows)
    torch.testing.assert_close(vectors[0], vectors[1])
    assert (vectors[0] - vectors[2]).abs().max() > 1e-3


# --- schedules


def test_rates_rise_in_a_line_and_fall_in_a_cosine() -> None:
    rates = [warmed(1.0, 0.1, number, 100, 0.1) for number in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.55)
    assert np.all(np.diff(rates[10:]) < 0)
    assert cosine(0.99, 1.0, 100, 100) == pytest.approx(1)


def test_biases_and_gains_do_not_decay() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    optimiser = adamw([layer])
    set_rates(optimiser, 0.5, 0.1)
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert [decays[id(p)] for p in layer.parameters()] == [0.1, 0.0, 0.0, 0.0]
    assert {group["lr"] for group in optimiser.param_groups} == {0.5}


# --- whole trainings


@pytest.mark.parametrize(("kind", "falling"), [("dino", "divergence"), ("clip", "loss")])
def test_the_loss_falls_on_fifty_steps(
    kind: str, falling: str, photographs: NDArray[np.uint8], captions: list[str]
) -> None:
    trainee = new(kind, photographs, captions)
    values = []
    for number in range(50):
        torch.manual_seed(number)
        losses = trainee.step(number, 50, np.random.default_rng(number))
        values.append(float(losses[falling]))
    assert np.mean(values[-10:]) < 0.9 * np.mean(values[:10])
    assert float(losses["spread"]) > 0.05


@pytest.mark.parametrize("kind", ["dino", "clip"])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    kind: str, tmp_path: Path, photographs: NDArray[np.uint8], captions: list[str]
) -> None:
    whole, resumed = new(kind, photographs, captions), new(kind, photographs, captions)
    training.train(whole, tmp_path / "whole", label=kind, seed=0, steps=4)
    training.train(resumed, tmp_path / "parts", label=kind, seed=0, steps=4, stop_at=2)
    again = new(kind, photographs, captions)
    training.train(again, tmp_path / "parts", label=kind, seed=0, steps=4)
    for name, module in whole.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, again.modules[name].state_dict()[key]), (name, key)


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch, photographs: NDArray[np.uint8], captions: list[str]) -> None:
    """The command's photographs are the tests' few."""
    import pyarrow as pa

    table = pa.table({"caption": captions, "caption_notexture": [text.split(",")[0] for text in captions]})
    monkeypatch.setattr(zoo.encoders, "photographs", lambda work, size, count, purpose: photographs[:count])
    monkeypatch.setattr(zoo.encoders, "scene_table", lambda work, count, purpose: table[:count])
    monkeypatch.setattr(zoo.encoders, "BATCHES", {"micro-dino": 8, "micro-clip": 12})


@pytest.mark.usefixtures("small_world")
@pytest.mark.parametrize("name", zoo.encoders.NAMES)
def test_the_command_trains_and_writes_a_folder_that_loads(
    name: str, tmp_path: Path, photographs: NDArray[np.uint8]
) -> None:
    work, out = tmp_path / "work", tmp_path / name
    options = ["--name", name, "--steps", "2", "--photographs", "40", "--work", str(work), "--out", str(out)]
    result = CliRunner().invoke(app(), [*options, "--quiet"])
    assert result.exit_code == 0, result.output
    loaded = encoders.load(str(out), device="cpu")
    vit = new_vit(0)
    tower = "teacher" if "dino" in name else "image_tower"
    assert training.restore(work / name / "seed-0", **{tower: vit}) == 2
    images = torch.from_numpy(photographs[:6, :48, :48]).permute(0, 3, 1, 2).float() / 255
    pixels = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        expected = vit(pixels).last_hidden_state[:, 0]
    given = torch.as_tensor(loaded.embed(images))
    torch.testing.assert_close(given.float(), expected, atol=1e-2, rtol=1e-2)
    assert (given - expected).square().mean().sqrt() < 2e-3 * expected.std()


@pytest.mark.usefixtures("small_world")
def test_each_name_is_its_own_training(tmp_path: Path) -> None:
    kinds = {name: zoo.encoders.new_trainee(name, tmp_path, 0, count=48) for name in zoo.encoders.NAMES}
    dino, noblur = kinds["micro-dino"], kinds["micro-dino-noblur"]
    clip, notexture = kinds["micro-clip"], kinds["micro-clip-notexture"]
    assert isinstance(dino, SelfDistillation)
    assert isinstance(noblur, SelfDistillation)
    assert (dino._blur, noblur._blur) == (True, False)
    assert isinstance(clip, Contrastive)
    assert isinstance(notexture, Contrastive)
    clip.vocabulary.rows(["mostly red"])
    with pytest.raises(InputError, match="mostly"):
        notexture.vocabulary.rows(["mostly red"])


@pytest.mark.usefixtures("small_world")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "micro-dion"], "Did you mean 'micro-dino'"),
        (["--name", "micro-dino", "--device", "abacus"], "there is no device 'abacus' here"),
        (["--name", "micro-dino", "--photographs", "3"], "a batch has 8 photographs; got 3"),
        (["--name", "micro-clip", "--precision", "fp8"], "precision must be one of bf16, fp32; got 'fp8'"),
    ],
)
def test_wrong_use_is_one_line(options: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app(), [*options, "--work", str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_saved_tower_says_how_it_was_fed(tmp_path: Path) -> None:
    save(new_vit(0), tmp_path / "tower")
    loaded = encoders.load(str(tmp_path / "tower"), device="cpu")
    assert loaded.dim == 128
    assert loaded.preprocessing.mean == MEAN
    assert loaded.preprocessing.std == STD
    assert str(loaded.preprocessing.geometry) == "squash:64"
    assert (tmp_path / "tower" / "model.safetensors").stat().st_size < 1.8e6


def app() -> object:
    """The script's command."""
    import typer

    command = typer.Typer()
    command.command()(zoo.encoders.main)
    return command
