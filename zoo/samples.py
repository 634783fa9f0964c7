"""Pictures of every generator, drawn once and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.errors import InputError, did_you_mean
from bandprobe.files import output_folder, replacing

FAMILIES = {
    "gan-transposed": "gan",
    "gan-nearest": "gan",
    "gan-bilinear": "gan",
    "gan-shuffle": "gan",
    "gan-style": "gan",
    "ddpm": "diffusion",
    "ddim": "diffusion",
    "pndm": "diffusion",
    "flow": "diffusion",
    "latent": "diffusion",
    "vae": "vae",
}
"""The family of every generator."""

_PART = 100  # pictures that are drawn together; no fewer, so that few are the first of many


def samples(work: Path, name: str, count: int, *, seed: int = 0, device: str = "cpu") -> NDArray[np.uint8]:
    """Pictures of one generator, from `samples/NAME.npy` or drawn now; few are the first of many.

    Drawing can be stopped and goes on where it was. Pictures older than the training they come from are
    drawn again.

    Args:
        work: the zoo's folder.
        name: of `FAMILIES`.
        count: how many.
        seed: decides them.
        device: to draw on.

    Returns:
        uint8, shape (count, 64, 64, 3), read from disk as they are used.

    Raises:
        InputError: an unknown name, or a model that is not trained yet.
    """
    if name not in FAMILIES:
        raise InputError(
            f"no generator {name!r}; there are {', '.join(FAMILIES)}.{did_you_mean(name, FAMILIES)}"
        )
    folder = output_folder(work / "samples")
    stem = name if seed == 0 else f"{name}-seed-{seed}"
    whole, trained = folder / f"{stem}.npy", work / model_of(name) / "state.pt"
    kept = len(np.load(whole, mmap_mode="r")) if _current(whole, trained) else 0
    if kept < count:
        parts = [(start, folder / f"{stem}-{start:06d}.npy") for start in range(kept, count, _PART)]
        draw = _sampler(name)
        for start, path in parts:
            if not _current(path, trained):
                progress.say(f"{name}: {start} of {count} pictures drawn")
                pictures = draw(work, name, _PART, seed * 1_000_000 + start, device)
                with replacing(path) as temporary:
                    np.save(temporary, pictures)
        pieces = [*([np.load(whole)] if kept else []), *(np.load(path) for _, path in parts)]
        with replacing(whole) as temporary:
            np.save(temporary, np.concatenate(pieces))
        for _, path in parts:
            path.unlink()
    return np.asarray(np.load(whole, mmap_mode="r")[:count])


def model_of(name: str) -> str:
    """The folder of the trained model behind a generator; three samplers share `ddpm`."""
    if FAMILIES[name] == "gan":
        return name
    from zoo.sampling import MODELS

    return MODELS[name]


def _sampler(name: str) -> Callable[[Path, str, int, int, str], NDArray[np.uint8]]:
    if FAMILIES[name] == "gan":
        from zoo.gans import sample as of_a_gan

        return of_a_gan
    from zoo.sampling import sample

    return sample


def _current(path: Path, trained: Path) -> bool:
    """Whether a file is there and not older than the training that its pictures come from."""
    return path.exists() and not (trained.exists() and trained.stat().st_mtime > path.stat().st_mtime)
