"""An encoder's files: in a local folder, or fetched from the Hugging Face Hub into its cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from bandprobe import progress
from bandprobe.encoders.preprocessing import read_json
from bandprobe.errors import DiskError, EncoderError

# In the order in which transformers itself takes them.
_TRANSFORMERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_OPEN_CLIP = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_OPTIONAL = ("preprocessor_config.json", "processor_config.json")

_BLOCK = 1 << 22

# A file's path once it is on disk, or None where there is no such file.
Fetch: TypeAlias = Callable[[str], "Path | None"]


@dataclass(frozen=True)
class Checkpoint:
    """The files of one encoder on disk.

    Attributes:
        folder: holds `config.json`, or `open_clip_config.json` in open_clip's format.
        weights: the weight files, all shards in order; none where the configuration alone was asked for.
        revision: the hub's commit, or `local`.
        open_clip: whether the folder is in open_clip's format.
    """

    folder: Path
    weights: tuple[Path, ...]
    revision: str
    open_clip: bool


def from_folder(folder: Path, name: str, *, weights: bool = True) -> Checkpoint:
    """The checkpoint in a `save_pretrained` folder, or in a folder in open_clip's format.

    Args:
        folder: where it is.
        name: the encoder's, for messages.
        weights: whether its weights are wanted, or the configuration alone.

    Raises:
        EncoderError: the folder holds no configuration or no weights.
    """

    def fetch(filename: str) -> Path | None:
        path = folder / filename
        return path if path.is_file() else None

    found = _collect(fetch, name, "local", weights)
    if isinstance(found, Checkpoint):
        return found
    raise EncoderError(
        f"{folder} has no {found}; it is not a folder that save_pretrained or open_clip wrote. Give "
        "the folder that holds it."
    )


def from_hub(repository: str, name: str, revision: str | None, *, weights: bool = True) -> Checkpoint:
    """The checkpoint in a repository on the Hugging Face Hub; only what is needed is downloaded.

    Args:
        repository: `owner/model`.
        name: the encoder's, for messages.
        revision: a branch, tag or commit; the main branch by default.
        weights: whether its weights are wanted, or the configuration alone.

    Raises:
        EncoderError: no such repository or revision, a gated one, or one without usable files.
        DiskError: no network, and the files are not in the cache.
    """
    unreachable: list[Exception] = []

    def fetch(filename: str) -> Path | None:
        from huggingface_hub import errors, hf_hub_download

        # Once the network has failed, only the cache is asked; its retries are no news to the user.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        try:
            return Path(
                hf_hub_download(repository, filename, revision=revision, local_files_only=bool(unreachable))
            )
        except errors.LocalEntryNotFoundError as error:  # also an EntryNotFoundError, so it comes first
            unreachable.append(error)
            return None
        except errors.EntryNotFoundError:
            return None
        except Exception as error:
            raise hub_error(error, repository, name, revision) from error

    found = _collect(fetch, name, "hub", weights)
    if isinstance(found, Checkpoint):
        return found
    if unreachable:
        raise hub_error(unreachable[0], repository, name, revision) from unreachable[0]
    raise EncoderError(
        f"{name}: {repository} on the Hugging Face Hub has no {found}. Choose a model saved by "
        "transformers or open_clip."
    )


def hub_error(
    error: Exception, repository: str, name: str, revision: str | None = None
) -> EncoderError | DiskError:
    """What a failed download means, in one line with the way out."""
    from huggingface_hub import errors

    plain = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, plain):  # open_clip and timm wrap the hub's errors
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, errors.GatedRepoError):
        return EncoderError(
            f"{name} is gated: accept its licence at https://huggingface.co/{repository}, then run "
            "`hf auth login`."
        )
    if isinstance(cause, errors.RepositoryNotFoundError):
        return EncoderError(
            f"{name}: the Hugging Face Hub has no model {repository!r}. Check the spelling; for a "
            "private one run `hf auth login`."
        )
    if isinstance(cause, errors.RevisionNotFoundError):
        return EncoderError(
            f"{name}: {repository} has no revision {revision!r}. Leave revision out for the newest."
        )
    if isinstance(cause, errors.HFValidationError):
        return EncoderError(f"{name}: {repository!r} is not a Hugging Face model id (owner/model).")
    return DiskError(
        f"{name}: {repository} could not be fetched from the Hugging Face Hub, and is not in the cache "
        f"({one_line(error)}). Run once with a network, or check the path if a local folder was meant."
    )


def sha256(files: Iterable[Path]) -> str:
    """SHA-256 of the files' bytes, one after the other; of one file, what `sha256sum` prints.

    Raises:
        DiskError: a file cannot be read.
    """
    files = list(files)
    digest = hashlib.sha256()
    try:
        megabytes = sum(file.stat().st_size for file in files) // _BLOCK * 4
        with progress.bar("hash", megabytes, unit="MB") as step:
            for file in files:
                with file.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        digest.update(block)
                        step(4)
    except OSError as error:
        raise DiskError(f"the weights cannot be read: {error}. Fetch the file again.") from error
    return digest.hexdigest()


def state_sha256(module: torch.nn.Module) -> str:
    """SHA-256 of a module's tensors with their names, whatever file they came from."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        if not value.is_meta:  # there are shapes alone, of a model whose costs are counted
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def one_line(error: Exception) -> str:
    """What an error of another library says, fit to stand inside a message of one line."""
    words = " ".join(str(error).split()) or type(error).__name__
    return (words if len(words) <= 200 else words[:199] + "…").rstrip(".")


def _collect(fetch: Fetch, name: str, source: str, weights: bool) -> Checkpoint | str:
    """The checkpoint that `fetch` finds, or the name of the file that is missing."""
    for config_name, candidates in (("config.json", _TRANSFORMERS), ("open_clip_config.json", _OPEN_CLIP)):
        config = fetch(config_name)
        files = _weights(fetch, candidates, name) if config and weights else ()
        if config and (files or not weights):
            for filename in _OPTIONAL:
                fetch(filename)
            # The hub's cache keeps each commit's files in a folder named after it.
            revision = "local" if source == "local" else config.parent.name
            return Checkpoint(config.parent, files, revision, config_name.startswith("open_clip"))
    return "weights (model.safetensors)" if fetch("config.json") else "config.json"


def _weights(fetch: Fetch, candidates: tuple[str, ...], name: str) -> tuple[Path, ...]:
    for filename in candidates:
        path = fetch(filename)
        if path is None:
            continue
        if not filename.endswith(".index.json"):
            return (path,)
        shards = sorted(set(read_json(path).get("weight_map", {}).values()))
        paths = [fetch(shard) for shard in shards]
        missing = [shard for shard, found in zip(shards, paths, strict=True) if found is None]
        if missing or not shards:
            raise EncoderError(
                f"{name}: {filename} names {missing or 'no shards'}, not there. Fetch it again."
            )
        return tuple(found for found in paths if found is not None)
    return ()
