"""Pictures for the page that a run does not hold yet, made while its images are still where they were indexed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bandprobe import progress
from bandprobe.analysis.mistakes import write_mistakes
from bandprobe.analysis.radius_pictures import masks_of, write_radius
from bandprobe.errors import BandprobeError
from bandprobe.images import MAX_PIXELS, Geometry
from bandprobe.images.places import is_there
from bandprobe.remote import is_remote
from bandprobe.report.run_directory import Run

_NEEDED = ("image_id", "path", "label", "generator", "family", "dataset", "split")


def make_pictures(run: Run) -> None:
    """Make `mistakes.csv` and `radius.npz`, each with its pictures, where a run lacks them and they can be made.

    They come from the run's scores and from the images of its manifest on this disk. Only a picture whose pixels have
    the identity in the manifest is taken, and nothing is fetched from elsewhere. What cannot be made is left out.
    """
    wanted = {
        name: make
        for name, make in (("mistakes.csv", _mistakes), ("radius.npz", _radius))
        if not all((run.folder / name).with_suffix(end).is_file() for end in (Path(name).suffix, ".parquet"))
    }
    manifest = _manifest(run.folder / "manifest.parquet") if wanted else None
    if manifest is None:
        return
    for name, make in wanted.items():
        try:
            make(run, run.folder / name, manifest)
        except BandprobeError as error:
            progress.say(f"{name} could not be made: {error}")


def _mistakes(run: Run, path: Path, manifest: pd.DataFrame) -> None:
    scores, thresholds = run.folder / "scores.parquet", run.analyses.get("confusion")
    if not scores.is_file() or thresholds is None:
        return
    conditions = run.results.drop_duplicates("filter")
    cutoffs = dict(zip(conditions["filter"], conditions["cutoff_nyq"], strict=True))
    write_mistakes(path, scores, thresholds, manifest, cutoffs, **_reading(run))


def _radius(run: Run, path: Path, manifest: pd.DataFrame) -> None:
    geometry, recipe = str(run.record.get("geometry", "native")), _data(run).get("equalise")
    filters = [str(spec) for spec in run.results["filter"].unique()]
    there = manifest["path"].map(lambda path: not is_remote(path) and is_there(path))
    if geometry.startswith("native") or recipe == "auto" or not masks_of(filters) or not there.any():
        return
    grid = Geometry.parse(f"{recipe}+{geometry}" if recipe else geometry)
    switches = str(run.record.get("protocol") or "")
    seed = int(run.record.get("seed") or 0)
    abs_uint8 = "thesis" in switches or "abs_uint8" in switches
    write_radius(path, manifest, filters, grid, abs_uint8=abs_uint8, seed=seed, **_reading(run))


def _reading(run: Run) -> dict[str, Any]:
    data = _data(run)
    return {
        "background": str(data.get("background", "white")),
        "max_pixels": int(data.get("max_pixels", MAX_PIXELS)),
        "allowed": lambda path: not is_remote(path),
    }


def _data(run: Run) -> Mapping[str, Any]:
    config = run.record.get("config")
    data = config.get("data") if isinstance(config, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def _manifest(path: Path) -> pd.DataFrame | None:
    try:
        found: pd.DataFrame = pd.read_parquet(path)
    except (OSError, ValueError):
        return None
    return found if set(_NEEDED) <= set(found) else None
