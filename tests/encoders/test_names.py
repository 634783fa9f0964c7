from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bandprobe import encoders
from bandprobe.encoders.compound_names import split
from bandprobe.errors import EncoderError


def found(name: str) -> list[tuple[str, str]]:
    return [(part.name, part.spec) for part in split(name)]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("spectral", [("spectral", "")]),
        ("spectral+pixel", [("spectral", ""), ("pixel", "")]),
        (
            "dinov2-giant@lowpass:30px+openclip-vit-g-14",
            [("dinov2-giant", "lowpass:30px"), ("openclip-vit-g-14", "")],
        ),
        ("a/b@jpeg:75+lowpass:30px+pixel", [("a/b", "jpeg:75+lowpass:30px"), ("pixel", "")]),
        ("pixel+a/b@jpeg:75+lowpass:30px", [("pixel", ""), ("a/b", "jpeg:75+lowpass:30px")]),
        ("a/b@identity+c/d@none+dct", [("a/b", "identity"), ("c/d", "none"), ("dct", "")]),
        ("a/b@thesis+dct", [("a/b", "thesis"), ("dct", "")]),
        ("timm:m@w.pt@lowpass:5px+dct", [("timm:m@w.pt", "lowpass:5px"), ("dct", "")]),
        ("a/lowpass-net+dct", [("a/lowpass-net", ""), ("dct", "")]),
    ],
)
def test_a_link_is_a_filter_or_the_next_encoder(name: str, parts: list[tuple[str, str]]) -> None:
    assert found(name) == parts


def test_what_is_on_disk_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a+b", "c@lowpass:5px", "lowpass"):
        Path(folder).mkdir()
    Path("w+x.pt").touch()
    Path("m+n.onnx").touch()
    assert found("a+b") == [("a+b", "")]
    assert found("a+b@lowpass:30px+spectral") == [("a+b", "lowpass:30px"), ("spectral", "")]
    assert found("spectral+a+b") == [("spectral", ""), ("a+b", "")]
    assert found("random:a+b+spectral") == [("random:a+b", ""), ("spectral", "")]
    assert found("c@lowpass:5px@highpass:2px") == [("c@lowpass:5px", "highpass:2px")]
    assert found("timm:m@w+x.pt+dct") == [("timm:m@w+x.pt", ""), ("dct", "")]
    assert found("detector:m+n.onnx@lowpass:5px") == [("detector:m+n.onnx", "lowpass:5px")]
    assert encoders.display_name(f"{tmp_path}/a+b@lowpass:30.0px+spectral") == "a+b@lowpass:30px+spectral"
    assert encoders.resolve("detector:m+n.onnx").name == "detector:m+n"
    assert [str(file) for file in encoders.resolve("spectral+timm:m@w+x.pt").files] == ["w+x.pt"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("spectral@lowpass:30.0px+pixel", "spectral@lowpass:30px+pixel"),
        ("spectral@jpeg:75+none+lowpass:.5nyq+pixel", "spectral@jpeg:75+lowpass:0.5nyq+pixel"),
        ("spectral@none+pixel", "spectral+pixel"),
        ("spectral@none", "spectral"),
        ("both=spectral+pixel", "both"),
        ("random:0:facebook/dinov2-small", "random:facebook/dinov2-small"),
        ("random:7:facebook/dinov2-small", "random:7:facebook/dinov2-small"),
        ("random:d=facebook/dinov2-small", "random:d"),
        ("random:dinov2-base#tokens", "random:dinov2-base#tokens"),
        ("random:dinov2-base+dinov2-base", "random:dinov2-base+dinov2-base"),
        ("detector:my.pack:score", "detector:my.pack:score"),
    ],
)
def test_display_names_are_canonical_and_read_back(name: str, shown: str) -> None:
    assert encoders.display_name(name) == shown
    if "=" not in name:
        assert encoders.display_name(shown) == shown


def test_ranges_stand_for_many() -> None:
    names = ["spectral", "dinov2-giant@lowpass:5..185/5px+openclip-vit-g-14"]
    every = encoders.expand_names(names)
    assert every == [
        "spectral",
        *(f"dinov2-giant@lowpass:{radius}px+openclip-vit-g-14" for radius in range(5, 186, 5)),
    ]
    assert len(every) == 1 + 37
    assert len({encoders.display_name(name) for name in every}) == 38
    both = encoders.expand_names(["pixel@lowpass:1..2/1px+dct@highpass:1..3/1px"])
    assert len(both) == 6
    assert both[1] == "pixel@lowpass:1px+dct@highpass:2px"
    assert len(encoders.expand_names(["pixel@thesis"])) == 39
    assert encoders.expand_names(["x=pixel@lowpass:2px", "a/b"]) == ["x=pixel@lowpass:2px", "a/b"]
    with pytest.raises(EncoderError, match=r"stands for 2 encoders, which cannot all be called 'x'"):
        encoders.expand_names(["x=pixel@lowpass:1..2/1px"])


