"""A test of whether paired differences lie to one side of zero, with nothing assumed of their spread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError

_EXACT = 14  # differences up to which every pattern of signs is tried
_DRAWS = 10_000
_ROUNDING = 1e-12


def sign_flip_p(differences: npt.ArrayLike, generator: np.random.Generator) -> float:
    """Two-sided p of the mean, by flipping signs: were there no effect, each difference could as well be its negative.

    Args:
        differences: shape (n,), one for each unit, e.g. a generator; NaN are left out.
        generator: where signs come from; of up to 14 differences all 2^n patterns are tried and none is drawn.

    Returns:
        The share of patterns whose mean is at least as far from zero; NaN without any difference. With n of them the
        smallest p is 2 / 2^n: five cannot reach 0.05.

    Raises:
        InputError: not one dimension.

    Source:
        Fisher 1935, *The Design of Experiments*, section 21.
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1:
        raise InputError(f"differences must have shape (n,); got {values.shape}.")
    values = values[~np.isnan(values)]
    n = len(values)
    if not n:
        return float("nan")
    observed = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
    if n <= _EXACT:
        patterns = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return float((np.abs((1 - 2 * patterns) @ values) >= observed).mean())
    signs = 1 - 2 * generator.integers(0, 2, (_DRAWS, n))
    return float((1 + (np.abs(signs @ values) >= observed).sum()) / (1 + _DRAWS))
