"""What it costs to ask why: a map by one backward pass against finite steps, layers of one pass, Shapley values."""

from __future__ import annotations

import statistics
from itertools import permutations
from math import factorial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bandprobe import encoders
from bandprobe.analysis.input_gradients import logit_maps
from bandprobe.analysis.perturbation import logit_steps
from bandprobe.datasets import micro
from bandprobe.encoders.layers import embed_together, with_layers
from bandprobe.metrics import auroc
from bandprobe.metrics.shapley import coalitions, exact
from bandprobe.probes.linear import LinearProbe
from bandprobe.seeding import generator
from side_by_side import Row, check_equal, device, ratio, times

ENCODER = "micro-dino"
_ALIKE = 0.5  # Spearman's correlation that maps of one image must have; finite steps draw the colours' signs


def rows(*, sides: int = 64, images: int = 16, bands: int = 6, each: int = 100, rounds: int = 3) -> list[Row]:
    """All three comparisons.

    Args:
        sides: of the square of frequencies, in the middle of the spectrum, that finite steps go through.
        images: a batch's, for layers.
        bands: players.
        each: reals, and fakes, whose AUROC is divided.
        rounds: of timing.
    """
    return [of_a_map(sides, rounds), of_layers(images, rounds), of_bands(bands, each, rounds)]


def of_a_map(side: int, rounds: int) -> Row:
    """The energy of every frequency for one image: one backward pass, and a step each way in two phases for each.

    Raises:
        ArithmeticError: the maps order frequencies differently.
    """
    model = encoders.load(ENCODER, device="cpu")
    image = _pictures(1)
    probe = _probe(model.dim)
    whole = int(image.shape[-1])
    first, middle = (whole - side) // 2, whole // 2
    # Of a coefficient and its conjugate one: the upper half plane.
    places = [(u, v) for u in range(first, middle) for v in range(first, first + side)]
    found: dict[str, NDArray[np.float64]] = {}

    def ours() -> None:
        _, [maps] = logit_maps(model, [probe], image)
        found["ours"] = maps.energy[0]

    def theirs() -> None:
        found["theirs"] = logit_steps(model, [probe], image, places, length=0.05, seed=0)[0, 0]

    ours()
    theirs()
    alike = float(spearmanr(found["ours"][tuple(np.array(places).T)], found["theirs"]).statistic)
    if alike < _ALIKE and len(places) > 500:
        raise ArithmeticError(f"sensitivity map: the sides must agree; their correlation is {alike:.2f}.")
    taken = times({"ours": ours, "theirs": theirs}, rounds)
    return Row(
        name="sensitivity map",
        ratio=ratio(taken["ours"], taken["theirs"]),
        target=500.0,
        ours=statistics.median(taken["ours"]),
        other=statistics.median(taken["theirs"]),
        unit=f"s an image, {len(places)} frequencies of {whole} px; finite steps: {4 * len(places)} passes",
        device=device(),
    )


def of_layers(images: int, rounds: int) -> Row:
    """The vectors behind every block and the output: of one pass, and of a pass each."""
    models = encoders.load_all(with_layers([ENCODER], "all"), device="cpu")
    pictures = _pictures(images)
    found: dict[str, list[NDArray[np.float32]]] = {}

    def ours() -> None:
        found["ours"] = [one.numpy() for of in embed_together(models, pictures) for _, one in of]

    def theirs() -> None:
        found["theirs"] = [model.embed(pictures).numpy() for model in models]

    ours()
    theirs()
    for one, other in zip(found["ours"], found["theirs"], strict=True):
        check_equal("layers", one, other, 1e-4)
    taken = times({"ours": ours, "theirs": theirs}, rounds)
    return Row(
        name="layers of one pass",
        ratio=ratio(taken["ours"], taken["theirs"]),
        target=2.0,
        ours=statistics.median(taken["ours"]),
        other=statistics.median(taken["theirs"]),
        unit=f"s for {images} images behind {len(models) - 1} blocks and the output",
        device=device(),
    )


def of_bands(bands: int, each: int, rounds: int) -> Row:
    """Shapley values of bands for AUROC, from the logits of every coalition: each once, and order after order."""
    draw = generator(0, "attribution benchmark")
    label = np.repeat([0, 1], each).astype(np.int8)
    strength = draw.uniform(0, 1, bands)
    logits = {
        members: label * sum(strength[band] for band in range(bands) if members >> band & 1)
        + draw.standard_normal(2 * each)
        for members in coalitions(bands)
    }
    found: dict[str, NDArray[np.float64]] = {}

    def ours() -> None:
        found["ours"] = exact([auroc(label, logits[members]) for members in coalitions(bands)])

    def theirs() -> None:
        total = np.zeros(bands)
        for order in permutations(range(bands)):
            members, before = 0, auroc(label, logits[0])
            for band in order:
                members |= 1 << band
                now = auroc(label, logits[members])
                total[band] += now - before
                before = now
        found["theirs"] = total / factorial(bands)

    ours()
    theirs()
    check_equal("Shapley values", found["ours"].astype("f4"), found["theirs"].astype("f4"), 1e-6)
    taken = times({"ours": ours, "theirs": theirs}, rounds)
    return Row(
        name="Shapley values",
        ratio=ratio(taken["ours"], taken["theirs"]),
        target=factorial(bands) * bands / 2**bands / 2,
        ours=statistics.median(taken["ours"]),
        other=statistics.median(taken["theirs"]),
        unit=f"s for {bands} bands and {2 * each} images, logits at hand; order by order: {factorial(bands)} orders",
        device=device(),
    )


def _pictures(count: int) -> torch.Tensor:
    pixels = np.stack(list(micro("test").images("Real")[:count]))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def _probe(dim: int) -> LinearProbe:
    draw = generator(0, "attribution benchmark", "probe")
    return LinearProbe(
        mean=np.zeros(dim), scale=np.ones(dim), weight=draw.standard_normal(dim), bias=0.0, threshold=0.0, slope=1.0,
        intercept=0.0, C=None, validation="split",
    )  # fmt: skip
