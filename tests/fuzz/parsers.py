"""Every parser of the package as a function of bytes: it comes back, or raises an error of the package's own."""

from __future__ import annotations

import io
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from bandprobe import config, filters
from bandprobe.encoders.compound_names import split
from bandprobe.encoders.names import resolve
from bandprobe.errors import BandprobeError
from bandprobe.images import Geometry, Manifest, build, decode_bytes, parse_colour
from bandprobe.images.tables import read_table, saved_dataset
from bandprobe.probes import files as probe_files
from bandprobe.probes.head_probe import HeadProbe
from bandprobe.probes.linear import LinearProbe
from bandprobe.protocol import Protocol
from bandprobe.store import EmbeddingStore, Rows

warnings.simplefilter("ignore")  # Pillow's, of odd metadata

Parser = Callable[[bytes], object]

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
_LONGEST = 2000  # of a message, besides what it repeats
SECONDS = 5.0  # of a processor, that one input may take


def check(parser: Parser, data: bytes) -> bool:
    """Whether the parser took the bytes; that a refusal is the package's own, one line, and soon is asserted."""
    start = time.process_time()
    try:
        parser(data)
    except BandprobeError as error:
        message = str(error)
        assert message, "no message"
        assert len(message.splitlines()) == 1, f"not one line: {message!r}"
        assert len(message) < _LONGEST + 8 * len(data), f"{len(message)} characters"
        return False
    finally:
        assert time.process_time() - start < SECONDS, "too slow"
    return True


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# --- the parsers ------------------------------------------------------------------------------------


def spec(data: bytes) -> None:
    """The grammar of filters; what it prints parses to the same filter."""
    for found in filters.expand(_text(data))[:40]:
        assert filters.parse(str(found)) == found


def name(data: bytes) -> None:
    """The names of encoders."""
    text = _text(data)
    split(text)
    resolve(text)


def words(data: bytes) -> None:
    """Geometries, colours and protocols."""
    text = _text(data)
    parsers: tuple[Callable[[str], object], ...] = (Geometry.parse, parse_colour, Protocol.parse)
    for parse in parsers:
        check(lambda _: parse(text), data)  # noqa: B023 - called at once


def study(data: bytes) -> None:
    """A study's TOML file."""
    config.read(_file("study.toml", data))


def _table_of_images(path: Path, data: bytes) -> None:
    """All that `index` does with a table: find its images, see where they lie, and open them."""
    check(lambda _: build(path, max_pixels=1_000_000, workers=1), data)
    read_table(path.as_posix())


def csv(data: bytes) -> None:
    """A table of images in text."""
    _table_of_images(_file("list.csv", data), data)


def parquet(data: bytes) -> None:
    """A table of images in Parquet, and a manifest."""
    path = _file("list.parquet", data)
    check(lambda _: Manifest.load(path), data)
    _table_of_images(path, data)


def arrow(data: bytes) -> None:
    """A table of images in Arrow's format."""
    _table_of_images(_file("list.arrow", data), data)


def saved(data: bytes) -> None:
    """The description of a folder that `save_to_disk` wrote."""
    other = _FOLDER / "saved"
    other.mkdir(exist_ok=True)
    for file in ("state.json", "dataset_dict.json"):
        (other / "state.json").unlink(missing_ok=True)
        (other / "dataset_dict.json").unlink(missing_ok=True)
        (other / file).write_bytes(data)
        check(lambda _: saved_dataset(str(other)), data)


def part(data: bytes) -> None:
    """A part of an embedding store."""
    store = EmbeddingStore(_FOLDER / "store")
    folder = store.partition("spectral", "none")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0.parquet").write_bytes(data)
    for _ in store.verify():
        pass
    store.fingerprint("spectral", "none")
    store.source("spectral")
    store.read("spectral", "none")


def probe(data: bytes) -> None:
    """A probe file."""
    found = probe_files.load(_file("probe.safetensors", data))
    assert isinstance(found.file_name, str)


def table(data: bytes) -> None:
    """Embeddings computed elsewhere."""
    from bandprobe.encoders.table import read

    read(_file("table.parquet", data), "table")


def image(data: bytes) -> None:
    """An image."""
    picture = decode_bytes(data, max_pixels=1_000_000)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.size <= 3_000_000


def layer(data: bytes) -> None:
    """A published probe's weights."""
    from bandprobe.probes.published import read

    read(_file("fc_weights.pth", data))


PARSERS: dict[str, Parser] = {
    "spec": spec, "name": name, "words": words, "study": study, "csv": csv, "parquet": parquet, "arrow": arrow,
    "saved": saved, "part": part, "probe": probe, "table": table, "image": image, "layer": layer,
}  # fmt: skip


# --- whole inputs to start from ---------------------------------------------------------------------


