"""P-values of many tests at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError


def benjamini_hochberg(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """P-values adjusted so that calling q <= x significant keeps the false discovery rate at x.

    With the m p-values in rising order, `q_(i) = min over j >= i of p_(j) m / j`, at most 1.

    Args:
        p_values: shape (m,), in [0, 1]; NaN stands for a test that was not made and does not count.

    Returns:
        float64, shape (m,), in the order given; NaN where p is NaN.

    Raises:
        InputError: a value outside [0, 1], or not one dimension.

    Source:
        Benjamini & Hochberg 1995, *Controlling the False Discovery Rate*, J. R. Stat. Soc. B 57.
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1:
        raise InputError(f"p_values must have shape (m,); got {p.shape}.")
    made = np.flatnonzero(~np.isnan(p))
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise InputError(f"p_values must lie in [0, 1]; got {p[made].min():g} to {p[made].max():g}.")
    falling = made[np.argsort(-p[made], kind="stable")]
    q: npt.NDArray[np.float64] = np.full(len(p), np.nan)
    rates = p[falling] * len(made) / np.arange(len(made), 0, -1)
    q[falling] = np.minimum.accumulate(np.minimum(rates, 1))
    return q
