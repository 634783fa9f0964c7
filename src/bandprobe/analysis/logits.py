"""What probes say of embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import InputError
from bandprobe.probes import LinearProbe, ProbeFile

_BITS = 30  # of a logit that count; float32, which vectors are in, has 24


def logits_of(probes: Sequence[ProbeFile], embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """What probes say of the same images; all linear ones in one product.

    Args:
        probes: of the embeddings' encoder.
        embedding: shape (n, dim).

    Returns:
        Raw scores, higher for fake, shape (probes, n).

    Raises:
        InputError: a linear probe for vectors of another length.
    """
    for file in probes:
        if isinstance(file.probe, LinearProbe) and len(file.probe.weight) != embedding.shape[1]:
            raise InputError(
                f"probe {file.trained_on!r} of {file.encoder!r} takes {len(file.probe.weight)} values and its "
                f"encoder gives {embedding.shape[1]}; it belongs to another encoder."
            )
    logits = np.empty((len(probes), len(embedding)))
    linear = {row: file.probe for row, file in enumerate(probes) if isinstance(file.probe, LinearProbe)}
    if linear:
        directions = np.stack([probe.direction for probe in linear.values()])
        offsets = np.array([[probe.offset] for probe in linear.values()])
        # A product rounds by where in it a vector stands: without the last bits equal vectors tie, in any order.
        mantissa, exponent = np.frexp(directions @ embedding.T.astype(np.float64) + offsets)
        logits[list(linear)] = np.ldexp(np.rint(np.ldexp(mantissa, _BITS)), exponent - _BITS)
    for row, file in enumerate(probes):
        if row not in linear:
            logits[row] = file.probe.logits(embedding)
    return logits
