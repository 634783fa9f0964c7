"""Train one of the four encoders: `python -m zoo.encoders --name micro-dino --seed 0`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import torch
import typer

from bandprobe import progress
from bandprobe.errors import BandprobeError, InputError, did_you_mean
from zoo import training
from zoo.contrastive import Contrastive
from zoo.photographs import WORK, photographs, scene_table
from zoo.self_distillation import SelfDistillation
from zoo.vit import How, new_vit, save

Encoder: TypeAlias = "SelfDistillation | Contrastive"

NAMES = ("micro-dino", "micro-clip", "micro-dino-noblur", "micro-clip-notexture")
IMAGES = 256_000  # that every encoder sees, each counted as often as it is seen
# Among 64, colours alone soon tell an image's caption (93 in 100 found after 1,000 steps); among 256 there is
# more to learn from a caption.
BATCHES = {"micro-dino": 64, "micro-clip": 256}
SIDE, PHOTOGRAPHS = 96, 24_000  # larger than what is seen, so that a view's pixels are a photograph's
PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


def new_trainee(
    name: str,
    work: Path,
    seed: int,
    *,
    count: int = PHOTOGRAPHS,
    device: str = "cpu",
    precision: str = "bf16",
) -> Encoder:
    """What trains the encoder of that name, before its first step.

    Args:
        name: of `NAMES`.
        work: where photographs are kept, and rendered where they are missing.
        seed: of the weights. Encoders of one seed begin with the same image tower.
        count: photographs to train on.
        device: of torch.
        precision: of the matrix products, `bf16` or `fp32`.

    Raises:
        InputError: an unknown name, device or precision, or fewer photographs than a batch.
    """
    pair = objective(name)
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    batch = BATCHES[pair]
    if count < batch:
        raise InputError(f"a batch has {batch} photographs; got {count} in all. Give more.")
    place = device_of(device)
    images = photographs(work, SIDE, count, "encoders")
    how = How(seed, batch, place, PRECISIONS[precision])
    if pair == "micro-dino":
        return SelfDistillation(images, how, blur=name != "micro-dino-noblur")
    column = "caption_notexture" if name == "micro-clip-notexture" else "caption"
    return Contrastive(images, scene_table(work, count, "encoders")[column].to_pylist(), how)


def folder_of(work: Path, name: str, seed: int) -> Path:
    """Where the training of one encoder and seed is kept."""
    return work / name / f"seed-{seed}"


def export(work: Path, name: str, seed: int, folder: Path) -> None:
    """Write a trained encoder as a folder that `bandprobe.encoders.load` takes: the image tower alone.

    Of self-distillation that is the teacher, as its authors ship.

    Args:
        work: where it was trained.
        name: of `NAMES`.
        seed: of its training.
        folder: gets `config.json`, `model.safetensors` in fp16 and `preprocessor_config.json`.

    Raises:
        InputError: an unknown name.
        InputError: it was not trained.
    """
    tower = "teacher" if objective(name) == "micro-dino" else "image_tower"
    vit = new_vit(seed)
    training.restore(folder_of(work, name, seed), **{tower: vit})
    save(vit, folder)


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: it is not there.
    """
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):  # the second where torch was built without it
        raise InputError(f"there is no device {name!r} here. Give cpu.") from None


def objective(name: str) -> str:
    """`micro-dino` or `micro-clip`, whichever the encoder is or is a variant of.

    Raises:
        InputError: the name is not one of `NAMES`.
    """
    if name not in NAMES:
        raise InputError(f"no encoder {name!r}; there are {', '.join(NAMES)}.{did_you_mean(name, NAMES)}")
    return next(pair for pair in BATCHES if name.startswith(pair))


def main(
    name: Annotated[str, typer.Option(help="Which encoder.", metavar="NAME", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Decides every random draw.", metavar="N")] = 0,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help=f"Steps of the whole schedule; {IMAGES:,} images by default.", metavar="N"),
    ] = None,
    stop_at: Annotated[
        int | None, typer.Option(min=1, help="Stop before this step; the same command goes on.", metavar="N")
    ] = None,
    count: Annotated[
        int, typer.Option("--photographs", min=1, help="Photographs to train on.", metavar="N")
    ] = PHOTOGRAPHS,
    work: Annotated[Path, typer.Option(help="Where everything is kept.", metavar="DIR")] = WORK,
    out: Annotated[
        Path | None, typer.Option(help="Write the trained encoder to this folder.", metavar="DIR")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="Of matrix products: bf16, or fp32 where the processor has no bfloat16.")
    ] = "bf16",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
) -> None:
    """Train one encoder, going on from where an earlier call stopped."""
    try:
        with progress.quiet(quiet):
            trainee = new_trainee(name, work, seed, device=device, precision=precision, count=count)
            # Both of a pair are labelled alike, so that they see the same images in the same crops.
            label, folder = objective(name), folder_of(work, name, seed)
            steps = steps or IMAGES // BATCHES[label]
            training.train(trainee, folder, label=label, seed=seed, steps=steps, stop_at=stop_at)
            if out is not None:
                export(work, name, seed, out)
    except BandprobeError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
