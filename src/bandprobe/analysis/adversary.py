"""The least energy in one band of frequencies that flips a probe's decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from bandprobe import progress, seeding
from bandprobe.analysis.coalitions import Bands
from bandprobe.analysis.grid_pictures import Read
from bandprobe.analysis.sources import Source, drawn_sources
from bandprobe.encoders import Encoder
from bandprobe.errors import InputError
from bandprobe.probes.differentiable import logits_of_tensor
from bandprobe.probes.files import ProbeFile

COLUMNS = (
    "encoder", "trained_on", "train_filter", "source", "family", "dataset", "band", "low_nyq", "high_nyq", "measure",
    "value", "low", "high", "n",
)  # fmt: skip
SAMPLES = 16
STEPS = 20
BUDGET = 8 / 255  # root mean square of what is added, images in [0, 1]
_BATCH = 16
_HALVINGS = 8
_RESAMPLES = 1000

Floats = NDArray[np.float64]
Logits = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Attack:
    """What flips the decisions on some images.

    Attributes:
        norm: L2 norm of what is added, in units of intensity, shape (n,); infinite where nothing was found.
        relative: the same as a share of what the image itself holds in the band.
        survives: whether the flip stands once the image is clipped and rounded to 8 bits, shape (n,).
    """

    norm: Floats
    relative: Floats
    survives: NDArray[np.bool_]

    def of(self, which: NDArray[np.bool_]) -> Attack:
        """Some of the images."""
        return Attack(self.norm[which], self.relative[which], self.survives[which])


def attack(
    logits: Logits,
    images: Tensor,
    threshold: float,
    mask: Tensor,
    *,
    budget: float = BUDGET,
    steps: int = STEPS,
) -> Attack:
    """The least that, added to each image within a band, takes its logit to the other side of the threshold.

    Projected gradient in Fourier space: the logit is taken for linear where the search stands, its gradient is cut to
    the band, and the search goes to the nearest point to the image itself that the linear logit puts on the
    threshold, no further than the budget. The shortest that flips is kept, and shortened by bisection. Of a linear
    logit that is the exact answer, `|logit - threshold| / |gradient in the band|`; else an upper bound.

    What is added stays in the band; it is not held to [0, 1] while it is sought.

    Args:
        logits: images of shape (n, 3, h, w) to logits of shape (n,), differentiable.
        images: in [0, 1].
        threshold: fake at or above it.
        mask: the band over the FFT's own order, shape (h, w), 0 and 1, the same at a frequency and its negative.
        budget: the root mean square over pixels and colours up to which is sought.
        steps: forward and backward passes.

    Source:
        Croce & Hein 2020 (arXiv:1907.02044), whose steps these are, without a box; Rony et al. 2019
        (arXiv:1811.09600) for least norms.
    """
    longest = budget * float(np.sqrt(images[0].numel()))
    with torch.no_grad():
        side = torch.where(logits(images) >= threshold, 1.0, -1.0).double()
    added = torch.zeros_like(images, dtype=torch.float64)
    best, shortest = added.clone(), torch.full_like(side, float("inf"))
    for _ in range(steps):
        place = (images.double() + added).float().requires_grad_(True)
        value = logits(place)
        [gradient] = torch.autograd.grad(value.sum(), place)
        margin = side * (value.detach().double() - threshold)
        _keep(best, shortest, added, margin < 0)
        inside = torch.fft.ifft2(torch.fft.fft2(gradient.double()) * mask).real
        slope = side.view(-1, 1, 1, 1) * inside
        energy = slope.square().flatten(1).sum(1)
        # Where the linear logit meets the threshold, and a hair beyond: on it nothing is flipped.
        reach = (margin - (slope * added).flatten(1).sum(1)) * (1 + 1e-3) + 1e-6
        added = -slope * (reach / energy.clamp_min(1e-30)).view(-1, 1, 1, 1)
        length = added.flatten(1).norm(dim=1)
        added = added * (longest / length.clamp_min(longest)).view(-1, 1, 1, 1)
    _keep(best, shortest, added, _flipped(logits, images, added, side, threshold))
    # From none to the shortest found the decision flips somewhere.
    low, high = torch.zeros_like(shortest), torch.ones_like(shortest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = _flipped(logits, images, best * middle.view(-1, 1, 1, 1), side, threshold)
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    found = torch.isfinite(shortest)
    best = best * high.view(-1, 1, 1, 1)
    with torch.no_grad():
        levels = ((images.double() + best).clamp(0, 1) * 255).round().float() / 255
        survives = found & ((logits(levels) >= threshold) != (side > 0))
    norm = torch.where(found, best.flatten(1).norm(dim=1), shortest)
    own = torch.fft.ifft2(torch.fft.fft2(images.double()) * mask).real.flatten(1).norm(dim=1)
    return Attack(norm.cpu().numpy(), (norm / own.clamp_min(1e-12)).cpu().numpy(), survives.cpu().numpy())


def _keep(best: Tensor, shortest: Tensor, added: Tensor, flips: Tensor) -> None:
    length = added.flatten(1).norm(dim=1)
    better = flips & (length < shortest)
    best[better], shortest[better] = added[better], length[better]


def _flipped(logits: Logits, images: Tensor, added: Tensor, side: Tensor, threshold: float) -> Tensor:
    with torch.no_grad():
        margin: Tensor = side * (logits((images.double() + added).float()).double() - threshold)
        return margin < 0


def band_attacks(
    encoders: Sequence[Encoder],
    probes: Sequence[ProbeFile],
    manifest: pd.DataFrame,
    read: Read,
    bands: Bands,
    *,
    samples: int = SAMPLES,
    budget: float = BUDGET,
    steps: int = STEPS,
    seed: int = 0,
) -> pd.DataFrame:
    """How cheaply each band flips each probe's decisions on test images.

    Args:
        encoders: loaded; one without gradients is left out, and it is said.
        probes: of these encoders, trained on unfiltered images.
        manifest: its test split is used.
        read: gives pictures on the study's grid.
        bands: of that grid.
        samples: images of each source at most.
        budget: root mean square up to which is sought; see `attack`.
        steps: forward and backward passes for each band.
        seed: of the draw of images, and of the intervals.

    Returns:
        A row for each probe, source, band and measure, with `COLUMNS` and 95 % intervals over images: `rms` is the
        median root mean square that flips, in 8-bit levels, infinite where more than half withstand the budget;
        `relative` the median as a share of what the image holds in the band;
        `coefficients` the median energy in units of the mean energy of one of the image's coefficients in the band, so
        that a band is not cheap for being wide; `flipped` the share that the budget flips, `survives` the share still
        flipped after rounding to 8 bits.

    Raises:
        InputError: no test image, no probe trained on unfiltered images, or no encoder with gradients.
    """
    asked = [file for file in probes if file.train_filter == "none"]
    sources = drawn_sources(manifest, samples, seed, "adversary")
    if not sources:
        raise InputError(
            "no image stands in the test split; index the data with a test split, or with splits made."
        )
    if not asked:
        raise InputError("no probe was trained on unfiltered images; train one with --filter none.")
    tables: list[pd.DataFrame] = []
    for encoder in encoders:
        its = [file for file in asked if file.encoder == encoder.name]
        if encoder.why_no_gradient:
            progress.say(f"{encoder.name} is left out: it has no gradient ({encoder.why_no_gradient}).")
            continue
        rings = [torch.from_numpy(ring).to(encoder.device) for ring in bands.masks]
        drawn = [(source, image) for source in sources for image in source.image_id]
        batches, known = _batches([image for _, image in drawn], read, encoder)
        whose = [source for source, image in drawn if image in known]
        with progress.bar(f"attack {encoder.name}", len(its) * len(rings) * len(batches), "batches") as step:
            for file in its:
                found = [_of_band(encoder, file, batches, ring, budget, steps, step) for ring in rings]
                for source in sources:
                    mine = np.array([one is source for one in whose])
                    if mine.any():
                        tables.append(
                            _rows(file, source, bands, [one.of(mine) for one in found], batches, seed)
                        )
    if not tables:
        raise InputError(
            "no encoder with gradients; a band is attacked through them, and nothing else can be done."
        )
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _batches(wanted: Sequence[str], read: Read, encoder: Encoder) -> tuple[list[Tensor], set[str]]:
    """Images in batches, and the ids of those that could be read."""
    found, known = [], set()
    for start in range(0, len(wanted), _BATCH):
        ids, images = read(wanted[start : start + _BATCH])
        if ids:
            found.append(images.to(encoder.device))
            known.update(ids)
    return found, known


def _of_band(
    encoder: Encoder,
    file: ProbeFile,
    batches: Sequence[Tensor],
    ring: Tensor,
    budget: float,
    steps: int,
    step: Callable[[], None],
) -> Attack:
    def logits(images: Tensor) -> Tensor:
        return logits_of_tensor(file.probe, encoder.vectors(images))

    parts = []
    for images in batches:
        parts.append(attack(logits, images, file.probe.threshold, ring, budget=budget, steps=steps))
        step()
    return Attack(
        *(np.concatenate([getattr(one, part.name) for one in parts]) for part in fields(Attack)),
    )


def _rows(
    file: ProbeFile,
    source: Source,
    bands: Bands,
    found: Sequence[Attack],
    batches: Sequence[Tensor],
    seed: int,
) -> pd.DataFrame:
    levels = 255 / np.sqrt(batches[0][0].numel())  # of an L2 norm, as root mean square in 8-bit levels
    rms = np.stack([one.norm for one in found]) * levels  # (bands, n)
    relative = np.stack([one.relative for one in found])
    counted = relative**2 * np.array([[mask.sum()] for mask in bands.masks])
    flipped, survives = (
        np.isfinite(rms).astype(float),
        np.stack([one.survives for one in found]).astype(float),
    )
    n = rms.shape[1]
    rng = seeding.generator(seed, "adversary intervals", source.dataset, source.name)
    drawn = rng.integers(n, size=(_RESAMPLES, n))
    edges = np.array(bands.edges) / (min(bands.shape) / 2)
    measures = {
        # Of order statistics, so that an infinite median stays infinite.
        "rms": (_median(rms), _median(rms[:, drawn])),
        "relative": (_median(relative), _median(relative[:, drawn])),
        "coefficients": (_median(counted), _median(counted[:, drawn])),
        "flipped": (flipped.mean(1), flipped[:, drawn].mean(2)),
        "survives": (survives.mean(1), survives[:, drawn].mean(2)),
    }
    common = {
        "encoder": file.encoder,
        "trained_on": file.trained_on,
        "train_filter": file.train_filter,
        "source": source.name,
        "family": source.family,
        "dataset": source.dataset,
        "band": bands.names,
        "low_nyq": edges[:-1],
        "high_nyq": edges[1:],
        "n": n,
    }
    tables = []
    for measure, (value, resampled) in measures.items():
        low, high = np.quantile(resampled, [0.025, 0.975], axis=1, method="nearest")
        tables.append(pd.DataFrame(common | {"measure": measure, "value": value, "low": low, "high": high}))
    return pd.concat(tables, ignore_index=True)


def _median(values: Floats) -> Floats:
    return np.asarray(np.quantile(values, 0.5, axis=-1, method="higher"))
