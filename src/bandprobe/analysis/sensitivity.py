"""Which frequencies a probe's logit, its AUROC and an encoder's vectors depend on: `sensitivity`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats

from bandprobe import progress, seeding
from bandprobe.analysis.coalitions import Bands
from bandprobe.analysis.input_gradients import LogitMaps, auroc_weights, embedding_energy, logit_maps
from bandprobe.analysis.input_gradients import curvature as curvature_of
from bandprobe.analysis.perturbation import Place, lattice, logit_steps, places_table, step_length
from bandprobe.analysis.sources import Source, drawn_sources
from bandprobe.encoders import Encoder
from bandprobe.errors import InputError, did_you_mean
from bandprobe.files import replacing, write_whole
from bandprobe.metrics.fourier_maps import ORIENTATIONS, orientation_profile, radial_profile, ring_sizes
from bandprobe.probes.files import ProbeFile

METHODS = ("gradient", "perturb")
COLUMNS = (
    "encoder", "trained_on", "train_filter", "quantity", "method", "source", "family", "dataset", "axis", "place",
    "value", "low", "high", "n",
)  # fmt: skip
CURVATURE = (
    "encoder", "trained_on", "train_filter", "source", "family", "dataset", "band", "low_nyq", "high_nyq", "value",
    "low", "high", "n",
)  # fmt: skip
AGREEMENT = ("encoder", "trained_on", "train_filter", "quantity", "pearson_log", "spearman", "places", "n")
SAMPLES = 64
_BATCH = 8
_CHECKED = 16  # images of each source on which the two methods are compared
_RESAMPLES = 1000

Floats = NDArray[np.float64]
# Image ids -> those that could be read, and their pixels in [0, 1], shape (n, 3, h, w), on the grid.
Read = Callable[[Sequence[str]], tuple[list[str], torch.Tensor]]


@dataclass
class Sensitivity:
    """What was found.

    Attributes:
        profiles: a row for each encoder, probe, quantity, source, axis and place, with `COLUMNS`. `axis` is
            `radial` (place: fraction of Nyquist) or `orientation` (degrees); `value` is the mean energy there, with
            its interval over images.
        maps: mean energy of each coefficient, shifted, by `encoder|trained_on|train_filter|quantity|source`.
        agreement: the correlation of both methods over frequencies, with `AGREEMENT`.
        curvature: a row for each encoder, probe, source and band, with `CURVATURE`: the logit's second derivative along
            random images of the band, of unit L2 norm; see `input_gradients.curvature`.
    """

    profiles: pd.DataFrame
    maps: dict[str, Floats] = field(default_factory=dict)
    agreement: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(AGREEMENT)))
    curvature: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(CURVATURE)))


def sensitivity(
    encoders: Sequence[Encoder],
    probes: Sequence[ProbeFile],
    manifest: pd.DataFrame,
    read: Read,
    *,
    method: str = "gradient",
    agreement: bool = True,
    curvature: Bands | None = None,
    samples: int = SAMPLES,
    draws: int = 4,
    rings: int = 12,
    sectors: int = 6,
    seed: int = 0,
) -> Sensitivity:
    """Map which frequencies matter, at unfiltered test images.

    `gradient` takes one forward pass an image and encoder, and one backward pass for each probe, for the whole
    plane; `perturb` two phases and two signs of passes for each frequency of a lattice. An encoder without gradients
    is perturbed, and it is said.

    Quantities: `logit`, a probe's raw score; `auroc`, the smooth surrogate of its AUROC (see
    `input_gradients.auroc_weights`) over all images of a data set; `embedding`, the vector's displacement, with
    `trained_on` empty. Maps average energies, never complex gradients. Of what images themselves hold, by `gradient`
    alone: `logit amplitude` and `auroc amplitude`, the signed change by a ring's relative growth in all images (sums
    over rings; over a data set's sources, weighted by their images, they are the derivative by the ring's log gain),
    and `logit phase`, squared logits for each squared radian.

    Args:
        encoders: loaded.
        probes: of these encoders; those trained on unfiltered images are used.
        manifest: its test split is used.
        read: gives pictures on the study's grid.
        method: `gradient` or `perturb`.
        agreement: whether `perturb` is set beside `gradient` on a few images.
        curvature: bands of the grid in which the second order is asked too, on a few images; none by default.
        samples: images of each source at most.
        draws: random vectors for each image, for the embedding.
        rings: radii of the lattice.
        sectors: directions of the lattice.
        seed: of draws of images, vectors and signs.

    Returns:
        Profiles with 95 % percentile intervals over images, maps, and how far the methods agree.

    Raises:
        InputError: an unknown method, no image, or no probe of an encoder.

    Source:
        Yin et al. 2019 (arXiv:1906.08988) for `perturb`.
    """
    if method not in METHODS:
        raise InputError(
            f"method must be {' or '.join(METHODS)}; got {method!r}.{did_you_mean(method, METHODS)}"
        )
    if samples < 1:
        raise InputError(f"samples must be at least 1 image of each source; got {samples}.")
    sources = drawn_sources(manifest, samples, seed, "sensitivity")
    if not sources:
        raise InputError(
            "no image stands in the test split; index the data with a test split, or with splits made."
        )
    found = Sensitivity(pd.DataFrame(columns=list(COLUMNS)))
    tables: list[pd.DataFrame] = []
    for encoder in encoders:
        its = [file for file in probes if file.encoder == encoder.name and file.train_filter == "none"]
        way = method
        if method == "gradient" and encoder.why_no_gradient:
            progress.say(
                f"{encoder.name} has no gradient ({encoder.why_no_gradient}); it is perturbed instead."
            )
            way = "perturb"
        logits = _logits(encoder, its, sources, read)
        scale = _weights(its, sources, logits)
        for source in sources:
            gathered = _Gathered(encoder.name, source, way)
            with progress.bar(
                f"sensitivity {encoder.name} {source.name}", len(source.image_id), "images"
            ) as step:
                for number, (ids, images) in enumerate(_batches(source, read, encoder)):
                    if way == "gradient":
                        _, maps = logit_maps(encoder, [file.probe for file in its], images)
                        moved = embedding_energy(
                            encoder, images, draws=draws, seed=seed, batch=f"{source.name} {number}"
                        )
                        gathered.add(ids, its, [*(one.energy for one in maps), moved], scale, _plane)
                        gathered.add_own(ids, its, maps, scale)
                    else:
                        shape = (int(images.shape[-2]), int(images.shape[-1]))
                        places = lattice(shape, rings, sectors)
                        steps = logit_steps(
                            encoder, [file.probe for file in its], images, places,
                            length=step_length(min(shape)), seed=seed,
                        )  # fmt: skip
                        gathered.add(ids, its, list(steps), scale, _Lattice(shape, places))
                    step(len(ids))
            tables.append(gathered.table(seed))
            found.maps.update(gathered.maps())
        if agreement and way == "gradient":
            rows = _agreement(encoder, its, sources, read, rings, sectors, seed)
            found.agreement = pd.concat([found.agreement, rows]) if len(found.agreement) else rows
        if curvature is not None and way == "gradient":
            rows = _curvature(encoder, its, sources, read, curvature, draws, seed)
            found.curvature = pd.concat([found.curvature, rows]) if len(found.curvature) else rows
    found.profiles = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    return found


Energy = Floats  # (n, h, w) of a plane, or (n, places) of a lattice
Profiles = Callable[[Energy], tuple[Floats, Floats, Floats]]


def _plane(energy: Energy) -> tuple[Floats, Floats, Floats]:
    """Radial profiles, orientation profiles, and the sum of maps, of energies on the whole plane."""
    return radial_profile(energy), orientation_profile(energy), energy.sum(0)


class _Lattice:
    """The same of energies at some frequencies; what has none there is NaN."""

    def __init__(self, shape: tuple[int, int], places: Sequence[Place]) -> None:
        self._shape, self._places = shape, places
        nyquist, angle = places_table(shape, places)
        self._ring = np.rint(nyquist * (min(shape) / 2)).astype(int)
        self._sector = (np.rint(angle / (180 / ORIENTATIONS)) % ORIENTATIONS).astype(int)

    def __call__(self, energy: Energy) -> tuple[Floats, Floats, Floats]:
        whole = np.full(self._shape, np.nan)
        for (row, column), value in zip(self._places, energy.sum(0), strict=True):
            whole[row, column] = value
            mirrored = (2 * (self._shape[0] // 2) - row, 2 * (self._shape[1] // 2) - column)
            if 0 <= mirrored[0] < self._shape[0] and 0 <= mirrored[1] < self._shape[1]:
                whole[mirrored] = value  # the conjugate
        return (
            _means(energy, self._ring, min(self._shape) // 2 + 1),
            _means(energy, self._sector, ORIENTATIONS),
            whole,
        )


def _means(energy: Floats, number: NDArray[np.int_], bins: int) -> Floats:
    found = np.full((len(energy), bins), np.nan)
    for one in np.unique(number):
        found[:, one] = energy[:, number == one].mean(1)
    return found


Key = tuple[str, str, str]  # trained_on, train_filter, quantity


class _Gathered:
    """Profiles of each image and the sum of maps, of one encoder and source."""

    def __init__(self, encoder: str, source: Source, method: str) -> None:
        self._encoder, self._source, self._method = encoder, source, method
        self._radial: dict[Key, list[Floats]] = {}
        self._orientation: dict[Key, list[Floats]] = {}
        self._map: dict[Key, Floats] = {}
        self._n = 0

    def add(
        self,
        ids: Sequence[str],
        files: Sequence[ProbeFile],
        energies: Sequence[Energy],
        scale: Sequence[dict[str, float]],
        profiles: Profiles,
    ) -> None:
        """Add a batch: one energy for each probe, and the embedding's."""
        self._n += len(ids)
        for number, energy in enumerate(energies):
            radial, angular, whole = profiles(energy)
            if number == len(files):
                self._keep(("", "none", "embedding"), radial, angular, whole)
                continue
            file = files[number]
            self._keep((file.trained_on, file.train_filter, "logit"), radial, angular, whole)
            weight = np.array([scale[number].get(image, np.nan) for image in ids]) ** 2
            if np.isfinite(weight).all():
                shaped = weight.reshape(-1, *[1] * (energy.ndim - 1))
                self._keep(
                    (file.trained_on, file.train_filter, "auroc"),
                    weight[:, None] * radial,
                    weight[:, None] * angular,
                    profiles(shaped * energy)[2],
                )

    def add_own(
        self,
        ids: Sequence[str],
        files: Sequence[ProbeFile],
        maps: Sequence[LogitMaps],
        scale: Sequence[dict[str, float]],
    ) -> None:
        """Add what amplitudes and phases do that the images themselves hold."""
        for file, one, weights in zip(files, maps, scale, strict=True):
            trained = (file.trained_on, file.train_filter)
            grown = radial_profile(one.amplitude) * ring_sizes(one.amplitude.shape[-2:])
            self._keep((*trained, "logit amplitude"), grown, None, one.amplitude.sum(0))
            turned = one.phase**2
            self._keep((*trained, "logit phase"), *_plane(turned))
            weight = np.array([weights.get(image, np.nan) for image in ids])
            if np.isfinite(weight).all():
                whole = (weight[:, None, None] * one.amplitude).sum(0)
                self._keep((*trained, "auroc amplitude"), weight[:, None] * grown, None, whole)

    def _keep(self, key: Key, radial: Floats, angular: Floats | None, whole: Floats) -> None:
        self._radial.setdefault(key, []).append(radial)
        if angular is not None:
            self._orientation.setdefault(key, []).append(angular)
        self._map[key] = self._map.get(key, 0.0) + whole

    def table(self, seed: int) -> pd.DataFrame:
        """Means over images with their intervals, as rows of `COLUMNS`."""
        tables = []
        for axis, held in (("radial", self._radial), ("orientation", self._orientation)):
            for key, parts in held.items():
                values = np.concatenate(parts)
                mean, low, high = _interval(values, seed, self._encoder, self._source)
                last = values.shape[1] - 1
                place = (
                    np.arange(last + 1) / last if axis == "radial" else 180 / (last + 1) * np.arange(last + 1)
                )
                trained_on, train_filter, quantity = key
                rows = pd.DataFrame({"axis": axis, "place": place, "value": mean, "low": low, "high": high})
                rows = rows.assign(
                    encoder=self._encoder, trained_on=trained_on, train_filter=train_filter, quantity=quantity,
                    method=self._method, source=self._source.name, family=self._source.family,
                    dataset=self._source.dataset, n=len(values),
                )  # fmt: skip
                tables.append(rows[rows["value"].notna()])
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))

    def maps(self) -> dict[str, Floats]:
        """Mean maps by `encoder|trained_on|train_filter|quantity|dataset|source`."""
        source = f"{self._source.dataset}|{self._source.name}"
        return {"|".join((self._encoder, *key, source)): whole / self._n for key, whole in self._map.items()}


