"""A probe as a Hugging Face model folder: weights, settings and a card that says what it can and cannot do."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bandprobe._version import __version__
from bandprobe.encoders import resolve
from bandprobe.encoders.names import Reference
from bandprobe.errors import DiskError, EncoderError, InputError
from bandprobe.files import output_folder, write_json, write_whole
from bandprobe.probes import ProbeFile, load, save
from bandprobe.probes.model_folder import CONFIG, ENCODER, WEIGHTS
from bandprobe.report.card_facts import Facts, facts_of, held_out_alarms
from bandprobe.report.model_card import base_models, model_card
from bandprobe.report.run_directory import read_run

CARD = "README.md"
_WRITTEN = {WEIGHTS, CONFIG, CARD, ENCODER, ".gitattributes", ".git"}
_NEEDED = ("config.json", "preprocessor_config.json")  # of an encoder, beside its weights
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")


@dataclass(frozen=True)
class Publication:
    """What was written.

    Attributes:
        folder: the model folder.
        files: what lies in it.
        run: the run that the card tells of; empty where there was none.
        notes: what whoever publishes it should know.
    """

    folder: str
    files: tuple[str, ...]
    run: str
    notes: tuple[str, ...]


def publish(
    probe: str | Path,
    out: str | Path,
    *,
    run: str | Path | None = None,
    name: str | None = None,
    licence: str = "",
    data_licence: str = "",
) -> Publication:
    """Write a probe as a folder that `bandprobe score --probe` takes, and the Hugging Face Hub.

    Args:
        probe: a probe's file.
        out: the folder to write; what an earlier publication left there is replaced.
        run: the run that the probe comes from, for the card; by default that in whose `probes` folder it lies.
        name: the model's; by default the file's.
        licence: of the probe, as the Hub writes it: `apache-2.0`, `cc-by-nc-4.0` ...
        data_licence: of the training images, in words.

    Raises:
        InputError: no probe, no run, a licence that is no word of the Hub's, a probe that cannot be used elsewhere, or
            a folder that holds something else.
        DiskError: it cannot be written.
    """
    file, folder = load(probe), Path(out)
    if licence and not _LICENCE.fullmatch(licence):
        raise InputError(
            f"a licence must be a word of the Hugging Face Hub's, e.g. apache-2.0 or cc-by-nc-4.0; got {licence!r}. "
            "Where none of them fits, give other."
        )
    if "reference=" in file.train_filter:
        raise InputError(
            f"this probe's images go through {file.train_filter!r}, which draws on images that nobody else has; "
            "publish one without a reference."
        )
    held = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    if wrong := [each for each in held if each not in _WRITTEN]:
        raise InputError(
            f"{str(out)!r} holds {wrong[0]!r}, which is not of a published probe; give another --out."
        )
    source = _run_of(Path(probe), run)
    facts = facts_of(file, read_run(source)) if source else Facts(condition=file.train_filter)
    called = (name or folder.resolve().name).strip()
    notes = (
        [] if source else ["no run is known: the card says nothing of how well it does; name one with --run"]
    )
    if source and not facts.cells:
        notes.append(f"the run {str(source)!r} holds no result of this probe: the card says so")
    if not licence:
        notes.append("no licence is given: nobody may use it; name one with --licence")
    staged = output_folder(folder.resolve().parent) / f".{folder.resolve().name}.partial"
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        portable, encoder_note = _with_encoder(file, staged)
        notes += [encoder_note] if encoder_note else []
        save(portable, staged).rename(staged / WEIGHTS)
        write_json(staged / CONFIG, config_of(portable))
        card = model_card(
            portable,
            facts,
            name=called,
            place=folder.name or called,
            licence=licence,
            data_licence=data_licence,
            encoder_note=encoder_note,
        )
        write_whole(staged / CARD, card.encode("utf-8", "backslashreplace"))
        _put(staged, folder)
    except OSError as error:
        if isinstance(error, DiskError):
            raise
        raise DiskError(f"{folder} cannot be written: {error.strerror or error}. Free the disk.") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    files = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())
    return Publication(str(folder), tuple(files), str(source or ""), tuple(notes))


def config_of(file: ProbeFile) -> dict[str, Any]:
    """The settings of a probe, for programs that do not read its weights: `config.json`."""
    made, probe, alarms = file.fingerprint, file.probe, held_out_alarms(file)
    encoder: dict[str, Any] = {
        key.removeprefix("encoder."): _numbers(value) if key.endswith(("mean", "std")) else value
        for key, value in made.items()
        if key.startswith("encoder.")
    }
    return {
        "model_type": "bandprobe",
        "bandprobe_version": __version__,
        "head": str(file.training.get("head", "linear")),
        "id2label": {"0": "real", "1": "fake"},
        "label2id": {"real": 0, "fake": 1},
        "base_model": base_models(file),
        "encoder": {"name": file.encoder, "source": file.source, **encoder},
        "preprocessing": {
            "geometry": made.get("geometry"),
            "background": made.get("background"),
            "filter": file.train_filter,
        },
        "threshold": probe.threshold,
        "calibration": {
            "method": "platt",
            "slope": probe.slope,
            "intercept": probe.intercept,
            "validation": probe.validation,
            "false_alarm_rate": None if alarms is None else asdict(alarms),
        },
        "trained_on": file.trained_on,
        "family": file.family,
        "training": file.training,
    }


def _numbers(text: str) -> list[float] | str:
    """`0.5 0.5 0.5` as numbers; any other text as it is."""
    try:
        return [float(part) for part in text.split()]
    except ValueError:
        return text


def _run_of(probe: Path, given: str | Path | None) -> Path | None:
    if given is not None:
        return Path(given)
    above = probe.resolve().parent.parent
    return above if (above / "results.parquet").is_file() else None


def _with_encoder(file: ProbeFile, folder: Path) -> tuple[ProbeFile, str]:
    """The probe with an encoder that loads elsewhere, and a note where that cannot be.

    An encoder in a folder of one's own comes along, if its weights are safetensors. A path of this machine is never
    published.
    """
    what = re.search(r"#(tokens|layer\d+)$", file.source)
    tokens = what[0] if what else ""
    try:
        reference: Reference | None = resolve(file.source)
    except EncoderError:
        reference = None
    if reference is not None and reference.kind == "folder" and reference.random is None:
        if not _copy(Path(reference.target).expanduser(), folder / ENCODER):
            return replace(file, source=file.encoder), _elsewhere(file)
        return replace(file, source=f"./{ENCODER}{tokens}"), ""
    local = reference is None or (reference.kind != "shipped" and bool(reference.files))
    if local or re.search(r"(^|[=:@/+])(/|~|\.\.?/)", file.source):
        return replace(file, source=file.encoder), _elsewhere(file)
    return file, ""


def _elsewhere(file: ProbeFile) -> str:
    return f"Its encoder, {file.encoder}, is not part of this folder; say where it is with `--encoder`."


def _copy(source: Path, target: Path) -> bool:
    weights = sorted(source.glob("*.safetensors")) + sorted(source.glob("*.safetensors.index.json"))
    if not weights or not (source / _NEEDED[0]).is_file():
        return False
    target.mkdir()
    for path in [*(source / name for name in _NEEDED), *weights]:
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    return True


def _put(staged: Path, folder: Path) -> None:
    """The new folder in the old one's place; a repository's own files stay."""
    if not folder.exists():
        staged.rename(folder)
        return
    for name in (WEIGHTS, CONFIG, CARD):
        (staged / name).replace(folder / name)
    shutil.rmtree(folder / ENCODER, ignore_errors=True)
    if (staged / ENCODER).is_dir():
        (staged / ENCODER).rename(folder / ENCODER)
