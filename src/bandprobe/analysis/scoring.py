"""A probe's word on new images."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bandprobe import encoders, progress
from bandprobe.analysis.logits import logits_of
from bandprobe.encoders import Encoder
from bandprobe.encoders.preprocessing import IMAGENET
from bandprobe.errors import EncoderError, ImageError, InputError
from bandprobe.extract import grid_of
from bandprobe.filters import FilterBank, References, parse
from bandprobe.images import Geometry, decode, image_id, parse_colour
from bandprobe.images.pictures import picture_files
from bandprobe.probes import load
from bandprobe.protocol import Protocol
from bandprobe.store import Fingerprint, difference, fingerprint


@dataclass
class Scores:
    """A row for each image, and the images left out with their reasons."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def score(
    paths: Sequence[Path],
    probe_file: Path,
    *,
    encoder: str | None = None,
    device: str = "auto",
    batch_size: int = 32,
    workers: int = 2,
) -> Scores:
    """The probability that each image is generated.

    The image goes the way of the probe's training images: the same grid, filter, encoder and precision.

    Args:
        paths: image files, or folders of them.
        probe_file: a probe's safetensors file.
        encoder: what loads the probe's encoder, if that has moved since training.
        device: where the encoder runs.
        batch_size: images a batch.
        workers: decoding threads.

    Returns:
        Path, logit, probability (for as many fakes as reals) and verdict (fake at or above the probe's
        threshold) of every image that could be read.

    Raises:
        InputError: no image, no probe, or an encoder with other weights than the probe's.
    """
    file, files = load(probe_file), picture_files(paths)
    made_with = file.fingerprint
    try:
        model = encoders.load(
            encoder or file.source,
            device=device,
            precision=made_with.get("encoder.precision", "fp32"),
            protocol=_protocol(made_with),
        )
    except EncoderError as error:
        raise EncoderError(f"{error} Say where the probe's encoder is now with --encoder.") from None
    if not made_with:  # imported: its images went the encoder's own way
        made_with = fingerprint(
            model.fingerprint,
            geometry=str(_own_grid(model)),
            background="white",
            filter=file.train_filter,
        )
    grid, spec, colour = (
        Geometry.parse(made_with["geometry"]),
        parse(file.train_filter),
        made_with["background"],
    )
    references, abs_uint8 = References(None, geometry=grid, background=colour), "abs_uint8" in made_with
    asked = fingerprint(
        model.fingerprint,
        geometry=made_with["geometry"],
        background=colour,
        filter=made_with["filter"],
        references=references.identity(spec),
        abs_uint8=abs_uint8,
    )
    if wrong := difference(made_with, asked):
        raise InputError(
            f"the encoder or reference is not the one that {str(probe_file)!r} was trained on ({wrong})."
        )
    bank = FilterBank([spec], grid.size, device=model.device, references=references, abs_uint8=abs_uint8)
    done = Scores()

    def read(path: Path) -> tuple[str, NDArray[np.uint8]] | str:
        try:
            picture = decode(path, background=parse_colour(colour))
        except ImageError as error:
            return str(error)
        return image_id(picture), grid.apply(picture)

    with progress.bar("score", len(files)) as step, ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(files), batch_size):
            batch = files[start : start + batch_size]
            pictures = dict(zip(batch, pool.map(read, batch), strict=True))
            done.left_out.update(
                {str(p): reason for p, reason in pictures.items() if isinstance(reason, str)}
            )
            fit = {path: picture for path, picture in pictures.items() if not isinstance(picture, str)}
            if fit:
                pixels = torch.from_numpy(np.stack([picture for _, picture in fit.values()])).to(model.device)
                images = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
                [(_, filtered)] = bank(images, [image for image, _ in fit.values()])
                [logits] = logits_of([file], model.encode(filtered).cpu().numpy())
                for path, logit, chance in zip(fit, logits, file.probe.probabilities(logits), strict=True):
                    verdict = "fake" if logit >= file.probe.threshold else "real"
                    done.rows.append(
                        {
                            "path": str(path),
                            "logit": float(logit),
                            "probability": float(chance),
                            "verdict": verdict,
                        }
                    )
            step(len(batch))
    if not done.rows:
        first, reason = next(iter(done.left_out.items()))
        raise InputError(f"none of {len(files)} images could be read; the first, {first!r}: {reason}.")
    return done


def _own_grid(model: Encoder) -> Geometry:
    """How an encoder's authors resized and cropped."""
    try:
        return grid_of(model, None)
    except InputError:
        raise InputError(
            f"an imported probe's images go its encoder's own way, and {model.name!r} does not say which; add "
            "size and crop_size to its preprocessor_config.json."
        ) from None


def _protocol(made_with: Fingerprint) -> Protocol:
    """The switches of the published protocol that the probe's embeddings were made with, in the encoder."""
    means = {value for name, value in made_with.items() if name.endswith("mean")}
    imagenet = " ".join(map(repr, IMAGENET[0]))
    return Protocol(imagenet_stats=means == {imagenet}, abs_uint8="abs_uint8" in made_with)
