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
from bandprobe.errors import EncoderError, ImageError, InputError
from bandprobe.filters import parse
from bandprobe.images import Geometry, decode, parse_colour
from bandprobe.images.pictures import picture_files
from bandprobe.probes import load
from bandprobe.store import difference, fingerprint


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
            f"{file.encoder}={encoder}" if encoder else file.source,
            device=device,
            precision=made_with["encoder.precision"],
        )
    except EncoderError as error:
        raise EncoderError(f"{error} Say where the probe's encoder is now with --encoder.") from None
    asked = fingerprint(
        model.fingerprint,
        geometry=made_with["geometry"],
        background=made_with["background"],
        filter=made_with["filter"],
    )
    if wrong := difference(made_with, asked):
        raise InputError(f"the encoder is not the one that {str(probe_file)!r} was trained on ({wrong}).")
    grid, spec, colour = (
        Geometry.parse(made_with["geometry"]),
        parse(file.train_filter),
        made_with["background"],
    )
    done = Scores()

    def read(path: Path) -> NDArray[np.uint8] | str:
        try:
            return grid.apply(decode(path, background=parse_colour(colour)))
        except ImageError as error:
            return str(error)

    with progress.bar("score", len(files)) as step, ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(files), batch_size):
            batch = files[start : start + batch_size]
            pictures = dict(zip(batch, pool.map(read, batch), strict=True))
            done.left_out.update(
                {str(p): reason for p, reason in pictures.items() if isinstance(reason, str)}
            )
            fit = {path: picture for path, picture in pictures.items() if not isinstance(picture, str)}
            if fit:
                pixels = torch.from_numpy(np.stack(list(fit.values()))).to(model.device)
                images = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
                logits = file.probe.logits(model.encode(spec(images)).cpu().numpy())
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
