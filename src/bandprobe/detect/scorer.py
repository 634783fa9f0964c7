"""Probes with their encoder, loaded and seen to be the ones they were trained with, ready for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bandprobe import encoders
from bandprobe.analysis.logits import logits_of
from bandprobe.encoders import Encoder
from bandprobe.encoders.preprocessing import IMAGENET
from bandprobe.errors import EncoderError, InputError
from bandprobe.extract import grid_of
from bandprobe.filters import Filter, FilterBank, References, parse
from bandprobe.images import Geometry, image_id, parse_colour
from bandprobe.images.decode import Colour
from bandprobe.probes import ProbeFile, load
from bandprobe.protocol import Protocol
from bandprobe.store import Fingerprint, difference, fingerprint

Picture = NDArray[np.uint8]

_BANKS = 16  # lists of filters whose masks are kept


@dataclass(frozen=True)
class Named:
    """A probe with the name it is shown by: its file's, without the ending."""

    name: str
    file: ProbeFile


class Scorer:
    """Probes of one encoder, whose images go one way: one grid, one background. `load_scorers` makes them.

    Attributes:
        probes: in the order they were given.
        model: their encoder.
        geometry: where pictures go.
    """

    def __init__(
        self, probes: Sequence[Named], model: Encoder, geometry: Geometry, background: str, *, abs_uint8: bool
    ) -> None:
        self.probes = tuple(probes)
        self.model = model
        self.geometry = geometry
        self._background = background
        self._abs_uint8 = abs_uint8
        self._references = References(None, geometry=geometry, background=background)
        self._banks: dict[tuple[Filter, ...], FilterBank] = {}

    @property
    def colour(self) -> Colour:
        """What transparent pixels lie on."""
        return parse_colour(self._background)

    def placed(self, picture: Picture) -> Picture:
        """A picture on the grid: uint8, shape (h, w, 3) -> shape (height, width, 3)."""
        return self.geometry.apply(picture)

    def vectors(
        self, pictures: NDArray[np.uint8], ids: Sequence[str], specs: Sequence[Filter]
    ) -> Iterator[tuple[Filter, NDArray[np.float32]]]:
        """Embeddings of pictures under filters: one FFT for all of them.

        Args:
            pictures: uint8, shape (n, height, width, 3), on the grid.
            ids: the pictures' ids, for what a filter draws for each.
            specs: the filters.

        Yields:
            Each filter with its vectors, float32, shape (n, dim).
        """
        yield from self._encoded(self._images(pictures), ids, specs)

    def logits(
        self, pictures: NDArray[np.uint8], ids: Sequence[str]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float32]]]:
        """What every probe says of pictures, each under the filter that it was trained under.

        Args:
            pictures: uint8, shape (n, height, width, 3), on the grid.
            ids: the pictures' ids.

        Returns:
            Logits, shape (probes, n), and each probe's embeddings, shape (n, dim).
        """
        return self._judged(self._images(pictures), ids)

    def sweep(
        self, picture: Picture, image_id: str, specs: Sequence[Filter], *, own: bool, batch: int = 16
    ) -> NDArray[np.float64]:
        """What every probe says of one picture under filter after filter, `batch` filters in a pass of the encoder.

        Args:
            picture: uint8, shape (height, width, 3), on the grid.
            image_id: the picture's id.
            specs: the filters.
            own: each probe's own filter comes after them, as when it decides; else they stand in its place, as in the
                transfer grid.
            batch: filters at a time.

        Returns:
            Logits, shape (probes, filters).
        """
        images = self._images(picture[None])
        files = [probe.file for probe in self.probes]
        found = []
        for start in range(0, len(specs), batch):
            some = specs[start : start + batch]
            filtered = torch.cat([part for _, part in self._bank(some)(images, [image_id])])
            if own:
                found.append(self._judged(filtered, [image_id] * len(some))[0])
            else:
                found.append(logits_of(files, self.model.encode(filtered).cpu().numpy()))
        return np.concatenate(found, axis=1)

    def _judged(
        self, images: torch.Tensor, ids: Sequence[str]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float32]]]:
        own = [parse(probe.file.train_filter) for probe in self.probes]
        found = np.empty((len(self.probes), len(images)))
        vectors = dict(self._encoded(images, ids, list(dict.fromkeys(own))))
        for spec, embedding in vectors.items():
            its = [row for row, filter_ in enumerate(own) if filter_ == spec]
            found[its] = logits_of([self.probes[row].file for row in its], embedding)
        return found, [vectors[spec] for spec in own]

    def _images(self, pictures: NDArray[np.uint8]) -> torch.Tensor:
        """Pictures as the encoder's device holds images: float in [0, 1], shape (n, 3, height, width)."""
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).to(self.model.device)
        return pixels.permute(0, 3, 1, 2).contiguous().float() / 255

    def _encoded(
        self, images: torch.Tensor, ids: Sequence[str], specs: Sequence[Filter]
    ) -> Iterator[tuple[Filter, NDArray[np.float32]]]:
        for spec, filtered in self._bank(specs)(images, ids):
            yield spec, self.model.encode(filtered).cpu().numpy()

    def _bank(self, specs: Sequence[Filter]) -> FilterBank:
        """Filters with their masks; the latest are kept."""
        key = tuple(specs)
        if key not in self._banks:
            if len(self._banks) >= _BANKS:
                del self._banks[next(iter(self._banks))]
            self._banks[key] = FilterBank(
                specs,
                self.geometry.size,
                device=self.model.device,
                references=self._references,
                abs_uint8=self._abs_uint8,
            )
        return self._banks[key]


