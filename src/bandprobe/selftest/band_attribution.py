"""Do the ways to say why a probe decides point at the band that a fake was made with?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.analysis.adversary import attack
from bandprobe.analysis.coalitions import Bands
from bandprobe.analysis.input_gradients import auroc_weights, logit_maps
from bandprobe.metrics import auroc, wilson
from bandprobe.metrics.fourier_maps import radial_profile, ring_sizes
from bandprobe.metrics.shapley import coalitions, exact
from bandprobe.probes.differentiable import logits_of_tensor
from bandprobe.probes.linear import LinearProbe
from bandprobe.selftest.artefacts import Artefact, plant, recompressed
from bandprobe.selftest.band_recovery import COUNTED, IMAGES, NEAR, Laboratory, drawn, fitted, photographs

POINTED = 0.90  # the share asked for
WAYS = ("gradient", "shapley", "attack")
KINDS = ("ring-noise", "grid", "missing")  # `spectral` sees no phase
_ASKED = 40  # test images of each class whose bands are asked by Shapley values
_ATTACKED = 12
_BUDGET = 32 / 255
_BATCH = 32
_TRIES = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BandAttribution:
    """What came of planted artefacts.

    Attributes:
        cases: a row for each that a probe tells apart with AUROC 0.8. encoder, kind, low_nyq, high_nyq, auroc,
            gradient_nyq (the ring whose growth moves AUROC most), shapley_band, attack_band (its number), and by way
            whether it points at the planted ring.
    """

    cases: pd.DataFrame

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """Successes and trials of each way."""
        return {way: (int(self.cases[way].sum()), len(self.cases)) for way in WAYS}

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the share asked for: no way's 95 % interval lies below it."""
        return all(float(wilson(successes, n)[1]) >= POINTED for successes, n in self.shares.values() if n)

    def lines(self) -> list[str]:
        """The result in words."""
        words = {
            "gradient": f"the ring whose growth moves AUROC most lies within {NEAR:g} of Nyquist of the planted one",
            "shapley": "the band that adds most to AUROC holds some of the planted ring",
            "attack": "the band that flips fakes for the fewest coefficients' energy holds some of the planted ring",
        }
        said = []
        for way, (successes, n) in self.shares.items():
            low, high = wilson(successes, n)
            said.append(
                f"{way}: {words[way]}: {successes} of {n}, {100 * successes / max(n, 1):.1f} % "
                f"({100 * float(low):.1f} to {100 * float(high):.1f}; asked for: {100 * POINTED:.0f})"
            )
        return said


def attribution(
    cases: int = 100, *, encoder: str = "spectral", images: NDArray[np.uint8] | None = None, seed: int = 0
) -> BandAttribution:
    """Plant artefacts and see whether gradient, Shapley values and the adversary point at their bands.

    Cases are drawn as in `bands`: artefacts of drawn radius, width and strength in half of the photographs, JPEG of one
    quality for both classes, a linear probe. Of `spectral` too the gradient is taken; it holds for small steps only.

    Args:
        cases: how many with a probe that can tell the classes apart.
        encoder: its name.
        images: uint8 RGB, shape (n, h, w, 3); 560 procedural photographs of 64 px by default.
        seed: of every draw.
    """
    lab = Laboratory(photographs(IMAGES) if images is None else images, encoder)
    rows: list[dict[str, Any]] = []
    with progress.bar("attribution", cases, "cases") as step:
        for number in range(_TRIES * cases):
            if len(rows) == cases:
                break
            row = _case(lab, number, KINDS[number % len(KINDS)], seed)
            if row is not None:
                rows.append(row)
                step()
    columns = [
        "encoder",
        "kind",
        "low_nyq",
        "high_nyq",
        "auroc",
        "gradient_nyq",
        "shapley_band",
        "attack_band",
        *WAYS,
    ]
    return BandAttribution(pd.DataFrame(rows, columns=columns))


