"""Pictures of a few pixels, and tables of them, told apart by a name alone."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pyarrow as pa
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def pixels(name: str, size: tuple[int, int] = (5, 4)) -> np.ndarray:
    """Noise that the name alone decides: uint8, shape (H, W, 3)."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def png(name: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels(name)).save(out, "PNG")
    return out.getvalue()


def hugging_face(features: dict[str, object]) -> dict[str, str]:
    return {"huggingface": json.dumps({"info": {"features": features}})}


def image_table(rows: list[tuple[str, int]], names: list[str] | None = None) -> pa.Table:
    """A table as Hugging Face writes it: column `image` with the pictures called so, column `label`."""
    table = pa.table(
        {
            "image": pa.array([{"bytes": png(name), "path": None} for name, _ in rows], IMAGE),
            "label": pa.array([label for _, label in rows], pa.int64()),
        }
    )
    label = {"names": names, "_type": "ClassLabel"} if names else {"dtype": "int64", "_type": "Value"}
    return table.replace_schema_metadata(hugging_face({"image": {"_type": "Image"}, "label": label}))
