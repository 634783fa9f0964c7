from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bandprobe.errors import InputError
from bandprobe.images import carved_for_validation, split_of, splits_of
from bandprobe.images.splits import assign, split_word

IDS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_000)]


def naive(image_id: str, start: int) -> float:
    return int.from_bytes(bytes.fromhex(image_id)[start : start + 8], "big") / 2**64


def test_split_is_the_hash_as_a_fraction() -> None:
    for image_id in IDS[:500]:
        share = naive(image_id, 0)
        want = "train" if share < 0.5 else "val" if share < 0.5 + 0.2 else "test"
        assert split_of(image_id, (0.5, 0.2, 0.3)) == want
    assert list(splits_of(IDS[:500])) == [split_of(image_id) for image_id in IDS[:500]]
    assert split_of("0" * 64) == "train"
    assert split_of("f" * 64) == "test"


def test_shares_come_out_as_asked() -> None:
    splits = splits_of(IDS)
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        error = np.sqrt(share * (1 - share) / len(IDS))
        assert abs(np.mean(splits == split) - share) < 4 * error
    assert not (splits_of(IDS, (0.8, 0, 0.2)) == "val").any()


def test_images_added_later_change_nothing() -> None:
    assert list(splits_of(IDS[:100])) == list(splits_of(IDS[50:][::-1] + IDS[:100]))[-100:]


def test_carving_uses_other_bytes() -> None:
    carved = carved_for_validation(IDS, (0.6, 0.2, 0.2))
    assert list(carved[:300]) == [naive(image_id, 8) < 0.25 for image_id in IDS[:300]]
    assert abs(carved.mean() - 0.25) < 0.015
    train = splits_of(IDS) == "train"
    assert abs(carved[train].mean() - carved[~train].mean()) < 0.03  # independent of the main split


def test_given_splits() -> None:
    ids = IDS[:300]

    def given(*names: str) -> list[str]:
        return [names[n % len(names)] for n in range(300)]

    whole = assign(given("train", "val", "test"), ids)
    assert list(whole.splits) == given("train", "val", "test")
    assert not whole.made

    genimage = assign(given("train", "val"), ids)
    carved = carved_for_validation(ids)
    for at, name in enumerate(given("train", "val")):
        want = "test" if name == "val" else "val" if carved[at] else "train"
        assert genimage.splits[at] == want
    assert genimage.rule == {"train": "train -> train + val", "val": "val -> test"}
    assert "val becomes test" in genimage.note

    no_val = assign(given("train", "test"), ids)
    assert set(no_val.splits[1::2]) == {"test"}
    assert list(no_val.splits[::2] == "val") == list(carved[::2])

    no_train = assign(given("val", "test"), ids)
    assert set(no_train.splits[1::2]) == {"test"}
    assert set(no_train.splits[::2]) == {"train", "val"}

    for single in ("", "test", "train"):
        by_hash = assign(given(single), ids)
        assert list(by_hash.splits) == list(splits_of(ids))
        assert "by image hash" in by_hash.note
    with pytest.raises(InputError, match="150 of 300 images have no split while others have train"):
        assign(given("train", ""), ids)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.7, 0.2, 0.2), "must sum to 1"),
        ((0.7, 0.3), "three shares"),
        ((1.2, -0.4, 0.2), "above 0"),
        ((1.0, 0.0, 0.0), "above 0 for train and test"),
        ((float("nan"), 0.5, 0.5), "must sum to 1"),
        ("abc", "three shares"),
        (None, "three shares"),
    ],
)
def test_wrong_fractions(fractions: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits_of(IDS[:2], fractions)  # type: ignore[arg-type]


def test_words() -> None:
    words = ["train", "Training", "val", "valid", "Validation", "test", "TESTING"]
    assert [split_word(word) for word in words] == ["train", "train", "val", "val", "val", "test", "test"]
    assert split_word("tests") is None


def test_a_generator_held_for_testing_alone_stays_a_test_set() -> None:
    ids = [hashlib.sha256(bytes([n])).hexdigest() for n in range(50)]
    alone = assign(["test"] * 50, ids, elsewhere={"train", "val", "test"})
    assert set(alone.splits) == {"test"}
    assert alone.rule == {"test": "test"}
    carved = assign(["train"] * 50, ids, elsewhere={"train", "test"})
    assert set(carved.splits) == {"train", "val"}
    assert set(assign(["val"] * 50, ids, elsewhere={"train", "val"}).splits) == {"test"}
    assert set(assign(["test"] * 50, ids).splits) == {"train", "val", "test"}
