"""The methods paragraph: what it says, what it cites, and that what it gives can be pasted."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from page_run import opened
from picture_run import EVIL
from report_runs import minimal_results, photo_record, photo_results, spectra, write_run

from bandprobe.filters.degradations import graded
from bandprobe.report.citations import bibtex, works
from bandprobe.report.methods import methods
from bandprobe.report.prose import Code, Name, latex, markdown
from bandprobe.report.run_directory import Run, prepare_results, read_run


def entries(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Entries by key, with kind and fields; fails where braces do not balance or a key comes twice."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    at = 0
    while (start := text.find("@", at)) >= 0:
        kind = re.match(r"@(\w+)\{", text[start:])[1]
        end, depth = start + len(kind) + 2, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        body = text[start + len(kind) + 2 : end - 1]
        key, _, rest = body.partition(",")
        fields, place = {}, 0
        while field := re.compile(r"\s*(\w+)\s*=\s*\{").match(rest, place):
            stop, depth = field.end(), 1
            while depth:
                depth += {"{": 1, "}": -1}.get(rest[stop], 0)
                stop += 1
            fields[field[1]] = " ".join(rest[field.end() : stop - 1].split())
            place = stop + 1 if rest[stop : stop + 1] == "," else stop
        assert rest[place:].strip() == "", f"{key}: {rest[place:]!r} is no field"
        assert key not in found, f"{key} twice"
        found[key] = (kind, fields)
        at = end
    return found


NEEDED = {
    "article": {"author", "title", "journal", "year"}, "inproceedings": {"author", "title", "booktitle", "year"},
    "book": {"author", "title", "publisher", "year"}, "misc": {"author", "title"},
    "incollection": {"author", "title", "booktitle", "publisher", "year"},
}  # fmt: skip


def test_every_entry_is_whole():
    found = entries(bibtex(works(), "1.2.3"))
    assert set(found) == set(works())
    for key, (kind, fields) in found.items():
        assert NEEDED[kind] <= set(fields), key
        if key != "bandprobe":
            assert re.fullmatch(r"(19|20)\d\d", fields["year"]), key
            assert fields["year"] in key
            assert works()[key].label.endswith(f", {fields['year']}")
            surname = fields["author"].split(",")[0]
            assert works()[key].label.startswith(surname.replace("{\\'e}", "é"))
    assert found["bandprobe"][1]["note"] == "Software, version 1.2.3"


def run_of(table: pd.DataFrame, record: dict | None = None, **analyses: pd.DataFrame) -> Run:
    return Run(None, prepare_results(table), record or {}, analyses=analyses)


def test_what_is_cited_is_given_in_every_form(pictured):
    for run in (
        read_run(pictured.folder),
        run_of(minimal_results()),
        run_of(photo_results(), photo_record()),
    ):
        found = methods(run)
        keys = found.keys
        assert list(entries(found.bibtex)) == keys
        assert set(re.findall(r"@(\w+)", found.markdown)) >= set(keys)
        cited = [key for group in re.findall(r"\\citep\{([\w,]+)\}", found.latex) for key in group.split(",")]
        assert list(dict.fromkeys(cited)) == keys
        assert all(works()[key].label in found.plain for key in keys)
        assert len(keys) == len(set(keys))


def test_only_what_was_used_is_cited(tmp_path):
    least = set(methods(run_of(minimal_results())).keys)
    assert {"wustl2024", "bandprobe", "delong1988", "sun2014", "wilson1927", "platt1999"} <= least
    assert (
        not {"gretton2012", "huh2024", "oquab2024", "yang2020", "ricker2022", "roy2007", "gonzalez2018"}
        & least
    )
    entropy = pd.DataFrame({"measure": ["effective_rank", "cka"]})
    more = set(methods(run_of(minimal_results(), mmd=pd.DataFrame({"n": [1]}), entropy=entropy)).keys)
    assert more - least == {"gretton2012", "benjamini1995", "roy2007", "garrido2023", "kornblith2019"}
    assert "gonzalez2018" in methods(run_of(photo_results())).keys
    assert "zhu2023" in methods(run_of(minimal_results()), ["genimage"]).keys
    fda = minimal_results().assign(filter="fda:0.01:reference=Real")
    assert "yang2020" in methods(run_of(pd.concat([minimal_results(), fda]))).keys
    write_run(tmp_path, minimal_results(), {}, spectra({"ProGAN": ("gan", "faces")}, 32))
    assert "ricker2022" in methods(read_run(tmp_path)).keys


def test_degradations_are_named_by_family_and_not_one_by_one():
    low = "lowpass:0.5nyq"
    specs = ["none", "jpeg:95", "jpeg:85", "blur:1:bits=8", "blur:2:bits=8"]
    after = [low, f"{low}+jpeg:95", f"{low}+jpeg:30"]
    tested = pd.concat([minimal_results().assign(filter=spec) for spec in [*specs, *after, "flip"]])
    means = pd.DataFrame(
        [
            (before, one.degradation, one.severity, one.spec)
            for before, grid in graded([*specs, *after]).items()
            for one in grid
        ],
        columns=["before", "degradation", "severity", "filter"],
    )
    text = methods(run_of(tested, robustness_means=means)).plain
    assert "were also degraded (jpeg, blur; up to 2 severities each, of the preset robustness)" in text
    assert f"(Hendrycks and Dietterich, 2019), alone and after {low};" in text
    assert "Further conditions: flip." in text
    assert "Kendall" not in text
    ranked = methods(run_of(tested, robustness_means=means, robustness_ranks=means))
    assert {"hendrycks2019", "kendall1945"} <= set(ranked.keys)
    plain = methods(run_of(tested)).plain  # without the analysis they are conditions like others
    assert "jpeg:95, jpeg:85" in plain
    assert "degraded" not in plain


@pytest.mark.parametrize(
    ("name", "source", "keys"),
    [
        ("dinov2-giant", "dinov2-giant", {"oquab2024"}),
        ("dinov3-vits16", "dinov3-vits16", {"simeoni2025"}),
        ("openclip-vit-g-14", "openclip-vit-g-14", {"cherti2023", "schuhmann2022", "radford2021"}),
        ("clip-vit-l-14", "clip-vit-l-14", {"radford2021"}),
        ("mine", "facebook/dinov2-small", {"oquab2024"}),
        ("siglip2-base-patch16-224", "siglip2-base-patch16-224", {"tschannen2025"}),
        ("mae-base", "mae-base", {"he2022"}),
        ("micro-clip", "micro-clip", set()),
        ("spectral", "spectral", set()),
    ],
)
def test_encoders_bring_their_papers(name, source, keys):
    known = {
        "oquab2024",
        "simeoni2025",
        "cherti2023",
        "schuhmann2022",
        "radford2021",
        "tschannen2025",
        "he2022",
    }
    record = {"encoders": [{"name": name, "source": source, "dim": 8}]}
    found = methods(run_of(minimal_results().assign(encoder=name), record))
    assert set(found.keys) & known == keys


def test_numbers_are_the_records_own():
    record = photo_record()
    text = methods(run_of(photo_results(), record)).plain
    counts = pd.DataFrame(record["data"]["counts"])
    for split, word in (("train", "training"), ("val", "validation"), ("test", "test")):
        of = counts[counts["split"] == split]
        real, fake = (
            of.loc[of["generator"] == "Real", "n"].sum(),
            of.loc[of["generator"] != "Real", "n"].sum(),
        )
        assert f"{real:,} real and {fake:,} generated images for {word}" in text
    assert "224 × 224" in text
    assert "38 cut-offs from 1 to 185 px (0.0089 to 1.7 of Nyquist)" in text
    assert "2 images that could not be used were left out" in text
    assert text.endswith("Command: bandprobe study photos.toml --out runs/photos.")


def test_switches_of_the_published_protocol_change_what_is_said():
    plain = methods(run_of(minimal_results(), mmd=pd.DataFrame({"n": [1]}))).plain
    assert "logistic regression" in plain
    assert "unbiased squared MMD" in plain
    thesis = methods(
        run_of(
            minimal_results(), {"protocol": "thesis", "geometry": "squash:224"}, mmd=pd.DataFrame({"n": [1]})
        )
    ).plain
    assert "abs_uint8" in thesis
    assert "logistic regression" not in thesis
    assert "unbiased" not in thesis
    assert "A probability of one half is the threshold" in thesis
    assert "means over mini-batches" in thesis
    assert "ImageNet’s mean" in thesis


def test_names_cannot_break_out():
    wild = r"\input{/etc/passwd}%$x_1^2#&~|<b>`]"
    text = latex([[Name(wild), Code(wild)]])
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|texttt)\b", "", text
    )
    assert not re.search(r"(?<!\\)[%$#&_~^]", bare)
    assert r"\input" not in text
    assert text.count("{") == text.count("}")
    assert markdown([[Name("a*b_[x](y)")]]) == r"a\*b\_\[x\](y)"
    assert markdown([[Code("a`b")]]) == "`` a`b ``"
    assert "\n" not in latex([[Name("line\nbreak\x1b[31m")]])


@pytest.mark.parametrize("form", ["plain", "latex", "markdown"])
def test_each_form_is_shown_and_copied(chromium, pictured, form):
    expected = methods(read_run(pictured.folder))
    with opened(chromium, pictured.page, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.locator("#methods-form").select_option(value=form)
        text = page.locator("#methods-text")
        assert text.inner_text() == getattr(expected, form)
        page.get_by_role("button", name="Copy the paragraph").click()
        page.wait_for_function("document.getElementById('methods-copied').textContent !== ''")
        said = page.locator("#methods-copied").inner_text()
        assert said.startswith(("Copied", "Selected"))
        if said == "Copied.":
            assert page.evaluate("navigator.clipboard.readText()") == getattr(expected, form)
        assert page.locator("#methods-bibtex").evaluate("(e) => e.textContent") == expected.bibtex


def test_hostile_names_and_commands_stay_text(pictured):
    found = methods(read_run(pictured.folder))
    assert EVIL in found.plain
    assert r"\textless{}img" in found.latex
    assert r"evil\$(x).toml" in found.latex