def test_relative_paths_are_anchored(tmp_path: Path) -> None:
    for folder in ("enc/one", "a+b"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("m.onnx", "mine.py", "v.parquet", "w.pt"):
        (tmp_path / file).touch()
    t = tmp_path.resolve()
    for name, expected in {
        "enc/one": f"{t}/enc/one",
        "x=enc/one": f"x={t}/enc/one",
        "enc/one@lowpass:5px+y=a+b+spectral": f"{t}/enc/one@lowpass:5px+y={t}/a+b+spectral",
        "random:2:enc/one#tokens": f"random:2:{t}/enc/one#tokens",
        "random:z=enc/one": f"random:z={t}/enc/one",
        "detector:m.onnx": f"detector:{t}/m.onnx",
        "detector:./mine.py:f": f"detector:{t}/mine.py:f",
        "detector:enc:f": "detector:enc:f",
        "table:v.parquet": f"table:{t}/v.parquet",
        "timm:resnet50@w.pt": f"timm:resnet50@{t}/w.pt",
        "openclip:RN50/w.pt": f"openclip:RN50/{t}/w.pt",
        "facebook/dinov2-small": "facebook/dinov2-small",
        "dinov2-base": "dinov2-base",
    }.items():
        assert encoders.anchored(name, tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("dinov2-base", "random:dinov2-base"),
        ("d=dinov2-base", "random-d=random:dinov2-base"),
        ("spectral", None),
        ("random:dinov2-base", None),
        (
            "dinov2-base@lowpass:5px+spectral+clip-vit-b-16",
            "random:dinov2-base@lowpass:5px+spectral+random:clip-vit-b-16",
        ),
    ],
)
def test_twins(name: str, twin: str | None) -> None:
    assert encoders.twin(name) == twin
    if twin:
        assert encoders.twin(name, 3) == twin.replace("random:", "random:3:")
        encoders.resolve(twin)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spectral++pixel", "an encoder's name is empty"),
        ("+spectral", "an encoder's name is empty"),
        ("spectral+", "an encoder's name is empty"),
        ("spectral+lowpass:30px", "the filter 'lowpass:30px' follows no @"),
        ("dinov2-base@lowpas:30px", "unknown filter 'lowpas' behind @. Did you mean 'lowpass'"),
        ("spectral@lowpass:0px", "the cut-off must be above 0; got 0px"),
        ("spectral@lowpass:5..10/5px+pixel", "names 2 encoders where one is expected"),
        ("spectral@fda:0.01:reference=a+pixel", "fda cannot be an encoder's own filter"),
        ("spectral@inject:40px:reference=a", "inject cannot be an encoder's own filter"),
        ("spectral@noise:5", "noise cannot be an encoder's own filter"),
        ("spectral@lowpass:5px+random-lowpass:5..30px", "random-lowpass cannot be an encoder's own filter"),
        ("spectral@random-bandstop:5..30px", "random-bandstop cannot be an encoder's own filter"),
        ("random:spectral", "spectral has no weights to draw anew. Leave random: out"),
        ("random:pixel", "pixel has no weights"),
        ("random:detector:a:b", "detector:a:b has no weights"),
        ("random:random:dinov2-base", "has random weights already"),
        ("spectral#tokens", "spectral gives no tokens here. Choose"),
        ("timm:resnet50#tokens", "gives no tokens here"),
        ("dinov2-base#tokens+spectral", "tokens stay alone"),
        ("detector:none.onnx", "the ONNX file 'none.onnx' is not there"),
        ("detector:none.py:f", "the Python file 'none.py' is not there"),
        ("detector:nothing", "must have the form detector:FILE.onnx"),
        ("detector:a b:f", "must have the form detector:FILE.onnx"),
        ("table:none.parquet", "the Parquet file 'none.parquet' is not there"),
        ("spectral+dinov2-bas", "Did you mean 'dinov2-base'"),
    ],
)
def test_wrong_names_say_the_way_out_in_one_line(name: str, message: str) -> None:
    with pytest.raises(EncoderError) as caught:
        encoders.resolve(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_stays_alone(tmp_path: Path) -> None:
    (tmp_path / "v.parquet").touch()
    with pytest.raises(EncoderError, match="a table holds vectors and sees no image"):
        encoders.resolve(f"table:{tmp_path}/v.parquet+spectral")


def test_names_are_resolved_without_torch(tmp_path: Path, checkpoint: Any) -> None:
    code = (
        "import sys\nfrom bandprobe import encoders\n"
        f"names = encoders.expand_names(['pixel@lowpass:1..9/1px+random:{checkpoint('dinov2')[0]}'])\n"
        "names += ['dinov2-base#tokens', 'detector:a:b']\n"
        "for name in names: encoders.resolve(name).files, encoders.twin(name)\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
