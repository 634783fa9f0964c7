"""The switches of the published protocol: names, sets of them, and what they are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandprobe.errors import InputError
from bandprobe.protocol import CORRECTED, SWITCHES, THESIS, Protocol


def test_everything_is_off_by_default_and_the_thesis_turns_on_all_but_the_sigmoid() -> None:
    assert Protocol.parse("corrected") == CORRECTED == Protocol()
    assert CORRECTED.on == ()
    assert set(SWITCHES) - set(THESIS.on) == {"sigmoid_head"}
    assert len(SWITCHES) == 12


def test_a_name_turns_a_switch_on_and_a_minus_turns_it_off() -> None:
    assert Protocol.parse("abs_uint8, threshold_half").on == ("abs_uint8", "threshold_half")
    assert Protocol.parse(["thesis", "-abs_uint8"]).on == tuple(n for n in THESIS.on if n != "abs_uint8")


@given(st.sets(st.sampled_from(SWITCHES)))
def test_words_round_trip(names: set[str]) -> None:
    protocol = Protocol.parse(sorted(names))
    assert set(protocol.on) == names
    assert Protocol.parse(str(protocol)) == protocol


def test_an_unknown_switch_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no switch 'abs_uint'\. Did you mean 'abs_uint8'"):
        Protocol.parse("abs_uint")
    with pytest.raises(InputError, match="no switch '-thesis'"):
        Protocol.parse("-thesis")
