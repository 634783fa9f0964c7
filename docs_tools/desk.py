"""The folder that a page's commands are run in, and what lies there: small data, small encoders, a finished run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bandprobe.datasets import ImageSet, micro

HOME = "/home/you"  # how pages show the folder that commands are run in

_SIDE = 224
_PATCH = 56  # 16 patches an image: an encoder for the form, not for the meaning, of what comes out
_SWEEP = ("identity", "lowpass:5px", "lowpass:30px", "lowpass:185px")
_RICKER = ("ProGAN", "StyleGAN", "ProjectedGAN", "Diff-StyleGAN2", "Diff-ProjectedGAN", "DDPM", "IDDPM", "ADM",
           "PNDM", "LDM")  # fmt: skip
_MADE = ("world", "runs", "study.toml")  # by the tutorial


def lay_out(desk: Path, *, run: Path | None = None) -> None:
    """Put image folders, single pictures and, if asked, a finished run on the desk.

    Args:
        desk: the folder.
        run: where the tutorial was run; its pictures, its study file and its run are copied.
    """
    world = micro("test")
    sources = {"real": ("Real", 80), "ProGAN": ("gan-transposed", 70), "DDPM": ("ddpm", 70)}
    for name, (generator, n) in sources.items():
        _write(desk / "photos" / name, world.images(generator)[:n], ".png")
    _write(desk / "new", world.images("flow")[:6], ".jpg")
    for name, pixels in zip(("photo.png", "reference.png"), world.images("Real")[100:102], strict=True):
        Image.fromarray(pixels).resize((256, 256), Image.Resampling.BICUBIC).save(desk / name)
    _bedroom(desk / "lsun_bedroom", world)
    for source in [run / made for made in _MADE] if run else []:
        if source.is_dir():
            shutil.copytree(source, desk / source.name)
        else:
            shutil.copy(source, desk / source.name)


def _bedroom(root: Path, world: ImageSet) -> None:
    """The folders of Ricker et al.'s data: test holds one shared Real, train and val reals for each generator."""
    reals = world.images("Real")[150:]
    fakes = [generator for generator in dict.fromkeys(world.table["generator"]) if generator != "Real"]
    _write(root / "test" / "Real", reals[:12], ".png")
    for number, (generator, source) in enumerate(zip(_RICKER, fakes, strict=False)):
        real, fake = reals[12 + 6 * number :], world.images(source)[100:]
        _write(root / "test" / generator, fake[:6], ".png")
        for split, part in (("train", slice(6, 10)), ("val", slice(10, 12))):
            _write(root / split / generator / "0_real", real[part.start - 6 : part.stop - 6], ".png")
            _write(root / split / generator / "1_fake", fake[part], ".png")


def _write(folder: Path, pictures: NDArray[np.uint8], ending: str) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:03d}{ending}", quality=95)


@contextlib.contextmanager
def sitting_at(desk: Path) -> Iterator[None]:
    """Work in the folder, whose Python files can be imported."""
    came_from = Path.cwd()
    modules, path = set(sys.modules), [*sys.path]
    os.chdir(desk)
    sys.path.insert(0, str(desk))
    try:
        yield
    finally:
        os.chdir(came_from)
        sys.path[:] = path
        for name in (
            set(sys.modules) - modules
        ):  # a page's own modules; the next page's may have the same name
            if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(desk):
                del sys.modules[name]


@contextlib.contextmanager
def stand_ins(desk: Path, text: str) -> Iterator[None]:
    """Small encoders of random weights in place of the Hugging Face Hub's that a text names, and a short sweep.

    A folder of an encoder's name is that encoder: what a page shows runs without a network and in seconds,
    and its vectors are of the right length. The preset `thesis` has four of its 39 conditions.
    """
    from bandprobe.encoders.catalogue import ENTRIES
    from bandprobe.filters import PRESETS

    named = [name for name in ENTRIES if re.search(rf"(?<![\w/-]){re.escape(name)}(?![\w-])", text)]
    absent = {name: ENTRIES[name] for name in named if "/" in ENTRIES[name].source}
    for name, entry in absent.items():
        if not (desk / name).exists():
            _stand_in(desk / name, entry.dim)
    known = dict(ENTRIES)
    for name in absent:
        del ENTRIES[name]
    sweep = PRESETS["thesis"]
    PRESETS["thesis"] = _SWEEP
    try:
        yield
    finally:
        ENTRIES.clear()
        ENTRIES.update(known)  # in their order
        PRESETS["thesis"] = sweep


def _stand_in(folder: Path, dim: int) -> None:
    """A vision transformer with random weights and vectors of that length, as `save_pretrained` writes it."""
    import torch

    from bandprobe.encoders.extras import hide_broken_torchvision

    hide_broken_torchvision()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {"hidden_size": dim, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 1}
        settings = transformers.Dinov2Config(
            **shape, image_size=_SIDE, patch_size=_PATCH, initializer_range=0.2
        )
        transformers.Dinov2Model(settings).save_pretrained(folder)
    statistics = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (folder / "preprocessor_config.json").write_text(json.dumps(statistics), encoding="utf-8")
