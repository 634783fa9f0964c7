"""No parser fails otherwise than with an error of the package, in one line: whatever it is given."""

from __future__ import annotations

import re
from pathlib import Path

import parsers
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from parsers import PARSERS, check

from bandprobe.errors import FilterError

SEEDS = parsers.seeds()
FOUND = Path(__file__).parent / "found"  # what fuzzing found, a folder for each parser

TEXTUAL = ("spec", "name", "words", "study", "csv", "saved")
QUICK, LONG = 100, 5000  # inputs of each parser


def pieces(name: str) -> st.SearchStrategy[bytes]:
    """Pieces of whole inputs and what breaks them, joined."""
    parts = sorted({word for seed in SEEDS[name] for word in _words(seed)})
    hostile = [
        b"\0",
        b"\n",
        b"\r",
        b'"',
        b"'",
        b"%",
        b"\\",
        b"\xff",
        b"..",
        b"-",
        b"1e999",
        b"nan",
        b"9" * 5000,
        b"  ",
    ]
    return st.lists(st.sampled_from([*parts, *hostile]) | st.binary(max_size=6), max_size=14).map(b"".join)


def _words(seed: bytes) -> list[bytes]:
    return re.findall(rb"\w+|\W", seed)


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A whole input cut off, with bytes changed, put in or taken out."""
    data = bytearray(draw(st.sampled_from(SEEDS[name])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(("flip", "cut", "insert", "remove", "zero")))
        if how == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del data[at:]
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif how == "remove":
            del data[at : at + draw(st.integers(1, 9))]
        else:
            data[at : at + 4] = bytes(len(data[at : at + 4]))
    return bytes(data)


def inputs(name: str) -> st.SearchStrategy[bytes]:
    if name in TEXTUAL:
        return pieces(name) | damaged(name) | st.text(max_size=40).map(str.encode)
    return damaged(name) | st.binary(max_size=64)


def fuzz(name: str, count: int) -> None:
    @settings(
        max_examples=count,
        derandomize=True,  # the same inputs every time
        database=None,
        deadline=None,  # on a busy machine a matter of luck: `check` counts the processor's time
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(name))
    @example(b"")
    def holds(data: bytes) -> None:
        check(PARSERS[name], data)

    holds()


@pytest.mark.parametrize("name", PARSERS)
def test_no_input_breaks_a_parser(name: str) -> None:
    fuzz(name, QUICK)


@pytest.mark.trust
@pytest.mark.parametrize("name", PARSERS)
def test_no_input_of_many_breaks_a_parser(name: str) -> None:
    fuzz(name, LONG)


@pytest.mark.parametrize("name", PARSERS)
def test_whole_inputs_are_taken(name: str) -> None:
    taken = [check(PARSERS[name], seed) for seed in SEEDS[name]]
    assert any(taken) or name in ("name", "layer")  # whose files are not there, or are of another encoder


def test_what_fuzzing_found_stays_mended() -> None:
    for path in sorted(FOUND.glob("*/*")):
        check(PARSERS[path.parent.name], path.read_bytes())


def test_links_of_a_chain_do_not_multiply_without_end() -> None:
    with pytest.raises(FilterError, match="at most 10,000 filters together"):
        PARSERS["spec"](b"+".join([b"lowpass:1..1000/1px"] * 6))
