"""The grammar: canonical prints, ranges, presets, and every way to get it wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandprobe.errors import FilterError
from bandprobe.filters import KINDS, Cutoff, Filter, Step, expand, parse

cutoffs = st.builds(
    Cutoff,
    st.floats(min_value=1e-6, max_value=1e6, allow_nan=False) | st.integers(1, 500).map(float),
    st.sampled_from(["px", "nyq", "cpp"]),
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    kind = KINDS[draw(st.sampled_from(sorted(set(KINDS) - {"none"})))]
    choices = {
        "order": st.integers(1, 20),
        "width": cutoffs,
        "dc": st.sampled_from(["keep", "zero"]),
        "bits": st.sampled_from([None, 8]),
    }
    keys = {key: draw(choices[key]) for key in kind.keys}
    return Step(kind.name, draw(cutoffs) if kind.cutoff else None, **keys)


@given(st.lists(steps(), min_size=1, max_size=4).map(lambda chain: Filter(tuple(chain))))
def test_printing_and_parsing_round_trip(spec: Filter) -> None:
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("lowpass:30.0px", "lowpass:30px"),
        ("lowpass:30px:order=1", "lowpass:30px"),
        ("lowpass:.250nyq:order=2", "lowpass:0.25nyq:order=2"),
        ("bandpass:40px:width=20.0px", "bandpass:40px"),
        ("bandpass:40px:bits=8:width=10px:order=3", "bandpass:40px:order=3:width=10px:bits=8"),
        ("highpass:10px:dc=keep", "highpass:10px"),
        ("highpass:10px:bits=8:dc=zero", "highpass:10px:dc=zero:bits=8"),
        ("lowpass:10px:dc=zero", "lowpass:10px"),  # its textbook gain at DC is 1: the same mask
        ("lowpass:0.0000001cpp", "lowpass:0.0000001cpp"),
        (" identity ", "identity"),
        ("none", "none"),
        ("none+lowpass:5px", "lowpass:5px"),
        ("lowpass:30px + highpass:5px", "lowpass:30px+highpass:5px"),
    ],
)
def test_canonical_form(written: str, canonical: str) -> None:
    assert str(parse(written)) == canonical


def test_thesis_preset_is_identity_and_38_radii() -> None:
    names = [str(spec) for spec in expand("thesis")]
    assert names == ["identity", "lowpass:1px", *(f"lowpass:{r}px" for r in range(5, 186, 5))]
    assert len(names) == 39


def test_ranges_are_exact_and_include_their_end() -> None:
    assert [str(f) for f in expand("highpass:0.1..0.3/0.1nyq:order=2")] == [
        "highpass:0.1nyq:order=2", "highpass:0.2nyq:order=2", "highpass:0.3nyq:order=2",
    ]  # fmt: skip
    assert [str(f) for f in expand("lowpass:1..6/2px")] == ["lowpass:1px", "lowpass:3px", "lowpass:5px"]


def test_repeats_are_given_once_in_first_order() -> None:
    specs = ["none", "lowpass:30px", "lowpass:30.0px:order=1,identity,", "none"]
    assert [str(f) for f in expand(specs)] == ["none", "lowpass:30px", "identity"]


def test_a_sweep_shares_all_but_the_cutoff() -> None:
    assert {f.sweep for f in expand("lowpass:5..50/5px:order=2")} == {"lowpass:order=2"}
    assert parse("lowpass:30px").sweep != parse("highpass:30px").sweep


def test_slug_is_fit_for_a_file_name() -> None:
    assert parse("lowpass:0.25nyq:order=2").slug == "lowpass-0-25nyq-order-2"


def test_units() -> None:
    assert Cutoff(0.5, "nyq").px((224, 448)) == 56
    assert Cutoff(0.25, "cpp").px((224, 448)) == 56
    assert Cutoff(56, "px").nyq((224, 448)) == 0.5


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("lowpas:30px", ["unknown filter 'lowpas'", "'lowpass'"]),
        ("lowpass:30px+thesis", ["unknown filter 'thesis'", "chain"]),
        ("lowpass", ["needs a cut-off", "lowpass:30px"]),
        ("lowpass:order=2", ["needs a cut-off"]),
        ("lowpass:30", ["'30'", "px, nyq or cpp"]),
        ("lowpass:-3px", ["'-3px'"]),
        ("lowpass:0px", ["above 0"]),
        ("lowpass:30px:order=0", ["order", "'0'"]),
        ("lowpass:30px:order=1.5", ["order"]),
        ("lowpass:30px:width=3px", ["lowpass takes order=, bits=", "'width=3px'"]),
        ("lowpass:30px:order=2:order=2", ["twice"]),
        ("highpass:3px:dc=off", ["keep or zero", "'off'"]),
        ("highpass:3px:bits=7", ["bits must be 8"]),
        ("bandpass:3px:width=0px", ["the width must be above 0"]),
        ("identity:30px", ["identity takes bits=", "'30px'"]),
        ("none:bits=8", ["none takes no key"]),
        ("lowpass:50..5/5px", ["must rise"]),
        ("lowpass:5..50/0px", ["positive steps"]),
        ("lowpass:1..1000000/1px", ["at most"]),
        ("", ["no filter is given"]),
    ],
)
def test_errors_say_what_came_and_the_way_out(spec: str, words: list[str]) -> None:
    with pytest.raises(FilterError) as caught:
        expand(spec)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_one_filter_is_not_several() -> None:
    with pytest.raises(FilterError, match="39 filters"):
        parse("thesis")
    with pytest.raises(FilterError, match="no filter"):
        expand([])
