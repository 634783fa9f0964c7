"""Probes on disk: safetensors with JSON metadata, no pickle."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialised

from bandprobe.errors import InputError
from bandprobe.files import write_whole
from bandprobe.probes.judged import Judged
from bandprobe.probes.linear import LinearProbe
from bandprobe.probes.model_folder import anchored, probe_in
from bandprobe.probes.novelty import Novelty

if TYPE_CHECKING:
    from bandprobe.probes.head_probe import HeadProbe

    Probe: TypeAlias = LinearProbe | HeadProbe

FORMAT = "bandprobe-linear-1"
HEAD_FORMAT = "bandprobe-head-1"
EXTERNAL = "external"  # what a probe that was trained elsewhere is trained on, for all we know

_JUDGED = ("threshold", "slope", "intercept", "validation")
_ARRAYS = {FORMAT: ("mean", "scale", "weight"), HEAD_FORMAT: ("mean", "scale", "readout")}
_SCALARS = {FORMAT: ("bias", *_JUDGED, "C"), HEAD_FORMAT: ("loss", "sizes", "bias", *_JUDGED)}
_HEAD = "head."  # before the names of a head's weights
_JUDGED_LOGITS = {"judged.real": "real", "judged.fake": "fake"}
_COUNTS = ("n_real", "n_fake")
_NOVELTY = ("mean", "scale", "centres", "directions", "variances")
_NOT_FACTS = ("probe", "novelty")  # fields of a probe file that are kept as arrays


@dataclass(frozen=True)
class ProbeFile:
    """A probe with what must be known to use it on new images."""

    probe: Probe
    encoder: str  # the name in tables
    source: str  # what loads the encoder: a short name, hub id or folder
    trained_on: str
    family: str  # of the training fakes: a family, or "all"
    train_filter: str
    fingerprint: dict[str, str]  # of the embeddings it was trained on; empty where that is not known
    training: dict[str, Any]  # counts by split and class, generators, seed, head, loss, switches, replicate
    key: str = ""  # hash of everything that decides the probe, to know it again
    # What knows images like those of training; None where that is not known
    novelty: Novelty | None = field(default=None, compare=False)

    @property
    def replicate(self) -> int:
        """Which resample of the training images it learnt from; 0 for the images themselves."""
        return int(self.training.get("replicate", 0))

    @property
    def file_name(self) -> str:
        """See `file_name`."""
        recipe = str(self.training.get("recipe", ""))
        trained_on = self.trained_on.removesuffix(recipe_set("", recipe))
        return file_name(self.encoder, trained_on, self.train_filter, self.replicate, recipe)


def recipe_set(name: str, recipe: str) -> str:
    """What `trained_on` says of a recipe's detector: `all (leace)`, so that no table takes it for the plain probe.

    That is what the recipe `plain` makes, and its name is the training set's alone.
    """
    return name if recipe in ("", "plain") else f"{name} ({recipe})"


def file_name(encoder: str, trained_on: str, train_filter: str, replicate: int = 0, recipe: str = "") -> str:
    """A probe's file name, unique in a run, where all probes have the same head and loss.

    That of a recipe for better detectors says so, since plain probes of the same name may lie beside it.

    A name with signs that a file name should not have is told from its look-alikes by a hash.
    """
    parts = (encoder, trained_on, train_filter)
    plain = [re.sub(r"[^\w.+@-]+", "-", part) for part in parts]
    stem = "__".join((plain[0], plain[1], plain[2].replace(".", "-")))
    if (plain[0], plain[1]) != (encoder, trained_on.replace("family:", "family-", 1)):
        stem += f"__{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"
    stem += f"__recipe-{recipe}" if recipe else ""
    return f"{stem}__replicate-{replicate}.safetensors" if replicate else f"{stem}.safetensors"


def save(file: ProbeFile, folder: Path) -> Path:
    """Write a probe into a folder.

    Raises:
        DiskError: it cannot be written.
    """
    probe = file.probe
    kind = FORMAT if isinstance(probe, LinearProbe) else HEAD_FORMAT
    facts = {
        "format": kind,
        **{name: getattr(probe, name) for name in _SCALARS[kind]},
        **{each.name: getattr(file, each.name) for each in fields(file) if each.name not in _NOT_FACTS},
    }
    extra, more = _of_validation(file)
    facts |= more
    # safetensors' metadata is text: each value stands as JSON.
    metadata = {name: json.dumps(value, sort_keys=True) for name, value in facts.items()}
    arrays = {name: np.ascontiguousarray(getattr(probe, name), np.float64) for name in _ARRAYS[kind]}
    if not isinstance(probe, LinearProbe):
        arrays |= {f"{_HEAD}{name}": np.ascontiguousarray(value) for name, value in probe.weights.items()}
    path = folder / file.file_name
    return write_whole(path, _in_order(serialised(arrays | extra, metadata)))


def _of_validation(file: ProbeFile) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """What is kept besides the probe, in single precision: arrays, and facts."""
    arrays: dict[str, NDArray[np.float32]] = {}
    facts: dict[str, Any] = {}
    if (judged := file.probe.judged) is not None:
        arrays |= {key: getattr(judged, name).astype(np.float32) for key, name in _JUDGED_LOGITS.items()}
        facts["judged"] = {name: getattr(judged, name) for name in _COUNTS}
    if (novelty := file.novelty) is not None:
        arrays |= {f"novelty.{name}": getattr(novelty, name).astype(np.float32) for name in _NOVELTY}
        facts["novelty"] = {"rest": novelty.rest, "threshold": novelty.threshold}
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}, facts


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its header sorted: the library writes metadata in an order that differs by chance."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the numbers begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + content[end:]


def load(path: str | Path) -> ProbeFile:
    """Read a probe.

    Args:
        path: its file, the folder that `bandprobe publish` wrote, or a model of the Hugging Face Hub (`owner/name`).

    Raises:
        InputError: no such file, or it is no probe of this format.
        EncoderError: the Hub has no such model.
        DiskError: the Hub cannot be reached.
    """
    path = probe_in(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            kind = metadata.pop("format")
            if kind not in _ARRAYS:
                raise ValueError("another format")
            arrays = {name: file.get_tensor(name).astype(np.float64) for name in _ARRAYS[kind]}
            held = {
                name: file.get_tensor(name).astype(np.float64)
                for name in file.keys()  # noqa: SIM118 - not a dictionary
                if name.startswith(("judged.", "novelty."))
            }
            weights = {
                name.removeprefix(_HEAD): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - not a dictionary
                if name.startswith(_HEAD)
            }
        scalars = {name: metadata.pop(name) for name in _SCALARS[kind]}
        scalars["judged"] = _judged(held, metadata.pop("judged", None))
        novelty = _novelty(held, metadata.pop("novelty", None))
        file = _checked(ProbeFile(probe=_probe(kind, arrays, scalars, weights), novelty=novelty, **metadata))
        return anchored(file, path)
    except FileNotFoundError:
        raise InputError(f"no probe at {str(path)!r}; `bandprobe train` makes them.") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{str(path)!r} is no probe of format {FORMAT} or {HEAD_FORMAT} ({reason}); give a file of a run's "
            "probes folder."
        ) from None


def _judged(held: dict[str, Any], counts: dict[str, Any] | None) -> Judged | None:
    if counts is None:
        return None
    real, fake = (np.sort(held[name]) for name in _JUDGED_LOGITS)
    numbers = {name: int(counts[name]) for name in _COUNTS}
    if real.ndim != 1 or fake.ndim != 1 or not real.size or not fake.size or min(numbers.values()) < 0:
        raise ValueError("judged logits must be two lists")
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise ValueError("judged logits must be finite")
    return Judged(real, fake, **numbers)


def _novelty(held: dict[str, Any], facts: dict[str, Any] | None) -> Novelty | None:
    if facts is None:
        return None
    mean, scale, centres, directions, variances = (held[f"novelty.{name}"] for name in _NOVELTY)
    shapes = (mean.shape, scale.shape, centres.shape, directions.shape, variances.shape)
    dim, kept = mean.size, variances.size
    if shapes != ((dim,), (dim,), (2, dim), (kept, dim), (kept,)):
        raise ValueError(f"novelty arrays do not fit each other, {shapes}")
    numbers = [float(facts[name]) for name in ("rest", "threshold")]
    finite = all(np.isfinite(part).all() for part in (mean, scale, centres, directions, variances, numbers))
    if not (finite and (scale > 0).all() and (variances > 0).all() and numbers[0] > 0):
        raise ValueError("novelty arrays must be finite, and variances above 0")
    return Novelty(mean, scale, centres, directions, variances, *numbers)


def _probe(kind: str, arrays: dict[str, Any], scalars: dict[str, Any], weights: dict[str, Any]) -> Probe:
    if kind == FORMAT:
        return LinearProbe(**arrays, **scalars)
    from bandprobe.probes.head_probe import HeadProbe

    return HeadProbe(**arrays, **scalars, weights=weights).checked()


def _checked(file: ProbeFile) -> ProbeFile:
    """The file, once its facts are of the kinds that they are used as.

    Raises:
        ValueError: one is not.
    """
    probe = file.probe
    texts = ("encoder", "source", "trained_on", "family", "train_filter", "key")
    if not all(isinstance(getattr(file, name), str) for name in texts):
        raise ValueError(f"{', '.join(texts)} must be text")
    if not (isinstance(file.fingerprint, dict) and isinstance(file.training, dict) and file.replicate >= 0):
        raise ValueError("fingerprint or training is no table")
    numbers = (probe.bias, probe.threshold, probe.slope, probe.intercept)
    if not all(isinstance(number, (int, float)) and number == number for number in numbers):  # noqa: PLR0124 - NaN
        raise ValueError("bias, threshold, slope and intercept must be numbers")
    if isinstance(probe, LinearProbe):
        arrays = (probe.mean, probe.scale, probe.weight)
        if {array.shape for array in arrays} != {(probe.mean.size,)} or not probe.mean.size:
            raise ValueError("mean, scale and weight must be of one length")
        if not all(np.isfinite(array).all() for array in arrays) or not probe.scale.all():
            raise ValueError("mean, scale and weight must be finite, and scale not 0")
    return file


def load_folder(folder: str | Path) -> list[ProbeFile]:
    """Every probe of a folder, by name.

    Raises:
        InputError: the folder holds none, or one cannot be read.
    """
    paths = sorted(Path(folder).glob("*.safetensors"))
    if not paths:
        raise InputError(f"no probe (*.safetensors) in {str(folder)!r}; `bandprobe train` makes them.")
    return [load(path) for path in paths]
