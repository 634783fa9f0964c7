"""Labels that follow the manipulation: what the published code did when it adapted images to others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.filters import parse
from bandprobe.filters.references import References
from bandprobe.images import Geometry
from bandprobe.probes import Relabel

Labels = NDArray[np.int8]


def relabelled(manifest: pd.DataFrame) -> Relabel:
    """A real image adapted to a fake's amplitude counts as fake.

    Args:
        manifest: columns image_id, path, label, generator, split.

    Returns:
        A function of a filter spec, image ids and their labels, that gives the labels that count under that
        filter: 1 for an image any of whose `fda` steps drew a fake reference. A reference from a file has no
        label and changes none.
    """
    references = References(manifest, geometry=Geometry.squash(2))  # asked which images, never for pixels
    label_of = dict(zip(manifest["image_id"], manifest["label"], strict=True))

    def relabel(spec: str, ids: Sequence[str], label: Labels) -> Labels:
        found = label.copy()
        for step in parse(spec).steps:
            if step.kind == "fda":
                drawn = (references.drawn(step, image) for image in ids)
                fake = [source is not None and label_of[source[0]] == 1 for source in drawn]
                found = np.maximum(found, np.array(fake, dtype=np.int8))
        return found

    return relabel