def _encoded(kind: str, mode: str = "RGB") -> bytes:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(out, kind)
    return out.getvalue()


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _part() -> bytes:
    rng = np.random.default_rng(0)
    rows = Rows(
        np.array(["a" * 64, "b" * 64], object),
        rng.normal(size=(2, 3)).astype(np.float32),
        np.zeros(2, np.float32),
        np.zeros(2, np.float32),
    )
    with EmbeddingStore(_FOLDER / "seeds") as store:
        written = store.write("spectral", {"filter": "none", "encoder.definition": "1"}, rows)
    assert written is not None
    return written.read_bytes()


def _probe() -> bytes:
    ones = np.ones(3)
    linear = LinearProbe(
        mean=ones, scale=ones, weight=ones, bias=0.5, threshold=0.1, slope=1.0, intercept=0.0, C=1.0, validation="val",
    )  # fmt: skip
    return _saved_probe(linear)


def _head() -> bytes:
    from bandprobe.probes import heads

    sizes = heads.sizes_of("mlp", 3, {})
    weights = {name: value.numpy() for name, value in heads.build(sizes).state_dict().items()}
    ones = np.ones(3)
    return _saved_probe(HeadProbe("bce", sizes, ones, ones, weights, np.ones(0), 0.0, 0.1, 1.0, 0.0, "split"))


def _saved_probe(probe: LinearProbe | HeadProbe) -> bytes:
    file = probe_files.ProbeFile(
        probe, "spectral", "spectral", "ProGAN", "gan", "none", {"filter": "none"}, {"seed": 0, "replicate": 0},
    )  # fmt: skip
    return probe_files.save(file, _FOLDER / "seeds").read_bytes()


def _layer() -> bytes:
    import torch

    out = io.BytesIO()
    torch.save({"weight": torch.ones(1, 4), "bias": torch.zeros(1)}, out)
    return out.getvalue()


def seeds() -> dict[str, list[bytes]]:
    """Whole inputs of each parser, for mutation."""
    listed = pa.table(
        {"path": ["a/0_real/1.png", "a/1_fake/2.png"], "label": [0, 1], "split": ["train", "test"]}
    )
    inside = pa.table({"image": pa.array([{"bytes": _encoded("PNG"), "path": None}]), "label": [0]})
    vectors = pa.table({"image_id": ["a" * 64], "filter": ["none"], "embedding": [[0.5, 1.5]]})
    return {
        "spec": [
            b"lowpass:30px", b"bandpass:40px:width=20px+jpeg:75", b"lowpass:5..185/5px", b"thesis",
            b"fda:0.01:reference=Real:seed=3", b"inject:lowpass:0.2nyq:reference=a%2Cb.png:split=val",
            b"highpass:10px:dc=zero:bits=8:order=2", b"random-lowpass:30..150px", b"resize:0.5,noise:5",
        ],
        "name": [
            b"dinov2-small", b"d=openclip:ViT-B-32/openai", b"timm:vit_tiny@x.pth", b"random:2:spectral#tokens",
            b"dinov2-giant@lowpass:30px+openclip-vit-g-14", b"detector:m:f", b"table:x.parquet", b"owner/model",
        ],
        "words": [b"squash:224", b"shortest-edge:256:bicubic:crop:192x224", b"#808080", b"thesis,abs_uint8"],
        "study": [
            b'[data]\nroot = "x"\nsplits = [0.7, 0.1, 0.2]\n[encoders]\nnames = ["spectral"]\n',
            b'[data]\nreal = "a"\nfakes = {ProGAN = "b"}\n[families]\ngan = ["ProGAN"]\n[run]\nseed = 1\n',
        ],
        "csv": [
            b"path,label\na/0_real/1.png,0\nb.png,1\n", b"a b.png 0\nc.png 1\n", b"\xef\xbb\xbfimage\tclass\nx\treal\n",
            b'filename;typ;split\n"a;b";ProGAN;train\n', b"path,generator,family,dataset\na,Real,,x\nb,ADM,gan,x\n",
        ],
        "parquet": [_parquet(listed), _parquet(inside), _parquet(listed.replace_schema_metadata({
            b"bandprobe.manifest": b'{"mapping": [], "notes": [], "background": [1, 2, 3]}'}))],
        "arrow": [_arrow(listed), _arrow(inside)],
        "saved": [b'{"splits": ["train"]}', b'{"_data_files": [{"filename": "a.arrow"}]}'],
        "part": [_part()],
        "probe": [_probe(), _head()],
        "table": [_parquet(vectors)],
        "image": [
            *(_encoded(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "ICO", "PCX", "QOI")),
            _encoded("PNG", "P"), _encoded("TIFF", "CMYK"), _encoded("JPEG", "L"),
        ],
        "layer": [_layer()],
    }  # fmt: skip
