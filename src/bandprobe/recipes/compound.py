"""Joined conditions as one encoder's unfiltered embeddings: a name, what loads it, a fingerprint, rows in the store.

Vectors of `a` under a filter are those of the encoder `a@filter` without one, so what a recipe joins is what the
compound encoder `a@filter+b@filter` gives: a probe on it is an ordinary probe, and scores new pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandprobe.encoders import resolve
from bandprobe.encoders.compound_names import unaliased
from bandprobe.errors import EncoderError, InputError
from bandprobe.recipes.one_condition import PLAIN
from bandprobe.recipes.vectors import Condition
from bandprobe.store import EmbeddingStore, Fingerprint, Rows, fingerprint


@dataclass(frozen=True)
class Joined:
    """An encoder that gives joined conditions.

    Attributes:
        name: in tables, figures and stores.
        source: what loads it.
        fingerprint: of its unfiltered embeddings.
    """

    name: str
    source: str
    fingerprint: Fingerprint


def joined(store: EmbeddingStore, parts: Sequence[Condition], recipe: str) -> Joined:
    """The encoder of some conditions; of one unfiltered condition its own.

    Args:
        store: holds them.
        parts: in order.
        recipe: names what joins more than two, or several filters of one encoder.

    Raises:
        InputError: parts that no encoder gives together: made on different grids, of different precision, by the
            published protocol's filter code, or of vectors computed elsewhere.
        StoreError: a part is damaged.
    """
    made = [store.fingerprint(*part) or {} for part in parts]
    if len(parts) == 1 and parts[0][1] == PLAIN:
        encoder = parts[0][0]
        return Joined(encoder, store.source(encoder), made[0])
    shared = {}
    for key in ("geometry", "background", "encoder.precision"):
        values = sorted({one.get(key, "") for one in made})
        if len(values) > 1 or any("abs_uint8" in one for one in made):
            what = f"different {key} ({', '.join(values)})" if len(values) > 1 else "the switch abs_uint8"
            raise InputError(
                f"recipe {recipe!r} cannot join {', '.join(map(' at '.join, parts))}: they were embedded with {what}. "
                "Embed them alike, with the corrected protocol."
            )
        shared[key] = values[0]
    source = _source(store, parts, recipe)
    from bandprobe.encoders.compound import compound_fingerprint

    own = [_of_encoder(one) for one in made]
    facts = compound_fingerprint(
        [(one, spec) for one, (_, spec) in zip(own, parts, strict=True)], shared["encoder.precision"]
    )
    whole = fingerprint(facts, geometry=shared["geometry"], background=shared["background"], filter=PLAIN)
    return Joined(resolve(source).name, source, whole)


def stands_alone(source: str) -> bool:
    """Whether what a store's vectors come from is one encoder with weights of its own, as far as its name tells.

    Compound encoders are what recipes make, a finished detector gives no embedding, and a random twin is a control.
    """
    try:
        reference = resolve(source)
    except EncoderError:  # moved since
        return "detector:" not in source
    return reference.kind != "compound" and not reference.is_detector and reference.random is None


def write(store: EmbeddingStore, encoder: Joined, parts: Sequence[Condition], ids: Sequence[str]) -> None:
    """Put the joined vectors of images into the store, where it lacks them: no encoder runs.

    Args:
        store: holds the parts.
        encoder: from `joined`.
        parts: in its order.
        ids: the images.

    Raises:
        StoreError: the store holds that encoder made otherwise, or lacks an image of a part.
        DiskError: it cannot be written.
    """
    if len(parts) == 1 and parts[0][1] == PLAIN:
        return
    target = EmbeddingStore(store.root, {encoder.name: encoder.source})
    lacking = sorted(set(ids) - target.present(encoder.name, encoder.fingerprint))
    if not lacking:
        return
    vectors = np.hstack([store.read(*part, lacking).embedding for part in parts])
    zero = np.zeros(len(lacking), np.float32)  # nothing is clipped or removed by no filter
    with target:
        target.write(encoder.name, encoder.fingerprint, Rows(np.array(lacking, object), vectors, zero, zero))


def _source(store: EmbeddingStore, parts: Sequence[Condition], recipe: str) -> str:
    """`a@filter+b`, behind a name of its own where the parts' names make no short and single one."""
    sources = [store.source(encoder) for encoder, _ in parts]
    text = "+".join(
        source if spec == PLAIN else f"{source}@{spec}"
        for source, (_, spec) in zip(sources, parts, strict=True)
    )
    encoders = list(dict.fromkeys(encoder for encoder, _ in parts))
    aliased = any(unaliased(source)[0] for source in sources)
    try:
        if aliased or len(parts) > len(encoders):
            last = [] if len(parts) > 1 else [parts[0][1]]
            words = [_plain(word) for word in (*encoders, recipe, *last)]
            text = f"{'-'.join(words)}={text}"
        resolve(text)
    except EncoderError as error:
        raise InputError(f"recipe {recipe!r}: {error}") from None
    return text


def _plain(word: str) -> str:
    """A word of letters, digits, dots and dashes, as an alias is made of."""
    return "".join(sign if sign.isalnum() or sign in ".-" else "-" for sign in word)


def _of_encoder(made: Fingerprint) -> dict[str, str]:
    """An encoder's own fingerprint, out of that of its embeddings."""
    start = "encoder."
    return {name.removeprefix(start): value for name, value in made.items() if name.startswith(start)}
