"""One small world in every form that people have data in, through the command line: the same images and numbers."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_pictures import IMAGE, hugging_face
from test_image_tables import save_to_disk
from typer.testing import CliRunner

from bandprobe.cli.app import app
from bandprobe.images import Manifest
from bandprobe.store import EmbeddingStore
from small_picture import small_picture

SPLITS = {"train": 12, "validation": 6, "test": 8}
NAMES = ["ADM", "REAL"]  # in the order of a ClassLabel, which is that of the alphabet


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str | None]]:
    """Each form: what is given as DATA, and what stands on standard input."""
    root = tmp_path_factory.mktemp("forms")
    rng = np.random.default_rng(7)
    rows: dict[str, list[tuple[bytes, int, Path]]] = {}
    for split, n in SPLITS.items():
        for label, name in enumerate(NAMES):
            folder = root / "folder" / split / name
            folder.mkdir(parents=True)
            for number in range(n):
                out = io.BytesIO()
                Image.fromarray(small_picture(rng, "Real" if label else "DDPM")).save(out, "PNG")
                path = folder / f"{number:02d}.png"
                path.write_bytes(out.getvalue())
                rows.setdefault(split, []).append((out.getvalue(), label, path))
    said = hugging_face({"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}})
    (root / "hub/data").mkdir(parents=True)
    (root / "wds").mkdir()
    for split, of in rows.items():
        pictures = pa.array([{"bytes": data, "path": path.name} for data, _, path in of], IMAGE)
        labels = pa.array([label for _, label, _ in of], pa.int64())
        table = pa.table({"image": pictures, "label": labels}).replace_schema_metadata(said)
        for shard in range(2):  # every other row
            part = table.take(list(range(shard, len(of), 2)))
            pq.write_table(part, root / f"hub/data/{split}-0000{shard}-of-00002.parquet", row_group_size=5)
        save_to_disk(root / "dict" / split, table, batches=3)
        with tarfile.open(root / f"wds/{split}-000000.tar", "w") as tar:
            for number, (data, label, _) in enumerate(of):
                told = json.dumps({"generator": NAMES[label]}).encode()
                for ending, content in (("png", data), ("json", told)):
                    info = tarfile.TarInfo(f"{number:04d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    (root / "dict/dataset_dict.json").write_text(json.dumps({"splits": list(SPLITS)}))
    every = [(path, NAMES[label], split) for split, of in rows.items() for _, label, path in of]
    lines = [f"{path},{name},{split}" for path, name, split in every]
    (root / "table.csv").write_text("\n".join(["image,class,split", *lines]))
    listed = "\n".join(str(path) for path, *_ in every)
    return {
        "ImageFolder": (f"{root}/folder", None),
        "CSV": (f"{root}/table.csv", None),
        "Parquet shards as on the Hub": (f"{root}/hub", None),
        "datasets' save_to_disk": (f"{root}/dict", None),
        "WebDataset": (f"{root}/wds", None),
        "a list on standard input": ("-", listed),
        "a CSV on standard input": ("-", "\n".join(["image,class,split", *lines])),
    }


FORMS = (
    "ImageFolder",
    "CSV",
    "Parquet shards as on the Hub",
    "datasets' save_to_disk",
    "WebDataset",
    "a list on standard input",
    "a CSV on standard input",
)


def call(*words: str, text: str | None = None) -> str:
    result = CliRunner().invoke(app, [*words, "--quiet"], input=text, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def reference(forms: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """The image folder's manifest, and a store that holds its embeddings."""
    out = tmp_path_factory.mktemp("reference")
    call("index", forms["ImageFolder"][0], "--out", str(out / "m.parquet"))
    store = out / "store"
    call("embed", forms["ImageFolder"][0], *GRID, "--store", str(store))
    return known(out / "m.parquet"), store


GRID = ("--encoder", "spectral", "--geometry", "squash:32")


def known(manifest: Path) -> pd.DataFrame:
    columns = ["image_id", "label", "generator", "family", "split", "width", "height", "file_bytes"]
    return Manifest.load(manifest).table[columns].sort_values("image_id", ignore_index=True)


@pytest.mark.parametrize("form", FORMS)
def test_index_and_embed(form: str, forms: dict, reference: tuple, tmp_path: Path) -> None:
    """Every form gives the images, labels and splits of the folder; its embeddings are all in the folder's store."""
    data, text = forms[form]
    call("index", data, "--out", str(tmp_path / "m.parquet"), text=text)
    table = known(tmp_path / "m.parquet")
    assert table["split"].value_counts().to_dict() == {"train": 24, "val": 12, "test": 16}
    pd.testing.assert_frame_equal(table, reference[0])
    told = json.loads(call("embed", data, *GRID, "--store", str(reference[1]), "--json", text=text))
    assert (told["passes"], told["saved"]) == (0, 52)


@pytest.mark.parametrize("form", ["Parquet shards as on the Hub", "datasets' save_to_disk"])
def test_a_study(form: str, forms: dict, reference: tuple, tmp_path: Path) -> None:
    data, _ = forms[form]
    off = "\n".join(
        f"{name} = false"
        for name in (
            "information",
            "spectrum",
            "mmd",
            "entropy",
            "twin",
            "claims",
            "audit",
            "calibration",
            "bands",
        )
    )
    (tmp_path / "s.toml").write_text(
        f'[data]\nroot = "{data}"\n[encoders]\nnames = ["spectral"]\ngeometry = "squash:32"\n'
        f'[filters]\ntest = ["none"]\n[probes]\ntrain_on = ["each"]\nseeds = 1\n[analysis]\n{off}\n'
        f'[run]\nstore = "{reference[1]}"\n'
    )
    call("study", str(tmp_path / "s.toml"), "--out", str(tmp_path / "run"))
    results = pd.read_csv(tmp_path / "run/results.csv")
    [auroc] = results.loc[results["metric"] == "auroc", "value"]
    store = EmbeddingStore(reference[1])
    [(encoder, spec)] = store.conditions()
    table = reference[0][reference[0]["split"] == "test"]
    [probe] = (tmp_path / "run/probes").glob("*.safetensors")
    from sklearn.metrics import roc_auc_score

    from bandprobe.probes import load

    logits = load(probe).probe.logits(store.read(encoder, spec, table["image_id"].tolist()).embedding)
    assert auroc == pytest.approx(roc_auc_score(table["label"], logits), abs=1e-6)
    scored = json.loads(call("score", data, "--probe", str(probe), "--json"))
    assert len(scored) == 52
    assert {row["path"].split("::")[0] for row in scored} == set(map(str, holders(Path(data))))


def holders(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.suffix in (".parquet", ".arrow")]
