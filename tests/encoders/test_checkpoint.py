"""The Hugging Face Hub, played by a folder: no network is touched."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from bandprobe import encoders
from bandprobe.encoders.checkpoint import hub_error, sha256
from bandprobe.errors import DiskError, EncoderError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Response:
    """As much of an HTTP response as the hub's errors look at."""

    headers: dict[str, str] = {}  # noqa: RUF012 - never written
    request = None
    status_code = 403


def failure(kind: type[Exception]) -> Exception:
    return (
        kind("many\nlines", response=Response())
        if issubclass(kind, errors.HfHubHTTPError)
        else kind("many\nlines")
    )


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """The folder of one commit in the cache, and the names of the files that were asked for."""
    folder = tmp_path / "models--owner--model" / "snapshots" / COMMIT
    asked: list[str] = []

    def download(repository: str, filename: str, *, revision: str | None = None, **_: Any) -> str:
        assert repository == "owner/model"
        asked.append(filename)
        if not (folder / filename).is_file():
            raise failure(errors.RemoteEntryNotFoundError)
        return str(folder / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return folder, asked


def test_only_what_is_needed_is_downloaded(hub: tuple[Path, list[str]], checkpoint: Any, images: Any) -> None:
    folder, asked = hub
    source, _ = checkpoint("clip")
    shutil.copytree(source, folder)
    (folder / "pytorch_model.bin").write_bytes(b"a second copy of the weights")
    encoder = encoders.load("owner/model", device="cpu")
    assert encoder.name == "owner/model"
    assert encoder.fingerprint["revision"] == COMMIT
    assert (encoder.encode(images) == encoders.load(str(source), device="cpu").encode(images)).all()
    assert "pytorch_model.bin" not in asked


def test_a_twin_downloads_no_weights(hub: tuple[Path, list[str]], checkpoint: Any, images: Any) -> None:
    folder, asked = hub
    source, _ = checkpoint("clip")
    shutil.copytree(source, folder)
    twin = encoders.load("random:owner/model", device="cpu")
    assert (twin.name, twin.fingerprint["revision"]) == ("random:owner/model", COMMIT)
    assert not [name for name in asked if name.endswith((".safetensors", ".bin"))]
    assert (twin.encode(images) == encoders.load(f"random:{source}", device="cpu").encode(images)).all()


def test_a_repository_without_usable_files(hub: tuple[Path, list[str]]) -> None:
    with pytest.raises(EncoderError, match=r"owner/model on the Hugging Face Hub has no config\.json"):
        encoders.load("owner/model")


@pytest.mark.parametrize(
    ("kind", "expected", "message"),
    [
        (
            errors.GatedRepoError,
            EncoderError,
            "accept its licence at https://huggingface.co/owner/model.*hf auth login",
        ),
        (errors.RepositoryNotFoundError, EncoderError, "has no model 'owner/model'"),
        (errors.RevisionNotFoundError, EncoderError, "has no revision 'v9'"),
        (errors.HFValidationError, EncoderError, "is not a Hugging Face model id"),
        (errors.LocalEntryNotFoundError, DiskError, "Run once with a network"),
        (errors.OfflineModeIsEnabled, DiskError, "Run once with a network"),
        (errors.HfHubHTTPError, DiskError, "could not be fetched"),
        (OSError, DiskError, "could not be fetched"),
    ],
)
def test_what_failed_downloads_mean(
    kind: type[Exception], expected: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise failure(kind)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(expected, match=message) as caught:
        encoders.load("owner/model", revision="v9")
    assert "\n" not in str(caught.value)


def test_an_error_of_the_hub_inside_another_librarys() -> None:
    outer = RuntimeError("Failed to download weights")
    outer.__cause__ = failure(errors.GatedRepoError)
    assert "accept its licence" in str(hub_error(outer, "owner/model", "x"))
    assert isinstance(hub_error(RuntimeError("timed out"), "owner/model", "x"), DiskError)


def test_a_missing_shard(checkpoint: Callable[[str], Any], tmp_path: Path) -> None:
    checkpoint("dinov2")[1].save_pretrained(tmp_path, max_shard_size="60KB")
    sorted(tmp_path.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(EncoderError, match=r"model\.safetensors\.index\.json names \['model-00002"):
        encoders.load(str(tmp_path))


def test_the_hash_is_of_all_shards_in_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"second")
    assert sha256([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(b"firstsecond").hexdigest()
    with pytest.raises(DiskError, match="the weights cannot be read"):
        sha256([tmp_path / "c"])
