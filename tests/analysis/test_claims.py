"""Claims on embeddings in which the truth was planted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandprobe.analysis.claim_conditions import Undecided, Variant, conditions, identity, ladder, nearest
from bandprobe.analysis.claims import CLAIMS, COLUMNS, claims
from bandprobe.analysis.encoder_statistics import smallest_cutoff
from bandprobe.analysis.hierarchy import Hierarchy, generator_weights, student_stretch
from bandprobe.probes import LinearProbe, ProbeFile
from bandprobe.store import EmbeddingStore, Rows

DINO, CLIP = "dinov2-base", "clip-vit-b-16"
GANS = [f"gan-{i}" for i in range(5)]
DIFFUSION = [f"diff-{i}" for i in range(5)]
FAMILY = {**dict.fromkeys(GANS, "gan"), **dict.fromkeys(DIFFUSION, "diffusion")}
MAIN = Variant("reliance", "butterworth", "float", "raw")
EXTRA = 24  # dimensions that no probe reads, for rank and correspondence
SPECS = [
    "none", "identity", "lowpass:0.15nyq", "lowpass:0.3nyq", "lowpass:0.5nyq", "lowpass:0.9nyq",
    "highpass:0.15nyq", "bandstop:0.325nyq:width=0.35nyq", "bandstop:0.08nyq:width=0.02nyq",
    "bandpass:0.325nyq:width=0.35nyq",
]  # fmt: skip


class Memory:
    """A store that lives in memory: what claims ask of one."""

    def __init__(self, geometry="squash:64"):
        self.rows, self.geometry, self.reads = {}, geometry, 0

    def conditions(self):
        return sorted(self.rows)

    def fingerprint(self, encoder, spec):
        return {"geometry": self.geometry, "filter": spec}

    def read(self, encoder, spec, ids):
        self.reads += 1
        held, embedding, removed = self.rows[encoder, spec]
        place = [held[image] for image in ids]
        return SimpleNamespace(embedding=embedding[place], ac_removed=np.full(len(place), removed))


def manifest_of(generators, n_real, n_fake):
    rows = [(f"{i:064x}", 0, "Real", "real") for i in range(n_real)]
    for name, family in generators.items():
        rows += [(f"{len(rows) + i:064x}", 1, name, family) for i in range(n_fake)]
    table = pd.DataFrame(rows, columns=["image_id", "label", "generator", "family"])
    return table.assign(dataset="x", split="test")


def probe_of(encoder, name, family, train_filter, dimension, width, lean=0.0):
    """Reads one dimension; `lean` mixes in another, as training on other images would."""
    weight = np.zeros(width)
    weight[dimension], weight[-1] = 1.0, lean
    head = LinearProbe(np.zeros(width), np.ones(width), weight, 0.0, 0.0, 1.0, 0.0, 1.0, "split")
    return ProbeFile(head, encoder, encoder, name, family, train_filter, {}, {})


def planted(shift, *, generators=FAMILY, specs=SPECS, n_real=150, n_fake=60, seed=0, spread=0.0, removed=None,
            extra=None, geometry="squash:64", retrained=True):  # fmt: skip
    """A run in which probe t's logit is N(0, 1) on reals and N(shift(encoder, spec, t, g), 1) on fakes of g.

    `spread` is the standard deviation of an effect of each (encoder, generator) on its shift.
    """
    rng = np.random.default_rng(seed)
    manifest = manifest_of(generators, n_real, n_fake)
    names, width = list(generators), len(generators) + EXTRA
    ids = {image: i for i, image in enumerate(manifest["image_id"])}
    store = Memory(geometry)
    for encoder in (DINO, CLIP):
        noise = rng.standard_normal((len(ids), width)).astype(np.float32)
        effect = dict(zip(names, spread * rng.standard_normal(len(names)), strict=True))
        for spec in specs:
            X = noise + 0.15 * rng.standard_normal(noise.shape).astype(np.float32)
            if extra is not None:
                X[:, len(names) :] = extra(encoder, spec, noise[:, len(names) :], rng)
            for dimension, t in enumerate(names):
                for g in names:
                    X[manifest["generator"] == g, dimension] += shift(encoder, spec, t, g) + effect[g]
            store.rows[encoder, spec] = ids, X, (removed or {}).get(spec, 0.1)
    trained = specs if retrained else ["none"]
    probes = [
        probe_of(encoder, name, generators[name], spec, dimension, width)
        for encoder in (DINO, CLIP)
        for spec in trained
        for dimension, name in enumerate(names)
    ]
    return store, manifest, probes


def auroc(shift):
    return stats.norm.cdf(shift / np.sqrt(2 * (1 + 0.15**2)))


def main_row(table, start, statistic=""):
    rows = table[
        table["claim"].str.startswith(start) & table["statistic"].str.contains(statistic, regex=False)
    ]
    return rows.iloc[0]


@pytest.fixture(scope="module")
def thesis_holds():
    """A world in which every claim of the thesis is right."""

    def shift(encoder, spec, t, g):
        own, across = t == g, FAMILY[t] != FAMILY[g]
        value = 2.4 if own else 0.8
        if encoder == DINO and across:
            value = 1.6
        if encoder == CLIP and "lowpass" in spec:
            value *= {"0.15": 0.3, "0.3n": 0.5, "0.5n": 0.69, "0.9n": 0.98}[spec.split(":")[1][:4]]
        if across and spec.startswith("bandstop:0.325"):
            value -= 0.6
        if across and spec.startswith("bandpass"):
            value += 0.5
        return value

    def extra(encoder, spec, noise, rng):
        """DINO: low and high frequencies say the same, and low-passing keeps every direction."""
        new = rng.standard_normal(noise.shape)
        if spec.startswith("highpass"):
            return noise + (0.3 if encoder == DINO else 3) * new
        if encoder == CLIP and spec == "lowpass:0.15nyq":
            return noise * np.geomspace(1, 0.01, noise.shape[1])
        return noise + 0.1 * new

    return claims(*planted(shift, extra=extra, n_real=300, n_fake=150), resamples=300)


def test_a_world_in_which_the_thesis_is_right(thesis_holds):
    table = thesis_holds
    assert list(table.columns) == list(COLUMNS)
    assert set(table["claim"]) == {claim.claim for claim in CLAIMS}
    for start, statistic in (
        ("CLIP is influenced", ""), ("CLIP is adequate", ""), ("DINO resists", ""), ("middle", "fall"),
        ("middle", "gain"), ("middle", "both"), ("DINO's low-to-high", ""), ("DINO's entropy", ""),
        ("DINO generalises", ""),
    ):  # fmt: skip
        row = main_row(table, start, statistic)
        assert row["verdict"] == "supported", row.to_dict()
        assert row["low"] <= row["value"] <= row["high"]
    cause = table[table["claim"].str.startswith("the cause")]
    assert len(cause) == 1
    assert cause["verdict"].item() == "undecided"
    assert "objective alone" in cause["reason"].item()


def test_values_are_those_of_the_closed_form(thesis_holds):
    fall = main_row(thesis_holds, "CLIP is influenced")
    assert fall["value"] == pytest.approx(auroc(2.4) - auroc(0.69 * 2.4), abs=0.025)
    assert (fall["clip"], fall["dino"], fall["curve"]) == (CLIP, "", "reliance")
    share = main_row(thesis_holds, "CLIP is adequate")
    assert share["value"] == pytest.approx(auroc(0.69 * 2.4) / auroc(2.4), abs=0.03)
    assert share["curve"] == "information"
    better = main_row(thesis_holds, "DINO generalises")
    assert better["metric"] == "pd@10%"  # 300 reals forbid PD@1%
    scale = np.sqrt(1 + 0.15**2)
    pd10 = [stats.norm.sf(stats.norm.isf(0.1) - s / scale) for s in (1.6, 0.8)]
    assert better["value"] == pytest.approx(pd10[0] - pd10[1], abs=0.06)
    stop = main_row(thesis_holds, "middle", "fall")
    assert stop["value"] == pytest.approx(auroc(1.6) - auroc(1.0), abs=0.03)
    assert "bandstop:0.08nyq:width=0.02nyq" in stop["reason"]
    ratio = main_row(thesis_holds, "DINO resists")
    # DINO is whole at the first rung; CLIP's AUROC crosses 95 % of 0.954 between 0.3 and 0.5 of Nyquist.
    needed, (a, b) = 0.95 * auroc(2.4), (auroc(0.5 * 2.4), auroc(0.69 * 2.4))
    crossing = np.exp(np.log(0.3) + (needed - a) / (b - a) * np.log(0.5 / 0.3))
    assert ratio["value"] == pytest.approx(0.15 / crossing, abs=0.03)
    assert "the sweep's end" in ratio["reason"]


def test_every_variant_has_its_row_and_a_missing_one_says_what_to_add(thesis_holds):
    table = thesis_holds
    high = table[table["claim"].str.startswith("CLIP is influenced")]
    keys = ["curve", "mask", "depth", "history"]
    assert len(high) == 16
    assert len(high.drop_duplicates(keys)) == 16
    absent = high[(high["mask"] == "ideal") | (high["depth"] == "8-bit") | (high["history"] == "equalised")]
    assert (absent["verdict"] == "undecided").all()
    assert absent["reason"].str.contains(r"add .* to \[filters\] test").all()
    assert absent["reason"].str.contains("add the preset claims to").all()
    assert absent["value"].isna().all()
    assert (table["verdict"].isin(["supported", "contradicted", "undecided"])).all()
    assert (table["reason"] != "").all()


def test_a_world_in_which_the_thesis_is_wrong():
    def shift(encoder, spec, t, g):
        own, across = t == g, FAMILY[t] != FAMILY[g]
        value = 2.4 if own else 1.2
        if encoder == DINO and "lowpass" in spec:
            value *= {"0.15": 0.3, "0.3n": 0.5, "0.5n": 0.69, "0.9n": 0.98}[spec.split(":")[1][:4]]
        if encoder == CLIP and across:
            value = 1.8
        if across and spec.startswith("bandpass"):
            value -= 1
        return value

    def extra(encoder, spec, noise, rng):
        new = rng.standard_normal(noise.shape)
        if spec.startswith("highpass"):
            return noise + (0.3 if encoder == CLIP else 3) * new
        if encoder == DINO and spec == "lowpass:0.15nyq":
            return noise * np.geomspace(1, 0.01, noise.shape[1])
        return noise + 0.1 * new

    table = claims(*planted(shift, extra=extra, seed=1), resamples=300)
    for start, statistic in (
        ("CLIP is influenced", ""), ("DINO resists", ""), ("middle", "fall"), ("middle", "gain"),
        ("middle", "both"), ("DINO's low-to-high", ""), ("DINO's entropy", ""), ("DINO generalises", ""),
    ):  # fmt: skip
        assert main_row(table, start, statistic)["verdict"] == "contradicted", (start, statistic)
    # Nothing is lost without high frequencies, so CLIP is as good as whole.
    assert main_row(table, "CLIP is adequate")["verdict"] == "supported"


def test_at_the_margin_nothing_is_decided():
    def shift(encoder, spec, t, g):
        if t != g:
            return 0.8
        wanted = auroc(2.0) - 0.05
        return stats.norm.ppf(wanted) * np.sqrt(2 * (1 + 0.15**2)) if "lowpass" in spec else 2.0

    table = claims(*planted(shift, spread=0.2, seed=2), resamples=300)
    row = main_row(table, "CLIP is influenced")
    assert row["verdict"] == "undecided"
    assert row["reason"].startswith("the interval holds the margin")


def test_fewer_than_five_generators_of_each_family_decide_nothing():
    few = {"gan-0": "gan", "gan-1": "gan", "diff-0": "diffusion"}
    table = claims(
        *planted(lambda e, s, t, g: 0.2 if "lowpass" in s else 3.0, generators=few, n_fake=40), resamples=100
    )
    row = main_row(table, "CLIP is influenced")
    assert row["verdict"] == "undecided"
    assert row["value"] > 0.2
    assert row["low"] > 0.05  # the numbers would decide
    assert "fewer than five generators in gan (2), diffusion (1)" in row["reason"].replace(
        "diffusion (1), gan (2)", "gan (2), diffusion (1)"
    )


def test_a_small_family_beside_large_ones_is_left_out():
    more = {**FAMILY, "coco": "other"}
    store, manifest, probes = planted(lambda e, s, t, g: 2.0, generators=more, n_fake=20, specs=["identity"])
    scope = Hierarchy(store, manifest, probes, resamples=10).own()
    assert scope.few == ""
    assert "coco" not in {name for name, _ in scope.cells}
    assert "other (1) left out" in scope.note
    assert len(scope.cells) == 10


def test_a_run_without_clip_or_dino_says_so():
    store, manifest, probes = planted(lambda e, s, t, g: 2.0, specs=["none", "identity"], n_fake=20)
    table = claims(store, manifest, [p for p in probes if p.encoder == DINO], resamples=20)
    row = main_row(table, "CLIP is influenced")
    assert row["reason"] == "the run has no image-text encoder (CLIP)"
    assert "the run has no image-text encoder (CLIP)" in main_row(table, "DINO generalises")["reason"]
    middle = table[table["claim"].str.startswith("middle")]
    assert set(middle["dino"]) == {DINO, ""}
    # Random twins, compounds and token encoders play no part.
    twins = [probe_of(f"random:{DINO}", "gan-0", "gan", "none", 0, 5)]
    assert (claims(store, manifest, twins, resamples=5)["dino"] == "").all()


def test_own_preprocessing_makes_no_cut_off_claim():
    store, manifest, probes = planted(lambda e, s, t, g: 2.0, n_fake=25)
    store.fingerprint = lambda encoder, spec: {
        "geometry": "squash:64" if encoder == DINO else "shortest-edge:64:crop:64", "filter": spec
    }  # fmt: skip
    table = claims(store, manifest, probes, resamples=20)
    for start in ("DINO resists", "DINO's low-to-high", "DINO's entropy"):
        assert "own preprocessing" in main_row(table, start)["reason"]


def test_a_cut_off_beyond_the_sweep_is_a_bound():
    specs = ["none", "identity", "lowpass:0.15nyq", "lowpass:0.3nyq", "lowpass:0.5nyq"]

    def run(lost):
        """AUROC lost at every cut-off by the encoders named: their cut-off lies above the sweep."""
        table = claims(
            *planted(lambda e, s, t, g: 1.2 if "low" in s and e in lost else 2.4, specs=specs, n_fake=40),
            resamples=60,
        )
        return main_row(table, "DINO resists")

    both, none, dino = run((DINO, CLIP)), run(()), run((DINO,))
    for row in (both, none):  # 1, whatever the truth
        assert row["value"] == 1
        assert row["verdict"] == "undecided"
        assert row["reason"].startswith("a bound alone")
    assert dino["value"] == pytest.approx(0.5 / 0.15)
    assert dino["verdict"] == "contradicted"
    assert run((CLIP,))["verdict"] == "supported"


def test_a_probe_at_chance_decides_nothing():
    table = claims(*planted(lambda e, s, t, g: 0.0, n_fake=40, seed=3), resamples=100)
    row = main_row(table, "CLIP is influenced")
    assert row["verdict"] == "undecided"
    assert "at chance under the identity" in row["reason"]


def test_bands_are_compared_at_equal_energy():
    shares = {"bandstop:0.325nyq:width=0.35nyq": 0.02, "bandstop:0.08nyq:width=0.02nyq": 0.3}
    table = claims(*planted(lambda e, s, t, g: 2.0, n_fake=25, removed=shares), resamples=20)
    row = main_row(table, "middle", "fall")
    assert row["verdict"] == "undecided"
    assert "no band-stop elsewhere removes as much energy" in row["reason"]
    assert "30.00 %" in row["reason"]


def test_equalised_history_uses_the_probe_trained_on_it():
    specs = ["none", "identity", "jpeg:75", "jpeg:75+lowpass:0.5nyq"]
    run = planted(lambda e, s, t, g: 1.2 if "lowpass" in s else 2.0, specs=specs, n_fake=40)
    table = claims(*run, resamples=50)
    rows = table[table["claim"].str.startswith("CLIP is influenced") & (table["history"] == "equalised")]
    found = rows[(rows["mask"] == "butterworth") & (rows["depth"] == "float")]
    assert found["value"].notna().all()
    assert found["value"].iloc[0] == pytest.approx(auroc(2.0) - auroc(1.2), abs=0.04)
    store, manifest, probes = run
    raw = [probe for probe in probes if not probe.train_filter.startswith("jpeg")]
    missing = claims(store, manifest, raw, resamples=5)
    rows = missing[
        missing["claim"].str.startswith("CLIP is influenced") & (missing["history"] == "equalised")
    ]
    assert rows["reason"].iloc[0].startswith("not every generator has a probe of")


def test_filters_of_an_earlier_study_in_the_same_store_are_not_asked():
    store, manifest, probes = planted(lambda e, s, t, g: 2.0, n_fake=25)
    table = claims(store, manifest, probes, filters=["none", "identity"], resamples=5)
    assert main_row(table, "CLIP is influenced")["reason"].startswith("no low-pass at 0.5 of Nyquist")


def test_equal_seeds_give_equal_tables_and_the_real_store_the_same(tmp_path):
    specs = ["none", "identity", "lowpass:0.5nyq"]
    run = planted(lambda e, s, t, g: 1.5 if "lowpass" in s else 2.0, specs=specs, n_fake=25)
    memory, manifest, probes = run
    disk = EmbeddingStore(tmp_path / "store")
    with disk:
        for (encoder, spec), (ids, embedding, removed) in memory.rows.items():
            n = len(ids)
            shares = np.zeros(n, np.float32), np.full(n, removed, np.float32)
            disk.write(
                encoder,
                {"geometry": "squash:64", "filter": spec},
                Rows(np.array(list(ids), object), embedding.astype(np.float32), *shares),
            )
    first, again = claims(*run, seed=3, resamples=40), claims(disk, manifest, probes, seed=3, resamples=40)
    pd.testing.assert_frame_equal(first, again)
    other = claims(*run, seed=4, resamples=40)
    assert not np.allclose(first["low"].dropna(), other["low"].dropna())


# --- the hierarchical bootstrap ---


def naive_mean(hierarchy, store, manifest, cells, encoder, spec, counts):
    """Mean AUROC over cells with image counts written out, pairs of images one by one."""
    values = []
    for name, number in cells:
        one = hierarchy.sets[number]
        dimension = list(FAMILY).index(name)
        logit = store.read(encoder, spec, one.image_id).embedding[:, dimension].astype(float)
        reals, fakes = (
            np.repeat(logit[one.label == v], c) for v, c in zip((0, 1), counts(number), strict=True)
        )
        wins = (fakes[:, None] > reals).mean() + 0.5 * (fakes[:, None] == reals).mean()
        values.append(wins)
    return np.array(values)


def test_means_are_those_of_resamples_written_out():
    store, manifest, probes = planted(
        lambda e, s, t, g: 2.0 if t == g else 0.5, specs=["identity"], n_real=30, n_fake=12
    )
    hierarchy = Hierarchy(store, manifest, probes, seed=5, resamples=6)
    for scope in (hierarchy.own(), hierarchy.across(), hierarchy.across("gan", "diffusion")):
        found = hierarchy.mean(CLIP, "identity", "identity", scope)
        for draw in range(7):
            drawn = hierarchy._drawn
            values = naive_mean(
                hierarchy, store, manifest, scope.cells, CLIP, "identity",
                lambda number, draw=draw, drawn=drawn: (drawn[number].reals[draw], drawn[number].fakes[draw]),
            )  # fmt: skip
            weights = scope.weights[:, draw]
            assert found[draw] == pytest.approx((weights * values).sum() / weights.sum(), abs=1e-6)
    assert (scope.weights[:, 0] == 1).all()
    # Reals are drawn once for a data set, and every row keeps the numbers of images.
    assert all(np.array_equal(drawn[0].reals, one.reals) for one in drawn)
    assert len({one.fakes.tobytes() for one in drawn}) == len(drawn)
    assert (drawn[0].reals.sum(axis=1) == 30).all()


def test_probes_are_resampled_with_their_replicates():
    """Replicates that lean by far on noise: the interval must show it, and the value must not."""
    store, manifest, probes = planted(lambda e, s, t, g: 2.0, specs=["identity"], n_fake=40)
    width = len(FAMILY) + EXTRA
    leaning = [
        [probe_of(CLIP, n, f, "identity", d, width, lean) for d, (n, f) in enumerate(FAMILY.items())]
        for lean in (1.0, 2.0)
    ]
    mine = [probe for probe in probes if probe.encoder == CLIP]
    plain = Hierarchy(store, manifest, mine, resamples=200)
    shaken = Hierarchy(store, manifest, mine, leaning, resamples=200)
    a, b = (h.mean(CLIP, "identity", "identity", h.own()) for h in (plain, shaken))
    assert a[0] == b[0]
    assert shaken.seeds == 3
    assert b.std() > 3 * a.std()
    each = {k: b[1:][shaken._training[1:] == k].mean() for k in range(3)}
    assert each[0] == pytest.approx(auroc(2.0), abs=0.03)
    assert each[1] == pytest.approx(stats.norm.cdf(2.0 / np.sqrt(2 * 2.0225)), abs=0.04)
    assert each[2] == pytest.approx(stats.norm.cdf(2.0 / np.sqrt(2 * 5.0225)), abs=0.04)


def test_generator_weights_sum_to_their_number_and_spread_as_student_would():
    names = [f"g{i}" for i in range(5)]
    weights = np.stack(
        list(generator_weights(names, 20_000, np.random.default_rng(0)).values())
    )  # fmt: skip
    assert (weights[:, 0] == 1).all()
    assert np.allclose(weights.sum(axis=0), 5)
    assert student_stretch(5) == pytest.approx(np.sqrt(5 / 4) * 2.776445 / 1.959964, abs=1e-5)
    assert student_stretch(4) == 1
    values = np.array([0.3, -1.2, 0.8, 2.0, -0.4])
    means = (weights[:, 1:] * values[:, None]).sum(axis=0) / 5
    half = 2.776445 * values.std(ddof=1) / np.sqrt(5)
    assert 1.959964 * means.std() == pytest.approx(half, rel=0.02)


def test_under_a_null_the_margin_is_seldom_called_passed():
    """Generators differ at random and DINO and CLIP do not differ on average: of 150 studies at most a few
    put the true difference, zero, outside the interval."""
    rng = np.random.default_rng(0)
    names, outside = list(FAMILY), 0
    for study in range(150):
        # Differences of cells as generators' effects make them: one of the training, one of the tested side.
        gan, diffusion = (
            generator_weights(part, 400, np.random.default_rng([study, side]))
            for side, part in enumerate((names[:5], names[5:]))
        )
        effect = rng.standard_normal(5)[:, None] + rng.standard_normal(5) + 0.5 * rng.standard_normal((5, 5))
        weights = np.stack([[gan[a] * diffusion[b] for b in names[5:]] for a in names[:5]])
        means = (weights * effect[:, :, None]).sum(axis=(0, 1)) / weights.sum(axis=(0, 1))
        low, high = np.quantile(means[1:], [0.025, 0.975])
        outside += not low <= 0 <= high
    assert outside / 150 < 0.08


# --- conditions and cut-offs ---


def test_conditions_are_read_from_specs():
    specs = [
        "none", "identity", "identity:bits=8", "lowpass:16px", "lowpass:0.5nyq:bits=8", "ideal-highpass:0.15nyq",
        "lowpass:16px:order=2", "highpass:16px:dc=zero", "bandstop:10.4px:width=11.2px", "jpeg:75",
        "jpeg:75+ideal-lowpass:16px:bits=8", "jpeg:90", "lowpass:16px+highpass:4px", "blur:2",
    ]  # fmt: skip
    found = {(c.spec, c.kind, c.mask, c.depth, c.history): c for c in conditions(specs, (64, 64))}
    assert set(found) == {
        ("identity", "identity", "none", "float", "raw"),
        ("identity:bits=8", "identity", "none", "8-bit", "raw"),
        ("lowpass:16px", "lowpass", "butterworth", "float", "raw"),
        ("lowpass:0.5nyq:bits=8", "lowpass", "butterworth", "8-bit", "raw"),
        ("ideal-highpass:0.15nyq", "highpass", "ideal", "float", "raw"),
        ("bandstop:10.4px:width=11.2px", "bandstop", "butterworth", "float", "raw"),
        ("jpeg:75", "identity", "none", "float", "equalised"),
        ("jpeg:75+ideal-lowpass:16px:bits=8", "lowpass", "ideal", "8-bit", "equalised"),
    }
    held = list(found.values())
    assert nearest(held, MAIN, "lowpass", 0.5).spec == "lowpass:16px"
    assert nearest(held, MAIN, "bandstop", 0.325, 0.35).spec == "bandstop:10.4px:width=11.2px"
    assert identity(held, Variant("", "ideal", "8-bit", "equalised")).spec == "jpeg:75"
    assert [c.spec for c in ladder(held, MAIN, "lowpass")] == ["lowpass:16px"]
    with pytest.raises(Undecided, match=r"no low-pass at 0\.45 of Nyquist: add lowpass:0\.45nyq to"):
        nearest(held, MAIN, "lowpass", 0.45)
    with pytest.raises(Undecided, match=r"0\.2 wide"):
        nearest(held, MAIN, "bandstop", 0.325, 0.2)


def test_smallest_cut_off_between_rungs_and_at_the_ends():
    cutoffs = np.array([0.1, 0.2, 0.4])
    curve = np.array([[0.6, 0.9, 0.5], [0.8, 0.9, 0.6], [0.9, 0.9, 0.7]])
    found = smallest_cutoff(cutoffs, curve, np.array([0.7, 0.8, 0.8]))
    assert found[0] == pytest.approx(0.1 * 2**0.5)  # half way, on a log scale
    assert found[1] == pytest.approx(0.1)
    assert found[2] == pytest.approx(0.4)