def _interval(values: Floats, seed: int, encoder: str, source: Source) -> tuple[Floats, Floats, Floats]:
    """Means over images, and 95 % percentile intervals: images drawn anew, the same for every place."""
    rng = seeding.generator(seed, "sensitivity intervals", encoder, source.dataset, source.name)
    n = len(values)
    share = rng.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n
    low, high = np.percentile(share @ values, [2.5, 97.5], axis=0)
    return values.mean(0), low, high


def _batches(source: Source, read: Read, encoder: Encoder) -> Iterator[tuple[list[str], torch.Tensor]]:
    for start in range(0, len(source.image_id), _BATCH):
        ids, images = read(list(source.image_id[start : start + _BATCH]))
        if ids:
            yield ids, images.to(encoder.device)


def _logits(
    encoder: Encoder, files: Sequence[ProbeFile], sources: Sequence[Source], read: Read
) -> list[dict[str, float]]:
    """Each probe's logits by image."""
    found: list[dict[str, float]] = [{} for _ in files]
    for source in sources if files else ():
        for ids, images in _batches(source, read, encoder):
            vectors = encoder.encode(images).cpu().numpy()
            for held, file in zip(found, files, strict=True):
                held.update(zip(ids, map(float, file.probe.logits(vectors)), strict=True))
    return found


