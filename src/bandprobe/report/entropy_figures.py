"""Which figures `entropy.csv` gets: entropies, correspondence, and the images' own entropy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pandas as pd

from bandprobe.report.arrangement import sort_families
from bandprobe.report.cutoff_axis import rows_of_sweep
from bandprobe.report.entropy_curves import ALL, FAMILY, REAL, Shown, entropy_figure, source_label
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.image_entropy_figures import images_figure, rings_figure
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.sweeps import describe_sweep, is_lowpass, sweeps_in, with_sweep

IMAGES = "images"
_RING = "ideal-bandpass:width=1px"
_MOST = 5  # columns

_ENTROPIES = (
    Shown("effective_rank", "effective rank"),
    Shown("effective_rank_ratio", "rank / identity's", 1.0),
    Shown("knn_entropy", "kNN entropy, change (nats)", 0.0),
)
_CORRESPONDENCES = (
    Shown("cosine", "cosine − shuffled pairs'", 0.0),
    Shown("cka", "debiased CKA", 0.0),
    Shown("mutual_knn", "mutual kNN", 0.0),
)
_READ_ENTROPY = (
    "Where an encoder's line stays level, embeddings of the filtered images still spread in as many directions as "
    "those of the identity; where its twin's does too, that is the architecture and the images, not the training."
)
_READ_CORRESPONDENCE = (
    "High where the low and the high frequencies of an image, parted at the cut-off, are embedded alike; what lies "
    "above an encoder's dashed twin is learnt."
)


def entropy_groups(
    table: pd.DataFrame,
    family_of: Mapping[str, str] | None = None,
    *,
    sources: Sequence[str] | None = None,
) -> list[FigureGroup]:
    """The figures of `entropy.csv`.

    Args:
        table: its rows.
        family_of: family of each generator, for the colours of the images' figures.
        sources: which of the table's sources get a column in the encoders' figures; the reals, the
            families and all of them together by default.

    Returns:
        Entropy of embeddings and low-to-high correspondence, a figure a sweep with encoders side by side;
        then the images' own. What the table does not hold is left out.
    """
    encoders, images = table[table["encoder"] != IMAGES], table[table["encoder"] == IMAGES]
    groups = []
    for title, measures, reading in (
        ("Entropy of embeddings", _ENTROPIES, _READ_ENTROPY),
        ("Low-to-high correspondence", _CORRESPONDENCES, _READ_CORRESPONDENCE),
    ):
        rows = encoders[encoders["measure"].isin([measure.name for measure in measures])]
        if len(rows):
            groups.append(_encoder_group(title, rows, measures, reading, _columns(rows, sources)))
    if len(images):
        groups.append(_image_group(images, family_of or {}))
    return groups


def _encoder_group(
    title: str,
    rows: pd.DataFrame,
    measures: Sequence[Shown],
    reading: str,
    columns: Sequence[tuple[str, str]],
) -> FigureGroup:
    group = FigureGroup(title)
    sweeps = sweeps_in(rows[rows["value"].notna()])
    slugs = unique_slugs(sweeps)
    kind = "entropy" if measures is _ENTROPIES else "correspondence"
    for sweep in sweeps:
        mine = rows_of_sweep(rows, sweep)
        heading = f"{title} against the {describe_sweep(sweep)} cut-off"
        group.figures.append(
            PlannedFigure(
                stem=f"{kind}-{slugs[sweep]}",
                title=heading,
                reading=reading,
                alt=f"Curves of {', '.join(m.label for m in measures)} against the {describe_sweep(sweep)} cut-off "
                f"for {', '.join(dict.fromkeys(mine['encoder']))}; columns: "
                f"{', '.join(source_label(source) for _, source in columns)}.",
                draw=partial(entropy_figure, mine, heading, measures, columns),
            )
        )
    if not sweeps:
        group.sentences.append(f"No figure of {kind}: no sweep has a value at two cut-offs.")
    return group


def _image_group(images: pd.DataFrame, family_of: Mapping[str, str]) -> FigureGroup:
    group = FigureGroup("Spectral entropy of images")
    pooled = images["source"].str.startswith(FAMILY) | (images["source"] == ALL) | (images["dataset"] == "")
    single = with_sweep(images[images["value"].notna() & ~pooled])
    slugs = unique_slugs(list(dict.fromkeys(single["dataset"])))
    for dataset, rows in single.groupby("dataset", sort=False):
        about = f"{', '.join(dict.fromkeys(rows['source']))} in {dataset}"
        sweeps = [sweep for sweep in sweeps_in(rows) if is_lowpass(sweep)]
        for sweep, slug in unique_slugs(sweeps).items():
            title = f"Spectral entropy of images against the {describe_sweep(sweep)} cut-off: {dataset}"
            group.figures.append(
                PlannedFigure(
                    stem=f"entropy-images-{slugs[str(dataset)]}-{slug}",
                    title=title,
                    reading="What the images themselves hold at each cut-off, to read an encoder's entropy against.",
                    alt=f"Lines: spectral entropy of {about} against the cut-off.",
                    draw=partial(images_figure, rows_of_sweep(rows, sweep), title, family_of),
                )
            )
        rings = rows[rows["sweep"] == _RING]
        if len(rings):
            title = f"Entropy within each ring of the spectrum: {dataset}"
            group.figures.append(
                PlannedFigure(
                    stem=f"entropy-rings-{slugs[str(dataset)]}",
                    title=title,
                    reading="Below the reals, power of that frequency is gathered in fewer directions, as the peaks "
                    "of up-sampling are.",
                    alt=f"Lines: entropy of the power within each ring for {about}.",
                    draw=partial(rings_figure, rings, title, family_of),
                )
            )
    return group


def _families(sources: Iterable[str]) -> list[str]:
    return [source.removeprefix(FAMILY) for source in sources if source.startswith(FAMILY)]


def _columns(rows: pd.DataFrame, wanted: Sequence[str] | None) -> list[tuple[str, str]]:
    """(data set, source) of the columns; of a source in several data sets its pool."""
    found = rows[["dataset", "source"]].drop_duplicates()
    of = {str(source): str(dataset) for dataset, source in found.itertuples(index=False)}
    of.update(dict.fromkeys(found.loc[found["dataset"] == "", "source"], ""))
    if wanted is None:
        families = [f"{FAMILY}{name}" for name in sort_families(_families(of))]
        wanted = [source for source in (REAL, *families[: _MOST - 2], ALL) if source in of] or list(of)[
            :_MOST
        ]
    return [(of[source], source) for source in wanted if source in of]
