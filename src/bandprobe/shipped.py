"""The pictures and weights that come with the package: found, and checked against what was shipped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bandprobe.errors import DiskError
from bandprobe.files import write_json

FOLDER = Path(__file__).with_name("embedded")
MANIFEST = "manifest.json"

_DATA = (".json", ".parquet", ".safetensors")
_FOR_PEOPLE = ("card.json", MANIFEST)  # no program needs them, and a card may be mended
_WAY_OUT = "Reinstall bandprobe, or make it again with python -m zoo.package"


def part(name: str) -> Path:
    """The folder of one part of what ships, each of its files as long as it was and with the same SHA-256.

    Args:
        name: `images`, or `encoders/` and an encoder's name.

    Raises:
        DiskError: a file is missing or damaged.
    """
    files = {path: said for path, said in _manifest().items() if path.startswith(f"{name}/")}
    if not files:
        raise DiskError(f"{FOLDER / name} is missing. {_WAY_OUT}.")
    for path, said in files.items():
        file = FOLDER / path
        try:
            found = _facts(file)
        except FileNotFoundError:
            raise DiskError(f"{file} is missing. {_WAY_OUT}.") from None
        except OSError as error:
            raise DiskError(f"{file} cannot be read: {error.strerror or error}. {_WAY_OUT}.") from error
        if found != said:
            size = f"; it has {found['bytes']:,} bytes" if found["bytes"] != said["bytes"] else ""
            raise DiskError(f"{file} is damaged: it is not the file that was shipped{size}. {_WAY_OUT}.")
    return FOLDER / name


def seal(folder: Path) -> int:
    """Record what lies in a folder that ships, in its `manifest.json`: each file's size and SHA-256.

    Args:
        folder: whole; cards and licences in it are not recorded, being for people.

    Returns:
        The size of all its files together, in bytes.
    """
    files = sorted(
        path for path in folder.rglob("*") if path.suffix in _DATA and path.name not in _FOR_PEOPLE
    )
    write_json(folder / MANIFEST, {path.relative_to(folder).as_posix(): _facts(path) for path in files})
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _manifest() -> dict[str, dict[str, int | str]]:
    path = FOLDER / MANIFEST
    try:
        files: dict[str, dict[str, int | str]] = json.loads(path.read_text(encoding="utf-8"))
        return {name: {"bytes": said["bytes"], "sha256": said["sha256"]} for name, said in files.items()}
    except FileNotFoundError:
        raise DiskError(f"{path} is missing. {_WAY_OUT}.") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise DiskError(f"{path} is damaged. {_WAY_OUT}.") from None


def _facts(path: Path) -> dict[str, int | str]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