def _weights(
    files: Sequence[ProbeFile], sources: Sequence[Source], logits: Sequence[dict[str, float]]
) -> list[dict[str, float]]:
    """Of each probe and image what a logit's change means for the smooth AUROC of its data set; see `auroc_weights`."""
    found: list[dict[str, float]] = [{} for _ in files]
    for dataset in dict.fromkeys(source.dataset for source in sources):
        its = [source for source in sources if source.dataset == dataset]
        for held, known in zip(found, logits, strict=True):
            rows = [(i, not source.is_real) for source in its for i in source.image_id if i in known]
            labels = np.array([label for _, label in rows], np.int8)
            if len(set(labels.tolist())) == 2:
                weights, _ = auroc_weights(np.array([known[i] for i, _ in rows]), labels)
                held.update(zip((i for i, _ in rows), map(float, weights), strict=True))
    return found


def _agreement(
    encoder: Encoder,
    files: Sequence[ProbeFile],
    sources: Sequence[Source],
    read: Read,
    rings: int,
    sectors: int,
    seed: int,
) -> pd.DataFrame:
    """Correlation over the lattice of the mean energies of both methods, on a few images of each source."""
    probes = [file.probe for file in files]
    total: list[Floats] = []
    n = 0
    places: list[Place] = []
    for source in sources:
        few = Source(source.name, source.family, source.dataset, source.image_id[:_CHECKED])
        for number, (ids, images) in enumerate(_batches(few, read, encoder)):
            shape = (int(images.shape[-2]), int(images.shape[-1]))
            places = lattice(shape, rings, sectors)
            rows, columns = np.array(places).T
            _, maps = logit_maps(encoder, probes, images)
            moved = embedding_energy(encoder, images, draws=4, seed=seed, batch=f"{source.name} {number}")
            energies = [*(one.energy for one in maps), moved]
            by_gradient = np.stack([energy[:, rows, columns].sum(0) for energy in energies])
            by_steps = logit_steps(
                encoder, probes, images, places, length=step_length(min(shape)), seed=seed
            ).sum(1)
            total.append(np.stack([by_gradient, by_steps]))
            n += len(ids)
    if not total:
        return pd.DataFrame(columns=list(AGREEMENT))
    gradient, steps = np.log(np.maximum(np.sum(total, axis=0) / n, 1e-300))
    names = [(file.trained_on, file.train_filter, "logit") for file in files] + [("", "none", "embedding")]
    return pd.DataFrame(
        [
            (
                encoder.name,
                *name,
                float(np.corrcoef(a, b)[0, 1]),
                float(stats.spearmanr(a, b)[0]),
                len(places),
                n,
            )
            for name, a, b in zip(names, gradient, steps, strict=True)
        ],
        columns=list(AGREEMENT),
    )