def _case(lab: Laboratory, number: int, kind: str, seed: int) -> dict[str, Any] | None:
    rng = seeding.generator(seed, "attribution", lab.encoder.name, number)
    artefact, quality = drawn(kind, rng)
    label, (train, val, test) = lab.split(rng)
    images = lab.images.copy()
    images[label == 1] = plant(images[label == 1], artefact, rng)
    if quality is not None:
        images = recompressed(images, quality)
    known = np.concatenate([train, val])
    probe = fitted(lab.embed(lab.tensor(images[known])), label[known], len(val), rng)
    tested = torch.from_numpy(images[test]).permute(0, 3, 1, 2).float() / 255
    truth = label[test]
    logits, growth = _growth(lab, probe, tested, truth)
    reached = auroc(truth, logits)
    if reached < COUNTED:
        return None
    shape = (int(tested.shape[-2]), int(tested.shape[-1]))
    bands = Bands.of(shape)
    few = np.concatenate([np.flatnonzero(truth == one)[:_ASKED] for one in (0, 1)])
    best = int(np.argmax(_shapley(lab, probe, tested[few], truth[few], bands)))
    fakes = np.flatnonzero((truth == 1) & (logits >= probe.threshold))[:_ATTACKED]
    cheapest = int(np.argmin(_cost(lab, probe, tested[fakes], bands)))
    strongest = (1 + int(np.argmax(np.abs(growth[1:])))) / (min(shape) / 2)
    return {
        "encoder": lab.encoder.name,
        "kind": kind,
        "low_nyq": artefact.low_nyq,
        "high_nyq": artefact.high_nyq,
        "auroc": reached,
        "gradient_nyq": strongest,
        "shapley_band": best,
        "attack_band": cheapest,
        "gradient": artefact.low_nyq - NEAR <= strongest <= artefact.high_nyq + NEAR,
        "shapley": _meet(bands, best, artefact),
        "attack": _meet(bands, cheapest, artefact),
    }


def _meet(bands: Bands, number: int, artefact: Artefact) -> bool:
    low, high = np.array(bands.edges[number : number + 2]) / (min(bands.shape) / 2)
    return bool(low < artefact.high_nyq and artefact.low_nyq < high)


def _growth(
    lab: Laboratory, probe: LinearProbe, images: torch.Tensor, truth: NDArray[np.int8]
) -> tuple[Floats, Floats]:
    """Logits, and the smooth AUROC's derivative by each ring's log gain."""
    parts = [logit_maps(lab.encoder, [probe], images[k : k + _BATCH]) for k in range(0, len(images), _BATCH)]
    logits = np.concatenate([found[0] for found, _ in parts])
    amplitude = np.concatenate([maps.amplitude for _, [maps] in parts])
    weights, _ = auroc_weights(logits, truth)
    grown = radial_profile(amplitude) * ring_sizes(amplitude.shape[-2:])
    return logits, (weights[:, None] * grown).mean(0)


def _shapley(
    lab: Laboratory, probe: LinearProbe, images: torch.Tensor, truth: NDArray[np.int8], bands: Bands
) -> Floats:
    spectra = torch.fft.fft2(images.double())
    masks = np.stack(bands.masks)
    always = 1 - masks.sum(0)
    worth = []
    for members in coalitions(len(bands)):
        kept = always + masks[[members >> k & 1 == 1 for k in range(len(bands))]].sum(0)
        filtered = torch.fft.ifft2(spectra * torch.from_numpy(kept)).real.float()
        worth.append(auroc(truth, probe.logits(lab.encoder.encode(filtered).numpy())))
    return exact(worth)


def _cost(lab: Laboratory, probe: LinearProbe, images: torch.Tensor, bands: Bands) -> Floats:
    """Median energy that flips, in units of one coefficient's in the band, shape (bands,)."""

    def logits(changed: torch.Tensor) -> torch.Tensor:
        return logits_of_tensor(probe, lab.encoder.vectors(changed))

    found = []
    for mask in bands.masks:
        one = attack(logits, images, probe.threshold, torch.from_numpy(mask), budget=_BUDGET)
        found.append(np.median(one.relative) ** 2 * mask.sum())
    return np.array(found)
