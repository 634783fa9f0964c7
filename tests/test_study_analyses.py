"""A study's analyses, its unusual encoders and conditions, and the published protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

import bandprobe as bp
from bandprobe.errors import EncoderError, InputError
from bandprobe.probes import load_folder
from bandprobe.protocol import SWITCHES
from bandprobe.store import EmbeddingStore
from small_study import without_figures

SMALL = {"samples": 30, "information": False}


pytestmark = pytest.mark.usefixtures("no_figures")


def content(world: Path, *encoders: str, test: list[str], **sections: Any) -> dict[str, Any]:
    return {
        "data": {"root": str(world), "splits": [0.4, 0.2, 0.4]},
        "encoders": {"names": list(encoders), "geometry": "squash:32"},
        "filters": {"test": test, "train": sections.pop("train", ["none"])},
        "analysis": SMALL | sections.pop("analysis", {}),
        "run": {"batch_size": 64, **sections.pop("run", {})},
        **sections,
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, world: Path, checkpoint: Path) -> bp.Run:
    folder = tmp_path_factory.mktemp("analyses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bandprobe.report.build", without_figures)
        settings = content(
            world,
            "spectral",
            f"dino-tiny={checkpoint}",
            test=["none", "identity", "lowpass:4px", "highpass:4px"],
            probes={"seeds": 2, "train_on": ["each", "all"]},
        )
        return bp.Study.from_dict(settings).run(folder / "run")


def test_every_table_has_its_columns(run: bp.Run) -> None:
    expected = {
        "mmd.csv": "encoder space experiment source filter cutoff_px mmd2 p_value q_value n",
        "entropy.csv": "encoder source filter cutoff_px measure value low high",
        "claims.csv": "claim statistic value low high margin verdict reason",
        "confusion.csv": "encoder trained_on train_filter tested_on dataset filter threshold tp fn fp tn",
    }
    for name, columns in expected.items():
        table = pd.read_csv(run.folder / name)
        wanted = columns.split()
        assert list(table.columns[: len(wanted)]) == wanted, name
        assert len(table), name
    mmd = pd.read_csv(run.folder / "mmd.csv")
    assert set(mmd["space"]) == {"embedding", "logit"}
    assert set(mmd["experiment"]) == {"fake_vs_real", "no_filter_vs_filter"}
    claims = pd.read_csv(run.folder / "claims.csv")
    assert set(claims["verdict"]) <= {"supported", "contradicted", "undecided"}
    assert claims["reason"].notna().all()


def test_the_twin_stands_beside_its_encoder_and_apart_from_the_grid(run: bp.Run) -> None:
    entropy = pd.read_csv(run.folder / "entropy.csv")
    ranks = entropy[entropy["measure"] == "effective_rank"]
    # `spectral` has no weights to draw anew.
    assert set(ranks["encoder"]) == {"spectral", "dino-tiny", "random-dino-tiny"}
    assert set(run.results["encoder"]) == {"spectral", "dino-tiny"}
    assert {"cka", "cosine", "mutual_knn"} <= set(entropy["measure"])
    record = json.loads((run.folder / "run.json").read_text())
    assert record["encoder_passes"]["done"] == len(run.manifest) // 1 * 2 * 4 - _spared(run.manifest) * 2
    assert record["twin_passes"]["done"] > 0


def _spared(manifest: pd.DataFrame) -> int:
    """Conditions that training images need not: all but the training filter."""
    return int((manifest["split"] != "test").sum()) * 3


def test_replicates_are_trained_beside_the_probes(run: bp.Run) -> None:
    probes = load_folder(run.folder / "probes")
    again = load_folder(run.folder / "replicates" / "1")
    assert {(p.encoder, p.trained_on) for p in probes} == {(p.encoder, p.trained_on) for p in again}
    one, other = probes[0].probe, again[0].probe
    assert (one.weight != other.weight).any()


def test_a_detector_and_a_table_go_through_the_same_grid(
    tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\ndef predict(images):\n    return images.std((1, 2, 3)) * 10 - 2\n"
    )
    monkeypatch.chdir(tmp_path)
    index = bp.Study.from_dict(content(world, "spectral", test=["none"])).run("first")
    ids = index.manifest["image_id"].tolist()
    vectors = EmbeddingStore("first/store").read("spectral", "none", ids).embedding
    pd.DataFrame({"image_id": ids, "filter": "none", "embedding": list(vectors)}).to_parquet("t.parquet")
    settings = content(
        world, "detector:mine.py:predict", "table:t.parquet", test=["none", "blur:2"], analysis={"mmd": False}
    )
    done = bp.Study.from_dict(settings).run("second")
    cells = done.results.query("metric == 'auroc'")
    detector = cells[cells["encoder"].str.startswith("detector:")]
    assert set(detector["trained_on"]) == set(detector["family_from"]) == {"external"}
    assert set(detector["filter"]) == {"none", "blur:2"}
    table = cells[cells["encoder"] == "table:t"].drop(columns="encoder").reset_index(drop=True)
    same = index.results.query("metric == 'auroc'").drop(columns="encoder").reset_index(drop=True)
    np.testing.assert_allclose(table["value"], same["value"])
    assert any("table:t has embeddings at 1 of 2 filters" in text for text in done.record["warnings"])
    # The detector's own operating point: what it says is fake from logit 0 on.
    scores = pd.read_parquet("second/scores.parquet")
    mine = scores[scores["encoder"].str.startswith("detector:") & (scores["filter"] == "none")]
    path = done.manifest.set_index("image_id")["path"]
    picture = np.asarray(Image.open(path[mine["image_id"].iloc[0]]).convert("RGB")) / 255
    assert mine["logit"].iloc[0] == pytest.approx(picture.std() * 10 - 2, abs=1e-4)
    assert {
        probe.probe.threshold for probe in load_folder("second/probes") if probe.trained_on == "external"
    } == {0}


def test_adaptation_and_random_cutoffs_train_and_test(
    tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    specs = ["none", "fda:0.1:reference=Real", "inject:6px:width=4px:reference=grey.png"]
    settings = content(
        world,
        "spectral",
        test=specs,
        train=["none", "random-lowpass:4..12px", "fda:0.1:reference=Real"],
        analysis={"mmd": False, "entropy": False, "claims": False, "spectrum": False},
    )
    file = tmp_path / "study.toml"
    file.write_text("")  # the study's folder is where references start from
    study = bp.Study(bp.Study.from_dict(settings).config, "adapted", folder=tmp_path)
    done = study.run(tmp_path / "run")
    pairs = set(zip(done.results["train_filter"], done.results["filter"], strict=True))
    assert pairs == {(train, test) for train in settings["filters"]["train"] for test in specs}
    part = next((tmp_path / "run/store").glob("encoder=spectral/filter=fda*/part-*.parquet"))
    made_with = json.loads(pq.read_schema(part).metadata[b"bandprobe"])
    assert made_with["references"]


def test_other_heads(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    few = {"mmd": False, "entropy": False, "claims": False, "spectrum": False}
    for head, encoder in (("mlp", "spectral"), ("attention", f"tiny={checkpoint}")):
        settings = content(
            world, encoder, test=["none"], analysis=few, probes={"head": head, "train_on": ["all"]}
        )
        done = bp.Study.from_dict(settings).run(tmp_path / head)
        scores = pd.read_parquet(done.folder / "scores.parquet")
        assert len(scores["output"].iloc[0]) > 1
        assert done.results["value"].notna().any()
    with pytest.raises(EncoderError, match="tokens"):
        bp.Study.from_dict(content(world, "spectral", test=["none"], probes={"head": "attention"})).run(
            tmp_path / "none"
        )


def store_facts(folder: Path, spec: str, encoder: str = "tiny") -> dict[str, str]:
    return EmbeddingStore(folder / "store").fingerprint(encoder, spec) or {}


def test_every_switch_does_what_it_says(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    """The whole published protocol in one run, told from its files."""
    settings = content(
        world,
        f"tiny={checkpoint}",
        test=["none", "identity", "lowpass:4px", "fda:0.1:reference=DDPM"],
        probes={"train_on": ["each"]},
        analysis={"entropy": False, "claims": False},
        run={"protocol": "thesis,-adm_validation"},
    )
    done = bp.Study.from_dict(settings).run(tmp_path / "run")
    on = set(done.record["protocol"].split(","))
    assert on == set(SWITCHES) - {"sigmoid_head", "adm_validation"}
    assert store_facts(done.folder, "none")["geometry"] == "squash:32:aliased"  # resize_mismatch
    assert store_facts(done.folder, "identity")["geometry"] == "squash:32"
    assert store_facts(done.folder, "lowpass:4px")["abs_uint8"]
    assert "abs_uint8" not in store_facts(done.folder, "none")
    assert store_facts(done.folder, "none")["encoder.mean"] == "0.485 0.456 0.406"  # imagenet_stats
    assert {probe.probe.threshold for probe in load_folder(done.folder / "probes")} == {0}  # threshold_half
    conditions = {spec for _, spec in EmbeddingStore(done.folder / "store").conditions()}
    assert "flip" in conditions  # thesis_optimiser
    cells = done.results.query("metric == 'auroc'").set_index(["trained_on", "tested_on", "filter"])
    # fda_relabel: every real was adapted to a DDPM image, so none is real any more.
    adapted = cells.xs("fda:0.1:reference=DDPM", level="filter")
    assert adapted["value"].isna().all()
    assert adapted["reason"].eq("no image of this test set counts as real").all()
    with np.load(done.folder / "spectra.npz") as arrays:
        assert str(arrays["filter"]) == "lowpass:5px"  # spectrum_lowpass
    bandwidths = pd.read_csv(done.folder / "mmd.csv").query("space == 'embedding'")["bandwidth"].dropna()
    assert bandwidths.nunique() > 1  # biased_mmd


def test_ablation_moves_what_a_switch_touches_and_nothing_else(
    tmp_path: Path, world: Path, checkpoint: Path
) -> None:
    settings = content(
        world,
        f"tiny={checkpoint}",
        test=["none", "identity", "lowpass:5px"],
        probes={"train_on": ["each"]},
        analysis={"entropy": False, "claims": False, "mmd": False},
    )
    done = bp.Study.from_dict(settings).ablate(tmp_path / "run")
    table = pd.read_csv(done.folder / "ablation.csv")
    assert set(table["switch"]) == {*SWITCHES, "thesis"}
    reasons = table[table["quantity"].isna()].set_index("switch")["reason"]
    assert reasons["fda_relabel"].startswith("no test filter adapts")
    assert reasons["adm_validation"].startswith("the data hold no validation images of ADM")
    rows = table.dropna(subset=["quantity"]).set_index(["switch", "quantity"])
    own = "auroc: own generator"
    for switch in ("abs_uint8", "threshold_half", "biased_mmd", "spectrum_lowpass"):
        assert rows.loc[(switch, own), "moved"] == 0, switch  # none of these touches unfiltered AUROC
    accuracies = [name for name in rows.loc["threshold_half"].index if name.startswith("accuracy")]
    assert (rows.loc["threshold_half"].loc[accuracies, "moved"] != 0).any()
    assert rows.loc[("resize_mismatch", "auroc: identity - none"), "baseline"] == 0
    departure = "spectra: departure from Real above 0.5 nyq"
    assert rows.loc[("spectrum_lowpass", departure), "moved"] != 0
    kept = rows.dropna(subset=["low"])
    assert (kept["low"] <= kept["moved"] + 1e-9).all()
    assert (kept["moved"] <= kept["high"] + 1e-9).all()
    passes = {
        switch: json.loads((done.folder / "ablation" / switch / "run.json").read_text())["encoder_passes"]
        for switch in ("abs_uint8", "resize_mismatch", "batch_metrics", "imagenet_stats")
    }
    assert passes["batch_metrics"]["done"] == 0
    assert 0 < passes["abs_uint8"]["done"] < passes["imagenet_stats"]["done"]
    assert passes["resize_mismatch"]["done"] == len(done.manifest)


def test_wrong_protocols(world: Path) -> None:
    with pytest.raises(InputError, match="no switch 'abs_uint'"):
        bp.Study.from_dict(content(world, "spectral", test=["none"], run={"protocol": "abs_uint"}))


def test_relabelling_that_leaves_one_class_costs_that_probe_alone(tmp_path: Path, world: Path) -> None:
    settings = content(
        world,
        "spectral",
        test=["none", "fda:0.1:reference=DDPM"],
        analysis={"mmd": False, "entropy": False, "spectrum": False, "information": True},
        probes={"train_on": ["all"]},
        run={"protocol": "fda_relabel"},
    )
    done = bp.Study.from_dict(settings).run(tmp_path / "run")
    assert set(done.results["train_filter"]) == {"none"}
    adapted = done.results.query("filter != 'none' and metric == 'recall'")
    assert adapted["value"].notna().all()


def test_a_detector_is_left_out_of_heads_and_its_probe_scores(
    tmp_path: Path, world: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("def predict(images):\n    return images.mean((1, 2, 3)) - 0.5\n")
    monkeypatch.chdir(tmp_path)
    settings = content(
        world,
        f"tiny={checkpoint}",
        "detector:mine.py:predict",
        test=["none", "fda:0.1:reference=Real"],
        analysis={"mmd": False, "entropy": False, "spectrum": False, "claims": False},
        probes={"head": "attention", "train_on": ["all"]},
    )
    done = bp.Study.from_dict(settings).run("run")
    assert set(done.results["encoder"]) == {"tiny", "detector:mine:predict"}
    [probe] = Path("run/probes").glob("detector*.safetensors")
    image = Path(done.manifest["path"].iloc[0])
    [row] = bp.Detector.load(probe).score(image).to_dict("records")
    assert row["probability"] == pytest.approx(1 / (1 + np.exp(-row["logit"])))
    with pytest.raises(EncoderError, match="head 'attention' needs patch tokens, and 'spectral' gives none"):
        bp.Study.from_dict(content(world, "spectral", test=["none"], probes={"head": "attention"})).run(
            "other"
        )
