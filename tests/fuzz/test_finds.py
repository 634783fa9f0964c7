"""Inputs that once broke a parser, or that it must not take for ever to refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from parsers import PARSERS, _parquet, check
from safetensors.numpy import save

from bandprobe.images.indexing import COLUMNS

Case = tuple[str, bytes]  # a parser and what it is given

DEEP = b"[" * 200_000
NUMBER = b"9" * 5000
SOUND = b'{"mapping": [], "notes": [], "background": [1, 2, 3]}'
TEXTS = ("image_id", "path", "generator", "family", "dataset", "split", "format")


def manifest(said: bytes = SOUND, **columns: list[object]) -> Case:
    """A manifest of one row, with columns of other kinds, and what it says beside its rows."""
    whole = {name: ["x"] if name in TEXTS else [1] for name in COLUMNS} | columns
    return listed(whole, {b"bandprobe.manifest": said})


def listed(columns: Mapping[str, object], said: Mapping[bytes, bytes] | None = None) -> Case:
    """A table of images."""
    return "parquet", _parquet(pa.table(columns).replace_schema_metadata(said))


cases: list[Case] = []
for said in (
    b"{",
    b"{}",
    b"[]",
    b"null",
    DEEP,
    b'{"mapping":1,"notes":[],"background":[1,2,3]}',
    b'{"mapping":[],"notes":1,"background":[1,2,3]}',
    b'{"mapping":[],"notes":[],"background":"x"}',
    b'{"mapping":[],"notes":[],"background":null}',
    b'{"mapping":[],"notes":[],"background":[1,2,3],"near":{"links":[[1]],"among":[]}}',
    b'{"mapping":[],"notes":[],"background":[1,2,3],"near":3}',
    b"\xff\xfe",
):
    cases.append(manifest(said))
cases += [manifest(path=[1]), manifest(path=[None])]
for said in (DEEP, b'{"info":{"features":{"label":{"names":[[1]]}}}}', b'{"info":[]}', b"\xff"):
    cases.append(listed({"path": ["a"], "label": [0]}, {b"huggingface": said}))
twice = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array([0])], names=["path", "path", "label"])
cases += [
    listed({"path": [None], "label": [None]}),
    listed({"path": pa.array([], pa.string()), "label": pa.array([], pa.int64())}),
    listed({"path": [b"\xff"], "label": [0]}),
    listed({"path": [1.5], "label": [float("nan")]}),
    listed({"path": ["a\0b"], "label": [0]}),
    listed({"path": ["a\0/b.png", "c"], "label": [0, 1]}),
    listed({"path": ["x" * 5000 + "/b.png", "c"], "label": [0, 1]}),
    listed({"path": ["~nouser/x"], "label": [0]}),
    ("parquet", _parquet(twice)),
]
cases += [
    ("csv", b'path,label\n"' + b"x" * 200000 + b'",1\n'),
    ("csv", b"path,label\na\0b,1\n"),
    ("csv", b"path,label\na\0/b.png,1\nc.png,0\n"),
    ("csv", b"path,label\n" + b"x" * 300 + b".png,1\nc.png,0\n"),
    ("csv", b"path,label\n" + b"x/" * 5000 + b".png,1\nc.png,0\n"),
    ("csv", b'path,label\n"a\nb",1\n'),
    ("csv", b"a\0 0\n"),
    ("csv", b"path,label\n~nouser/x,1\n"),
    ("csv", b"path,label\n" + b"x" * 5000 + b",1\n"),
    ("csv", b"path,label\n,1\n"),
    ("csv", b"path,path,label\na,b,1\n"),
    ("csv", b"path,label\r\na,1\r\rb,0"),
    ("csv", b"path,label,split\na,1,foo\n"),
    ("csv", "path,label\na\u2028b,1\n".encode()),
    ("csv", "path,label\na,\u00b2\n".encode()),
    ("csv", b"path,label\n\xed\xa0\x80,1\n"),
]
for said in (
    DEEP,
    b"[]",
    b'{"splits": 3}',
    b'{"splits": [3]}',
    b'{"splits": "ab"}',
    b'{"_data_files": 3}',
    b'{"_data_files": [{}]}',
    b'{"_data_files": [3]}',
    b'{"_data_files": [{"filename": null}]}',
    b'{"_data_files": [{"filename": "../../x.arrow"}]}',
    b'{"splits": ["../.."]}',
    b'{"splits": [".", "."]}',
    b'{"_data_files": [{"filename": "a\\u0000b"}]}',
):
    cases.append(("saved", said))
FACTS = {
    "format": "bandprobe-linear-1",
    "bias": 0.5,
    "threshold": 0.1,
    "slope": 1.0,
    "intercept": 0.0,
    "validation": "val",
    "C": 1.0,
    "encoder": "e",
    "source": "s",
    "trained_on": "t",
    "family": "f",
    "train_filter": "none",
    "fingerprint": {},
    "training": {},
    "key": "",
}
one = np.ones(3)


def probe(
    facts: Mapping[str, object] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
    raw: Mapping[str, str] | None = None,
) -> Case:
    """A probe's file with other facts, other arrays, or facts that are no JSON."""
    said = {name: json.dumps(fact) for name, fact in {**FACTS, **(facts or {})}.items()} | dict(raw or {})
    return "probe", save(arrays or {"mean": one, "scale": one, "weight": one}, said)


