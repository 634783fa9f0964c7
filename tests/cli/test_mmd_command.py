"""`mmd` from images to its table and figures."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import typer

from bandprobe.cli.embed import embed
from bandprobe.cli.shift import Experiment, mmd
from bandprobe.cli.train import train
from bandprobe.errors import InputError

FIRST = ["encoder", "space", "experiment", "source", "filter", "cutoff_px", "mmd2", "p_value", "q_value", "n"]


@pytest.fixture(scope="module")
def folder(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mmd")
    filters = ["none", "identity", "lowpass:4px", "lowpass:12px"]
    with pytest.raises(typer.Exit):  # with code 0
        embed(
            [str(world)],
            ["spectral"],
            store=place / "store",
            filter=filters,
            geometry="squash:32",
            quiet=True,
        )
    train(store=place / "store", out=place / "probes", train_on=["all"], quiet=True)
    return place


def test_a_table_and_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    mmd(
        store=folder / "store",
        out=folder / "out",
        probes=folder / "probes",
        permutations=99,
        json=True,
        quiet=True,
    )
    printed = json.loads(capsys.readouterr().out)
    table = pd.read_csv(printed["mmd"])
    assert list(table)[:10] == FIRST
    assert printed["rows"] == len(table) == 2 * (2 * 4 + 3 * 3)
    identity = table[(table["filter"] == "identity") & (table["experiment"] == "no_filter_vs_filter")]
    assert (identity["mmd2"] == 0).all()
    assert (identity["p_value"] == 1).all()
    assert len(printed["figures"]) == 2 * 4
    for path in map(Path, printed["figures"]):
        assert path.stat().st_size > 5_000
        assert path.with_suffix(".pdf").stat().st_size > 5_000


def test_options_narrow_it_down(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"encoder": ["spectral"], "filter": ["lowpass:4..12/8px"], "samples": 5, "permutations": 9}
    mmd(
        folder / "store", folder / "few", experiment=Experiment.fake_vs_real, biased=True, quiet=True, **given
    )
    table = pd.read_csv(folder / "few" / "mmd.csv")
    assert set(table["experiment"]) == {"fake_vs_real"}
    assert set(table["filter"]) == {"none", "lowpass:4px", "lowpass:12px"}
    assert set(table["n"]) == {5}
    assert table["bandwidth"].nunique() == len(table)
    assert capsys.readouterr().out.startswith(f"6 rows in {folder / 'few' / 'mmd.csv'}\n")


def test_the_same_seed_gives_the_same_bytes(folder: Path) -> None:
    for name in ("once", "again"):
        mmd(store=folder / "store", out=folder / name, filter=["identity"], permutations=29, quiet=True)
    assert (folder / "once" / "mmd.csv").read_bytes() == (folder / "again" / "mmd.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel": "gausian"}, "kernel must be one of .* Did you mean 'gaussian'"),
        ({"filter": ["lowpass:5px"]}, "holds no embeddings at lowpass:5px"),
        ({"filter": ["lowpas:5px"]}, "lowpass"),
        ({"encoder": ["dinov2-small"]}, "holds no embeddings of 'dinov2-small'"),
        ({"probes": Path("nowhere")}, "no probe"),
        ({"manifest": Path("nowhere.parquet")}, "no manifest at"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    folder: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        mmd(store=folder / "store", out=folder / "wrong", quiet=True, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (folder / "wrong").exists()
