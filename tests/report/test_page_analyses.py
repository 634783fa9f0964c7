"""Matrix, distances, entropy and bands of the page in a browser: every switch against the run's tables."""

from __future__ import annotations

from itertools import product

import pytest
from page_run import GENERATORS, Figure, bands_tables, entropy_table, label_of, mmd_table


def test_matrix_is_the_mean_over_cells(page, report):
    table = report[1].reset_index()
    matrix = Figure(page, "matrix").choose(encoder="enc-b", metric="Accuracy", panel="own generator")
    rows, columns = (matrix.layout[axis]["ticktext"] for axis in ("yaxis", "xaxis"))
    z = matrix.traces[0]["z"]
    own = table[
        (table["trained_on"] == table["tested_on"])
        & (table["metric"] == "accuracy")
        & (table["encoder"] == "enc-b")
    ]
    for train, spec in product(("none", "lowpass:12px"), ("identity", "lowpass:40px")):
        expected = own[(own["train_filter"] == train) & (own["filter"] == spec)]["value"].mean()
        assert z[rows.index(train)][columns.index(spec)] == pytest.approx(expected, abs=1e-6)
    matrix.choose(panel="GAN → diffusion")
    part = table[
        (table["trained_on"] == "StyleGAN2")
        & (table["family_to"] == "diffusion")
        & (table["metric"] == "accuracy")
        & (table["encoder"] == "enc-b")
    ]
    expected = part[(part["train_filter"] == "none") & (part["filter"] == "lowpass:4px")]["value"].mean()
    assert matrix.traces[0]["z"][rows.index("none")][columns.index("lowpass:4px")] == pytest.approx(
        expected, abs=1e-6
    )


def test_distances_follow_their_switches_and_tell_p_q_and_n(page):
    table = mmd_table()
    mmd = Figure(page, "mmd").choose(
        encoder="enc-b",
        experiment="Filtered against unfiltered images",
        view="curves against the high-pass cut-off",
    )
    rows = table[(table["encoder"] == "enc-b") & (table["experiment"] == "no_filter_vs_filter")]
    for name in GENERATORS:
        mine = rows[(rows["source"] == name) & rows["filter"].str.startswith("highpass")].sort_values(
            "cutoff_px"
        )
        found = mmd.lines()[label_of(name)]
        assert list(found.values()) == pytest.approx(mine["mmd2"].tolist(), rel=1e-5)
        trace = next(t for t in mmd.traces if t.get("meta") == "curve" and t["name"] == label_of(name))
        hollow = [symbol.endswith("-open") for symbol in trace["marker"]["symbol"]]
        assert hollow == (mine["q_value"] >= 0.05).tolist()
    mmd.choose(experiment="Fakes against reals, both under the filter", view="heat map of all filters")
    rows = table[(table["encoder"] == "enc-b") & (table["experiment"] == "fake_vs_real")]
    columns, sources = (mmd.layout[axis]["ticktext"] for axis in ("xaxis", "yaxis"))
    at = columns.index("lowpass:40px")
    row = rows[(rows["filter"] == "lowpass:40px") & (rows["source"] == "StyleGAN2")].iloc[0]
    place = next(i for i, name in enumerate(sources) if name.startswith("StyleGAN2"))
    assert mmd.traces[0]["z"][place][at] ** 2 == pytest.approx(row["mmd2"], rel=1e-5)
    said = mmd.hover(at, place)
    assert f"p = {row['p_value']:.3f}, q = {row['q_value']:.3f}" in said
    assert "61 fake, 59 real" in said


def test_entropy_follows_its_switches(page):
    table = entropy_table()
    entropy = Figure(page, "entropy").choose(
        measure="cosine − shuffled pairs'", source="all images", sweep="high-pass"
    )
    lines = entropy.lines()
    assert set(lines) == {"enc-a", "random:enc-a", "enc-b"}
    for encoder, found in lines.items():
        rows = table[
            (table["encoder"] == encoder) & (table["measure"] == "cosine") & (table["source"] == "all")
        ]
        mine = rows[rows["filter"].str.startswith("highpass")].sort_values("cutoff_px")
        assert list(found.values()) == pytest.approx(mine["value"].tolist(), rel=1e-6)
    entropy.choose(measure="entropy over frequencies (nats)")
    assert len(entropy.lines()) == 1 + len(GENERATORS)
    row = table[
        (table["encoder"] == "images") & (table["source"] == "Real") & (table["filter"] == "highpass:4px")
    ].iloc[0]
    said = entropy.hover(4, row["value"])
    assert "reals" in said
    assert "40 images" in said


def test_bands_show_what_was_tried_and_claimed(page):
    claimed, tested = bands_tables()
    bands = Figure(page, "bands")
    for kind, label in (("pass", "kept alone"), ("stop", "taken out")):
        bands.choose(kind=label)
        strips = bands.traces[0]
        assert strips["x"] == pytest.approx([0, 0.1, 0.3, 0.7, 1.42])
        for name, line in zip(bands.layout["yaxis"]["ticktext"], strips["z"], strict=True):
            generator = name.replace("&lt;", "<").replace("&gt;", ">")
            mine = tested[(tested["tested_on"] == generator) & (tested["kind"] == kind)]
            assert line == pytest.approx(mine["auroc"].tolist(), abs=1e-6)
    dots = bands.traces[-1]
    assert dots["x"] == claimed["centre_nyq"].tolist()
    said = bands.hover(0.45, dots["y"][0])
    assert "uses 0.30 to 0.70 of Nyquist" in said
    assert "share 62.0 %, p = 0.004" in said
    assert "180 real, 80 fake" in said
