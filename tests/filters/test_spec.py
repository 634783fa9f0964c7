"""The grammar: canonical prints, ranges, presets, and every way to get it wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandprobe.errors import FilterError
from bandprobe.filters import KINDS, Cutoff, Filter, Step, check, expand, parse
from bandprobe.filters.kinds import MASKS, Span
from bandprobe.filters.masks import gain
from bandprobe.filters.presets import PARTS

cutoffs = st.builds(
    Cutoff,
    st.floats(min_value=1e-6, max_value=1e6, allow_nan=False) | st.integers(1, 500).map(float),
    st.sampled_from(["px", "nyq", "cpp"]),
)


spans = st.tuples(cutoffs, cutoffs).map(
    lambda pair: Span(*sorted(one.value for one in pair), unit=pair[0].unit)
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    kind = KINDS[draw(st.sampled_from(sorted(set(KINDS) - {"none"})))]
    mask = draw(st.sampled_from(MASKS)) if kind.name == "inject" else MASKS[0]
    choices = {
        "order": st.integers(1, 20),
        "width": cutoffs,
        "dc": st.sampled_from(["keep", "zero"]),
        "bits": st.sampled_from([None, 8]),
        "reference": names,
        "split": st.sampled_from(["train", "val", "test"]),
        "seed": st.integers(0, 2**40),
    }
    of_mask = KINDS[mask].keys if kind.name == "inject" else kind.keys
    taken = [key for key in kind.keys if key not in ("order", "width") or key in of_mask]
    keys = {key: draw(choices[key]) for key in taken}
    number = None
    if kind.number and kind.number.whole:
        number = float(draw(st.integers(int(kind.number.low), int(kind.number.high))))
    elif kind.number:
        number = draw(st.floats(kind.number.low, kind.number.high, exclude_min=kind.number.above))
    return Step(
        kind.name,
        draw(cutoffs) if kind.cutoff else None,
        number=None if number is None else number + 0.0,
        span=draw(spans) if kind.argument == "LOW..HIGH" else None,
        mask=mask,
        **keys,
    )


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
        ("fda:0.010:seed=0:split=train:reference=Real", "fda:0.01:reference=Real"),
        (
            "fda:.5:reference=a/b.png:split=val:seed=3:bits=8",
            "fda:0.5:reference=a/b.png:split=val:seed=3:bits=8",
        ),
        ("inject:bandpass:40px:reference=Real:width=20px", "inject:40px:reference=Real"),
        ("inject:ideal-lowpass:0.1nyq:reference=Real", "inject:ideal-lowpass:0.1nyq:reference=Real"),
        ("fda:0.1:reference=a%2cb%3A%25%2B.png", "fda:0.1:reference=a%2Cb%3A%25%2B.png"),
        ("fda:0.1:reference=x=y é.png", "fda:0.1:reference=x=y é.png"),
        ("random-lowpass:30.0..150px:order=1:seed=0", "random-lowpass:30..150px"),
        (
            "random-bandstop:.1..1.0nyq:width=0.25nyq:order=1:seed=0",
            "random-bandstop:0.1..1nyq:width=0.25nyq",
        ),
        ("jpeg:75.0", "jpeg:75"),
        ("jpeg:75 + lowpass:30px+flip", "jpeg:75+lowpass:30px+flip"),
        ("noise:0.50:seed=2", "noise:0.5:seed=2"),
    ],
)
def test_canonical_form(written: str, canonical: str) -> None:
    assert str(parse(written)) == canonical


def test_thesis_preset_is_identity_and_38_radii() -> None:
    names = [str(spec) for spec in expand("thesis")]
    assert names == ["identity", "lowpass:1px", *(f"lowpass:{r}px" for r in range(5, 186, 5))]
    assert len(names) == 39


def test_claims_preset_holds_the_conditions_of_every_claim_and_fits_its_grid() -> None:
    specs = expand("claims")
    names = {str(spec) for spec in specs}
    assert len(names) == len(specs) == 154
    assert {"identity", "jpeg:75+identity", "jpeg:75+ideal-lowpass:0.9nyq", "lowpass:0.02nyq"} <= names
    middle = "325nyq:width=0.35nyq"
    for ideal in ("", "ideal-"):
        for mask in ("lowpass:0.15nyq", "highpass:0.15nyq", "lowpass:0.5nyq", f"bandstop:0.{middle}",
                     f"bandpass:0.{middle}", "bandstop:0.75nyq:width=0.5nyq"):  # fmt: skip
            assert {f"{ideal}{mask}", f"{ideal}{mask}:bits=8", f"jpeg:75+{ideal}{mask}"} <= names
            assert f"jpeg:75+{ideal}{mask}:bits=8" in names
        ladder = [spec.cutoff.value for spec in specs if spec.sweep == f"{ideal}lowpass" and spec.cutoff]
        assert len(ladder) == 12
        assert (min(ladder), max(ladder)) == (0.02, 0.9)
    for spec in specs:
        check(spec, (224, 224))


def test_a_preset_is_a_link_that_stands_for_many() -> None:
    chained = [str(spec) for spec in expand("jpeg:75+thesis+flip")]
    assert chained == [f"jpeg:75+{spec}+flip" for spec in map(str, expand("thesis"))]
    assert expand("none+thesis") == expand("thesis")
    with pytest.raises(FilterError, match="39 filters"):
        parse("lowpass:30px+thesis")


def test_recipes_preset_fits_any_grid_and_its_bands_part_the_spectrum() -> None:
    specs = expand("recipes")
    assert len(specs) == 12
    for size in ((64, 64), (224, 224), (518, 518), (96, 128)):
        for spec in specs:
            check(spec, size)
        whole = np.sum([gain(parse(part).steps[0], size) for part in PARTS], axis=0).ravel()
        np.testing.assert_array_equal(whole, [3, *[1] * (len(whole) - 1)])  # all keep the mean


def test_what_a_filter_needs() -> None:
    assert [str(f) for f in expand("lowpass:5px,noise:5,fda:0:reference=r,flip") if f.needs_ids] == [
        "noise:5", "fda:0:reference=r",
    ]  # fmt: skip
    chain = parse("jpeg:75+inject:9px:reference=r")
    assert (chain.needs_references, chain.needs_ids, chain.transforms) == (True, True, True)
    assert (parse("jpeg:75+flip").transforms, parse("none").transforms) == (False, False)
    assert parse("identity").transforms
    assert chain.cutoff == Cutoff(9)
    assert chain.sweep == "jpeg:75+inject:reference=r"
    assert parse("random-lowpass:3..9px").cutoff is None


def test_ranges_are_exact_and_include_their_end() -> None:
    assert [str(f) for f in expand("highpass:0.1..0.3/0.1nyq:order=2")] == [
        "highpass:0.1nyq:order=2", "highpass:0.2nyq:order=2", "highpass:0.3nyq:order=2",
    ]  # fmt: skip
    assert [str(f) for f in expand("inject:10..30/10px:reference=Real")] == [
        "inject:10px:reference=Real", "inject:20px:reference=Real", "inject:30px:reference=Real",
    ]  # fmt: skip
    assert [str(f) for f in expand("jpeg:50..90/20+flip")] == ["jpeg:50+flip", "jpeg:70+flip", "jpeg:90+flip"]
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
        ("lowpass:30px+thesis:2", ["the preset 'thesis' in 'lowpass:30px+thesis:2' takes nothing"]),
        ("robustness-jpeg:6", ["the preset 'robustness-jpeg' in 'robustness-jpeg:6' takes nothing"]),
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
        ("lowpass:50..5/5", ["cannot read the cut-off"]),
        ("", ["no filter is given"]),
        ("fda:0.01", ["needs a reference", "reference=Real"]),
        ("fda:reference=Real", ["needs a beta"]),
        ("fda:0.7:reference=Real", ["beta must be a number from 0 to 0.5", "'0.7'"]),
        ("fda:-0.1:reference=Real", ["beta must be a number from 0 to 0.5", "'-0.1'"]),
        ("fda:1px:reference=Real", ["beta must be", "'1px'"]),
        ("fda:0.1:reference=", ["got nothing"]),
        ("fda:0.1:reference=a:split=tset", ["train, val or test", "'tset'"]),
        ("fda:0.1:reference=a:seed=-1", ["seed must be a whole number from 0", "'-1'"]),
        ("inject:40px", ["needs a reference"]),
        ("inject:reference=Real", ["needs a cut-off"]),
        ("inject:lowpass:reference=Real", ["needs a cut-off"]),
        ("inject:bandstop:40px:reference=Real", ["mask must be one of bandpass", "'bandstop'"]),
        ("inject:lowpass:40px:width=3px:reference=Real", ["inject takes order=, reference=", "'width=3px'"]),
        ("random-lowpass:30px", ["'30px'", "random-lowpass:30..150px"]),
        ("random-lowpass:150..30px", ["two rising cut-offs"]),
        ("random-lowpass", ["needs a range of cut-offs"]),
        ("random-bandstop:10px", ["'10px'", "random-bandstop:10..100px"]),
        ("random-bandstop:1..2px:dc=zero", ["takes order=, width=, seed=, bits="]),
        ("jpeg", ["needs a quality", "jpeg:75"]),
        ("jpeg:0", ["a whole number from 1 to 100", "'0'"]),
        ("jpeg:75.5", ["a whole number from 1 to 100"]),
        ("jpeg:1..200/50", ["a whole number from 1 to 100"]),
        ("blur:0", ["above 0", "'0'"]),
        ("resize:2", ["above 0 and at most 1"]),
        ("noise:300", ["from 0 to 255"]),
        ("flip:3", ["flip takes no key", "'3'"]),
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
