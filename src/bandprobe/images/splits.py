"""Training, validation and test sets: as the data give them, or from each picture's hash."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import InputError
from bandprobe.images.families import normalised

SPLITS = ("train", "val", "test")
DEFAULT_FRACTIONS = (0.7, 0.1, 0.2)

_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_SHARD = re.compile(r"(?P<split>[A-Za-z]+)(?:[-_.].*)?")


def split_word(name: str) -> str | None:
    """`train`, `val` or `test` where a name means one of them (`Training`, `valid`, `testing`), else None."""
    return _WORDS.get(normalised(name))


def shard_split(stem: str) -> str:
    """The split that the name of one of several files tells: `train-00000-of-00001`, `val_3`; else empty."""
    found = _SHARD.fullmatch(stem)
    return (split_word(found["split"]) if found else None) or ""


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """Three shares of train, val and test that sum to 1; only val may be 0.

    Raises:
        InputError: anything else.
    """
    try:
        train, val, test = (float(share) for share in fractions)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"splits must be three shares for train, val and test, like 0.7, 0.1, 0.2; got {fractions!r}."
        ) from error
    shares = (train, val, test)
    if not all(math.isfinite(share) for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-9):
        raise InputError(f"splits must sum to 1; got {shares} which sum to {sum(shares):g}.")
    if train <= 0 or test <= 0 or val < 0:
        raise InputError(f"splits must be above 0 for train and test, and 0 or more for val; got {shares}.")
    return shares


def _hash_shares(image_ids: Sequence[str], start: int) -> NDArray[np.float64]:
    """Eight of each hash's bytes from `start` on, as a fraction of 2**64: float64, shape (n,), in [0, 1]."""
    digits = slice(2 * start, 2 * start + 16)
    numbers = np.array([int(image_id[digits], 16) for image_id in image_ids], dtype=np.uint64)
    return numbers.astype(np.float64) / 2.0**64


def splits_of(
    image_ids: Sequence[str], fractions: Sequence[float] = DEFAULT_FRACTIONS
) -> NDArray[np.object_]:
    """`split_of` for many images at once.

    Args:
        image_ids: hex SHA-256 of n pictures.
        fractions: shares of train, val and test.

    Returns:
        Object array of str, shape (n,): `train`, `val` or `test`.

    Raises:
        InputError: `fractions` are not three shares that sum to 1.
    """
    train, val, _ = check_fractions(fractions)
    shares = _hash_shares(image_ids, start=0)
    return np.where(shares < train, "train", np.where(shares < train + val, "val", "test")).astype(object)


def split_of(image_id: str, fractions: Sequence[float] = DEFAULT_FRACTIONS) -> str:
    """The split of one picture, from its hash alone: images added later change nobody's split.

    The first 8 bytes of the hash, as a fraction of 2**64, fall below the share of train, below those
    of train and val, or above.

    Raises:
        InputError: `fractions` are not three shares that sum to 1.
    """
    return str(splits_of([image_id], fractions)[0])


def carved_for_validation(
    image_ids: Sequence[str], fractions: Sequence[float] = DEFAULT_FRACTIONS
) -> NDArray[np.bool_]:
    """Which images of a given training set become the validation set that the data lack.

    Bytes 8 to 15 of the hash decide, so that the choice is independent of `split_of`.

    Args:
        image_ids: hex SHA-256 of n pictures.
        fractions: shares of train, val and test; val / (train + val) of the images are chosen.

    Returns:
        bool, shape (n,).

    Raises:
        InputError: `fractions` are not three shares that sum to 1.
    """
    train, val, _ = check_fractions(fractions)
    return _hash_shares(image_ids, start=8) < val / (train + val)


@dataclass(frozen=True)
class Assignment:
    """One data set's splits and how they came about.

    Attributes:
        splits: object array of str, shape (n,).
        rule: given split to what became of it, e.g. `{"val": "val -> test"}`; `""` stands for none given.
        made: the splits that a hash made, whole or in part.
        note: the rule in a sentence.
    """

    splits: NDArray[np.object_]
    rule: dict[str, str]
    made: frozenset[str]
    note: str


def assign(
    given: Sequence[str],
    image_ids: Sequence[str],
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
    elsewhere: Collection[str] = (),
) -> Assignment:
    """The splits of one data set, keeping what it gives and making what it lacks.

    Args:
        given: per image `train`, `val`, `test`, or an empty string where the data say nothing.
        image_ids: hex SHA-256 of the same pictures.
        fractions: shares of train, val and test for what has to be made.
        elsewhere: splits that other data sets of the same data give. A generator that the data hold for
            testing alone is then left to it, as ForenSynths means it.

    Returns:
        With all three given, those. Without test, val becomes test (as GenImage's users do); without
        val, it is carved from train; without train, it is made of val. With one split or none given,
        all three come from the hash. Nothing is made of a split for one that is given elsewhere, but
        for a val carved from train.

    Raises:
        InputError: some images have a split and others none, or the fractions are wrong.
    """
    shares = check_fractions(fractions)
    present = [split for split in SPLITS if split in set(given)]
    if present and "" in set(given):
        raise InputError(
            f"{list(given).count('')} of {len(given)} images have no split while others have "
            f"{', '.join(present)}; give every image a split, or none."
        )
    there = {*present, *elsewhere}
    if not present or len(there) < 2:
        percent = "/".join(f"{100 * share:g}" for share in shares)
        splits = splits_of(image_ids, shares)
        if not present:
            note = f"no split given: {percent} by image hash"
            return Assignment(splits, {"": "by hash"}, frozenset(SPLITS), note)
        only = present[0]
        note = f"only {only!r} is given: train, val and test are made of it, {percent} by image hash"
        return Assignment(splits, {only: f"{only} -> by hash"}, frozenset(SPLITS), note)

    splits = np.array(given, dtype=object)
    if "train" not in there:
        source, became, words = "val", {"val": "val -> train + val"}, "no train: made of val"
    elif "test" not in there:
        source, words = "train", "val becomes test"
        became = {"train": "train -> train + val", "val": "val -> test"}
        splits[splits == "val"] = "test"
    else:
        source, became, words = "train", {"train": "train -> train + val"}, "no val"
        if "train" not in present or "val" in present:
            note = "splits as given" if len(present) == 3 else f"{' and '.join(present)} alone, as given"
            return Assignment(splits, {split: split for split in present}, frozenset(), note)
    where = splits == source
    chosen = np.zeros(len(splits), dtype=bool)
    chosen[where] = carved_for_validation([i for i, one in zip(image_ids, where, strict=True) if one], shares)
    splits[where] = "train"
    splits[chosen] = "val"
    share = shares[1] / (shares[0] + shares[1])
    note = f"{words}; val is {100 * share:.3g}% of the given {source!r}, by image hash"
    rule = {split: became.get(split, split) for split in present}
    return Assignment(splits, rule, frozenset({"train", "val"}), note)