def probe_paths(given: Iterable[Path]) -> list[Path]:
    """Probe files, or the folders that they lie in, as files.

    Raises:
        InputError: a folder without a probe.
    """
    found: list[Path] = []
    for path in given:
        inside = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"no probe (*.safetensors) in {str(path)!r}; `bandprobe train` makes them.")
        found += inside
    return list(dict.fromkeys(found))


def load_scorers(paths: Sequence[Path], *, encoder: str | None = None, device: str = "auto") -> list[Scorer]:
    """Load probes with their encoders, each encoder once.

    Args:
        paths: probe files.
        encoder: what loads the probes' encoder, if that has moved since training.
        device: where encoders run.

    Returns:
        A scorer for each way that images go; probes in the order given.

    Raises:
        InputError: no probe, or an encoder or reference with other weights than a probe was trained with.
        EncoderError: the encoder cannot be loaded.
    """
    groups: dict[tuple[str, ...], list[Named]] = {}
    for path in paths:
        file = load(path)
        made = file.fingerprint
        source = encoder or file.source
        if source.startswith("table:"):
            raise InputError(
                f"probe {str(path)!r} was trained on a table of embeddings ({file.source}), which holds none of new "
                "images; train one on an encoder that can be run."
            )
        key = (source, made.get("encoder.precision", "fp32"), " ".join(_protocol(made).on),
               made.get("geometry", ""), made.get("background", ""))  # fmt: skip
        groups.setdefault(key, []).append(Named(_shown(path), file))
    return [_scorer(probes, key, paths, device) for key, probes in groups.items()]


def _shown(path: Path) -> str:
    """A probe's name; of a folder's one file, the folder's."""
    return path.parent.resolve().name if path.stem == "model" else path.stem


def _scorer(probes: list[Named], key: tuple[str, ...], paths: Sequence[Path], device: str) -> Scorer:
    source, precision, *_ = key
    first = probes[0].file
    try:
        model = encoders.load(
            source, device=device, precision=precision, protocol=_protocol(first.fingerprint)
        )
    except EncoderError as error:
        raise EncoderError(f"{error} Say where the probe's encoder is now with --encoder.") from None
    geometry, background = first.fingerprint.get("geometry"), first.fingerprint.get("background")
    if geometry is None or background is None:  # imported: its images went the encoder's own way
        geometry, background = str(_own_grid(model)), "white"
    abs_uint8 = "abs_uint8" in first.fingerprint
    scorer = Scorer(probes, model, Geometry.parse(geometry), background, abs_uint8=abs_uint8)
    for probe in probes:
        _check(probe, scorer, geometry, background)
    return scorer


def _check(probe: Named, scorer: Scorer, geometry: str, background: str) -> None:
    """See that the encoder and reference are those that a probe was trained with."""
    made = probe.file.fingerprint
    if not made:
        return
    spec = parse(probe.file.train_filter)
    asked = fingerprint(
        scorer.model.fingerprint,
        geometry=geometry,
        background=background,
        filter=made["filter"],
        references=scorer._references.identity(spec),
        abs_uint8="abs_uint8" in made,
    )
    if wrong := difference(made, asked):
        raise InputError(
            f"the encoder or reference is not the one that probe {probe.name!r} was trained on ({wrong})."
        )


def _own_grid(model: Encoder) -> Geometry:
    """How an encoder's authors resized and cropped."""
    try:
        return grid_of(model, None)
    except InputError:
        raise InputError(
            f"an imported probe's images go its encoder's own way, and {model.name!r} does not say which; add "
            "size and crop_size to its preprocessor_config.json."
        ) from None


def _protocol(made_with: Fingerprint) -> Protocol:
    """The switches of the published protocol that the probe's embeddings were made with, in the encoder."""
    means = {value for name, value in made_with.items() if name.endswith("mean")}
    imagenet = " ".join(map(repr, IMAGENET[0]))
    return Protocol(imagenet_stats=means == {imagenet}, abs_uint8="abs_uint8" in made_with)


def identified(picture: Picture) -> str:
    """A picture's id; see `images.image_id`."""
    return image_id(picture)