cases += [
    probe(),
    probe({"bias": "x"}),
    probe({"bias": None}),
    probe({"bias": [1]}),
    probe({"threshold": "x"}),
    probe({"bias": float("nan")}),
    probe({"encoder": 3}),
    probe({"training": []}),
    probe({"training": {"replicate": "x"}}),
    probe({"fingerprint": []}),
    probe({"train_filter": None}),
    probe({"trained_on": ["x"]}),
    probe({"surplus": 1}),
    probe({"format": ["x"]}),
    probe({"format": {}}),
    probe(raw={"bias": "[" * 100_000}),
    probe(raw={"bias": "{"}),
    probe(arrays={"mean": one, "scale": one, "weight": np.ones((2, 2))}),
    probe(arrays={"mean": one, "scale": one, "weight": np.ones(4)}),
    probe(arrays={"mean": one * np.nan, "scale": one, "weight": one}),
    probe(arrays={"mean": one, "scale": one * 0, "weight": one}),
    probe(arrays={"mean": np.ones(0), "scale": np.ones(0), "weight": np.ones(0)}),
    probe({"format": "bandprobe-head-1"}),
    probe(
        {"format": "bandprobe-head-1", "loss": "bce", "sizes": {}},
        {"mean": one, "scale": one, "readout": one},
    ),
    probe(
        {"format": "bandprobe-head-1", "loss": "bce", "sizes": {"head": "mlp", "dim": 10**12}},
        {"mean": one, "scale": one, "readout": one},
    ),
]
cases += [
    ("study", b"a=" + b"[" * 100_000),
    ("study", b'[data]\nroot="x"\nmanifest="\\u0000"\n'),
    ("study", b'[data]\nroot="a\\u0000b"\n'),
    ("study", b'[data]\nroot="~nouser/x"\n'),
    ("study", b'[data]\nroot="x"\nlimit=99999999999999999999999999\n'),
    ("study", b"[data]\nroot=1979-05-27\n"),
    ("study", b'[data]\nroot="x"\n[run]\nseed=1e400\n'),
    ("study", b'[data]\nroot="x"\n[encoders]\nnames=["a\\u0000b=/x"]\n'),
    ("study", b'[data]\nroot="x"\nsplits=[nan,inf,0]\n'),
    ("study", b'[data]\nroot="x"\nsplits=[1,2]\n'),
    ("study", b'[data]\nroot="' + b"x" * 5000 + b'"\n'),
    ("study", b'[data]\nroot="x"\nequalise="' + NUMBER + b'"\n'),
    ("study", b'[data]\nroot="x"\nequalise="crop:' + NUMBER + b'"\n'),
    ("study", b'[data]\nreal=["a"]\nfakes={"a\\nb"="c"}\n[run]\nprotocol=["x\\ny"]\n'),
    ("study", b'"a\\nb"=1\n[data]\nroot="x"\n'),
    ("study", b"x = 0x" + b"f" * 20000),
    ("study", b"x = " + b"9" * 20000),
]
cases += [
    ("name", s)
    for s in (
        b"a" * 5000,
        b"x\0y",
        b"/x\0",
        b"~nouser/x",
        b"table:x\0.parquet",
        b"table:~nouser/x",
        b"timm:a@~nouser/x",
        b"detector:~nouser/x.py:f",
        b"detector:x\0.onnx",
        b"random:" * 2000 + b"spectral",
        b"spectral+" * 3000 + b"spectral",
        b"random:" + NUMBER + b":dinov2-small",
        b"dinov2-small@lowpass:1..9999/1px+dinov2-small@lowpass:1..9999/1px",
        b"random:\xc2\xb2:dinov2-small",
        b"openclip:a/~nouser/x",
        b"detector:" + b"x" * 5000 + b".onnx",
        b"../" * 2000,
    )
]
cases += [
    ("words", s)
    for s in (
        b"squash:" + NUMBER,
        b"squash:\xc2\xb2",
        b"shortest-edge:" + NUMBER + b":crop:1",
        b"crop:9+" * 3000 + b"squash:8",
        b"squash:8+squash:8",
        b"+",
        b"rgb(999999999999999999999999,1,1)",
        b"hsl(1,1%,1e999%)",
        b"#" + b"f" * 5000,
        b"crop:" + NUMBER + b"+squash:8",
        b"jpeg:" + NUMBER + b"+squash:8",
    )
]
cases += [
    ("spec", s)
    for s in (
        b"lowpass:" + NUMBER + b"px",
        b"noise:5:seed=" + NUMBER,
        b"lowpass:1..2/0." + b"0" * 5000 + b"1px",
        b"+" * 5000,
        b"lowpass:1px+" * 5000 + b"none",
        b",".join([b"lowpass:5px"] * 20000),
        b"lowpass:\xd9\xa1px",
        b"fda:0.01:reference=%00",
        b"fda:0.01:reference=%ff",
        b"resize:" + b"9" * 400,
        b"blur:1e5",
        b"jpeg:\xc2\xb2",
        b"random-lowpass:" + b"9" * 400 + b".." + b"9" * 401 + b"px",
    )
]


@pytest.mark.parametrize(("name", "data"), cases, ids=lambda value: value if isinstance(value, str) else "")
def test_refused_in_one_line_and_soon_or_taken(name: str, data: bytes) -> None:
    check(PARSERS[name], data)