def _curvature(
    encoder: Encoder,
    files: Sequence[ProbeFile],
    sources: Sequence[Source],
    read: Read,
    bands: Bands,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Mean second derivatives of each probe's logit along each band, with 95 % intervals over images."""
    rings = [torch.from_numpy(ring).to(encoder.device) for ring in bands.masks]
    edges = np.array(bands.edges) / (min(bands.shape) / 2)
    tables = []
    with progress.bar(f"curvature {encoder.name}", len(files) * len(sources), "sources") as step:
        for source in sources:
            few = Source(source.name, source.family, source.dataset, source.image_id[:_CHECKED])
            batches = [images for _, images in _batches(few, read, encoder)]
            for file in files if batches else ():
                parts = [
                    curvature_of(
                        encoder,
                        file.probe,
                        images,
                        rings,
                        draws=draws,
                        seed=seed,
                        batch=f"{source.name} {number}",
                    )
                    for number, images in enumerate(batches)
                ]
                values = np.concatenate(parts, axis=1).T  # (images, bands)
                mean, low, high = _interval(values, seed, encoder.name, source)
                rows = {
                    "encoder": encoder.name, "trained_on": file.trained_on, "train_filter": file.train_filter,
                    "source": source.name, "family": source.family, "dataset": source.dataset, "band": bands.names,
                    "low_nyq": edges[:-1], "high_nyq": edges[1:], "value": mean, "low": low, "high": high,
                    "n": len(values),
                }  # fmt: skip
                tables.append(pd.DataFrame(rows)[list(CURVATURE)])
                step()
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(CURVATURE))


def write(found: Sensitivity, path: Path) -> None:
    """Write the maps as `path` (npz), and beside it the profiles, the agreement and any curvature as CSV.

    Raises:
        DiskError: one cannot be written.
    """
    frames = {".csv": found.profiles, "_agreement.csv": found.agreement}
    if len(found.curvature):
        frames["_curvature.csv"] = found.curvature
    for ending, frame in frames.items():
        content = frame.to_csv(index=False, lineterminator="\n").encode()
        write_whole(path.with_name(f"{path.stem}{ending}"), content)
    maps: dict[str, Any] = {name: one.astype(np.float32) for name, one in found.maps.items()}
    with replacing(path) as place, place.open("wb") as stream:
        np.savez_compressed(stream, **maps)
