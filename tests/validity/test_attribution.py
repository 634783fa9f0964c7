"""Gradient, Shapley values and attack on planted artefacts: they point at the planted band."""

from __future__ import annotations

import pandas as pd
import pytest

from bandprobe.selftest.band_attribution import WAYS, BandAttribution, attribution


@pytest.mark.long
def test_planted_bands_are_pointed_at() -> None:
    found = attribution(10)
    assert len(found.cases) == 10
    assert (found.cases["auroc"] >= 0.8).all()
    assert found.passed, found.lines()


def test_a_share_below_what_is_asked_for_does_not_pass() -> None:
    cases = pd.DataFrame({way: [True] * 20 for way in WAYS})
    assert BandAttribution(cases).passed
    cases.loc[:9, "attack"] = False
    assert BandAttribution(cases).shares == {"gradient": (20, 20), "shapley": (20, 20), "attack": (10, 20)}
    assert not BandAttribution(cases).passed
