from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from bandprobe.errors import InputError
from bandprobe.metrics.multiplicity import benjamini_hochberg


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_equal_to_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)


def test_tests_not_made_do_not_count() -> None:
    p = [0.04, np.nan, 0.001, 0.3, np.nan]
    q = benjamini_hochberg(p)
    np.testing.assert_allclose(q[[0, 2, 3]], false_discovery_control([0.04, 0.001, 0.3]))
    assert np.isnan(q[[1, 4]]).all()
    assert benjamini_hochberg([]).shape == (0,)
    assert np.isnan(benjamini_hochberg([np.nan])).all()


@pytest.mark.parametrize("p", [[0.2, 1.1], [-0.1], [[0.1], [0.2]]])
def test_what_is_no_p_value_is_refused(p: list[float]) -> None:
    with pytest.raises(InputError, match="p_values must"):
        benjamini_hochberg(p)
