from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from bandprobe.errors import InputError
from bandprobe.images import find
from bandprobe.images.found import Found
from bandprobe.images.walk import scan


def mapping(found: Found, root: Path) -> set[tuple[str, str, int, str, str, str, int]]:
    """(layout, folder below root, label, generator, dataset, split, count) of every group."""
    return {
        (g.layout, os.path.relpath(g.folder, root), g.label, g.generator, g.dataset, g.split, len(g.paths))
        for g in found.groups
    }


def kinds(found: Found) -> set[tuple[str, str, str, int]]:
    """(dataset, generator, split, count), summed over folders."""
    counts: dict[tuple[str, str, str], int] = {}
    for g in found.groups:
        assert (g.generator == "Real") == (g.label == 0)
        counts[g.dataset, g.generator, g.split] = counts.get((g.dataset, g.generator, g.split), 0) + len(
            g.paths
        )
    return {(*key, count) for key, count in counts.items()}


def test_ricker_with_pairs_in_train(tmp_path: Path, plant) -> None:
    for name, count in (("Real", 4), ("ProGAN", 3), ("ADM", 2)):
        plant(f"lsun/test/{name}", count)
    for split in ("train", "val"):
        for name in ("ProGAN", "ADM"):
            plant(f"lsun/{split}/{name}/0_real", 2)
            plant(f"lsun/{split}/{name}/1_fake", 1)
    found = find([tmp_path / "lsun"])
    assert mapping(found, tmp_path / "lsun") == {
        ("ricker", "test/Real", 0, "Real", "lsun", "test", 4),
        ("ricker", "test/ProGAN", 1, "ProGAN", "lsun", "test", 3),
        ("ricker", "test/ADM", 1, "ADM", "lsun", "test", 2),
        *{
            ("ricker", f"{split}/{name}/{side}", label, who, "lsun", split, 2 - label)
            for split in ("train", "val")
            for name in ("ProGAN", "ADM")
            for side, label, who in (("0_real", 0, "Real"), ("1_fake", 1, name))
        },
    }
    assert kinds(find(tmp_path / "lsun", layout="ricker")) == kinds(found)


def test_ricker_as_released_has_fakes_alone_in_train(tmp_path: Path, plant) -> None:
    plant("lsun/test/Real", 2)
    for split in ("train", "val", "test"):
        plant(f"lsun/{split}/DDPM", 2)
    assert kinds(find([tmp_path / "lsun"])) == {
        ("lsun", "Real", "test", 2),
        *{("lsun", "DDPM", split, 2) for split in ("train", "val", "test")},
    }


def test_forensynths_each_generator_its_own_dataset(tmp_path: Path, plant) -> None:
    for split in ("train", "test"):
        for kind in ("car", "train"):  # a class called like a split
            plant(f"fs/{split}/progan/{kind}/0_real", 2)
            plant(f"fs/{split}/progan/{kind}/1_fake", 1)
    plant("fs/test/biggan/0_real", 3)
    plant("fs/test/biggan/1_fake", 2)
    found = find([tmp_path / "fs"])
    assert {g.layout for g in found.groups} == {"forensynths"}
    assert kinds(found) == {
        *{("progan", "Real", split, 4) for split in ("train", "test")},
        *{("progan", "progan", split, 2) for split in ("train", "test")},
        ("biggan", "Real", "test", 3),
        ("biggan", "biggan", "test", 2),
    }
    # The test set alone, as it is distributed, and one generator's folder alone.
    assert {(d, g, n) for d, g, _, n in kinds(find([tmp_path / "fs/test"]))} == {
        ("progan", "Real", 4), ("progan", "progan", 2), ("biggan", "Real", 3), ("biggan", "biggan", 2),
    }  # fmt: skip
    assert kinds(find([tmp_path / "fs/test/progan"])) == {
        ("progan", "Real", "", 4),
        ("progan", "progan", "", 2),
    }


def test_forensynths_training_set_names_classes_only(tmp_path: Path, plant) -> None:
    for kind in ("airplane", "tvmonitor"):
        plant(f"cnn/train/{kind}/0_real", 1)
        plant(f"cnn/train/{kind}/1_fake", 1)
    plant("cnn/test/stylegan/car/0_real", 1)
    plant("cnn/test/stylegan/car/1_fake", 1)
    assert kinds(find([tmp_path / "cnn"])) == {
        ("progan", "Real", "train", 2),
        ("progan", "progan", "train", 2),
        ("stylegan", "Real", "test", 1),
        ("stylegan", "stylegan", "test", 1),
    }


def test_genimage(tmp_path: Path, plant) -> None:
    for folder in (
        "BigGAN/imagenet_ai_0419_biggan",
        "Midjourney/imagenet_midjourney",
        "SD/imagenet_ai_0424_sdv5",
    ):
        for split in ("train", "val"):
            plant(f"GenImage/{folder}/{split}/ai", 2)
            plant(f"GenImage/{folder}/{split}/nature", 1)
    want = {
        (name, who, split, count)
        for name in ("biggan", "midjourney", "sdv5")
        for split in ("train", "val")
        for who, count in ((name, 2), ("Real", 1))
    }
    found = find([tmp_path / "GenImage"])
    assert {g.layout for g in found.groups} == {"genimage"}
    assert kinds(found) == want
    for deeper in ("BigGAN", "BigGAN/imagenet_ai_0419_biggan"):
        assert kinds(find([tmp_path / "GenImage" / deeper])) == {each for each in want if each[0] == "biggan"}


def test_image_folders_nested_mixed_case_spaces_and_unicode(tmp_path: Path, plant) -> None:
    plant("my photos/REAL/a/b", 2)
    plant("my photos/REAL", 1)
    plant("my photos/Größe GAN/x y", 3)
    plant("my photos/拡散", 2)
    found = find([tmp_path / "my photos"])
    assert kinds(found) == {
        ("my photos", "Real", "", 3),
        ("my photos", "Größe GAN", "", 3),
        ("my photos", "拡散", "", 2),
    }
    assert all(Path(path).is_file() and Path(path).is_absolute() for g in found.groups for path in g.paths)


def test_image_folders_with_splits_above_below_and_odd_words(tmp_path: Path, plant) -> None:
    for split in ("Training", "valid", "testing"):
        plant(f"above/{split}/real", 1)
        plant(f"above/{split}/GLIDE", 2)
    want = {(who, split, n) for split in ("train", "val", "test") for who, n in (("Real", 1), ("GLIDE", 2))}
    assert {each[1:] for each in kinds(find([tmp_path / "above"]))} == want
    assert {g.layout for g in find([tmp_path / "above"]).groups} == {"folders"}
    assert kinds(find(tmp_path / "above", layout="ricker")) == kinds(find(tmp_path / "above"))
    for split in ("train", "val", "test"):
        plant(f"below/real/{split}", 1)
        plant(f"below/GLIDE/{split}", 2)
    assert {each[1:] for each in kinds(find([tmp_path / "below"]))} == want


def test_real_and_fake_alone_take_the_folders_name(tmp_path: Path, plant) -> None:
    plant("sdxl/real", 1)
    plant("sdxl/fake", 2)
    assert kinds(find([tmp_path / "sdxl"])) == {("sdxl", "Real", "", 1), ("sdxl", "sdxl", "", 2)}
    plant("both/real/cat", 1)
    plant("both/fake/ProGAN", 2)
    plant("both/fake/ADM", 1)
    assert {each[1] for each in kinds(find([tmp_path / "both"]))} == {"Real", "ProGAN", "ADM"}
    plant("classes/real/cat", 1)
    plant("classes/fake/cat", 2)
    assert {each[1] for each in kinds(find([tmp_path / "classes"]))} == {"Real", "classes"}


def test_datasets_side_by_side_and_of_one_name(tmp_path: Path, plant) -> None:
    for folder in ("photos/faces", "photos/scenes", "other/faces"):
        plant(f"{folder}/Real", 1)
        plant(f"{folder}/StyleGAN2", 1)
    assert {each[0] for each in kinds(find([tmp_path / "photos"]))} == {"faces", "scenes"}
    both = find([tmp_path / "photos", tmp_path / "other"])
    assert {each[0] for each in kinds(both)} == {"photos/faces", "other/faces", "scenes"}
    # Splits above several data sets name no new data sets.
    for split in ("train", "test"):
        for name in ("faces", "cars"):
            plant(f"deep/{split}/{name}/Real", 1)
            plant(f"deep/{split}/{name}/ADM", 1)
    assert {(d, s) for d, _, s, _ in kinds(find([tmp_path / "deep"]))} == {
        (name, split) for name in ("faces", "cars") for split in ("train", "test")
    }


def test_train_inside_a_root_called_test(tmp_path: Path, plant) -> None:
    for split in ("train", "val", "test"):
        plant(f"test/{split}/Real", 1)
        plant(f"test/{split}/ADM", 1)
    assert {(d, s) for d, _, s, _ in kinds(find([tmp_path / "test"]))} == {
        ("test", "train"), ("test", "val"), ("test", "test"),
    }  # fmt: skip
    # One split's folder alone is a data set without splits; two of them are one data set with both.
    assert {s for *_, s, _ in kinds(find([tmp_path / "test/test"]))} == {""}
    both = find([tmp_path / "test/train", tmp_path / "test/test"])
    assert {(d, s) for d, _, s, _ in kinds(both)} == {("test", "train"), ("test", "test")}


def test_one_generator_in_two_spellings(tmp_path: Path, plant) -> None:
    for split, name in (("test", "ProGAN"), ("train", "progan")):
        plant(f"r/{split}/Real", 1)
        plant(f"r/{split}/{name}", 1)
    found = find([tmp_path / "r"])
    assert len({g.generator for g in found.groups if g.label}) == 1
    assert any("taken for one generator" in note for note in found.notes)


def test_separate_roots(tmp_path: Path, plant) -> None:
    plant("in/lsun", 3)
    plant("out/a/images", 2)
    plant("out/b", 1)
    found = find(
        real=[tmp_path / "in/lsun"], fakes={"ProGAN": tmp_path / "out/a", "ADM": [tmp_path / "out/b"]}
    )
    want = {(tmp_path.name, "Real", "", 3), (tmp_path.name, "ProGAN", "", 2), (tmp_path.name, "ADM", "", 1)}
    assert kinds(found) == want
    assert {g.layout for g in found.groups} == {"roots"}
    named = [f"Real={tmp_path}/in/lsun", f"ProGAN={tmp_path}/out/a", f"ADM={tmp_path}/out/b"]
    assert kinds(find(named)) == want
    assert kinds(find(named[1:], real=tmp_path / "in/lsun")) == want


def test_plain_class_folders_as_roots(tmp_path: Path, plant) -> None:
    for folder in ("faces/Real", "faces/StyleGAN2", "scenes/real", "scenes/ADM"):
        plant(folder, 2)
    one = find([tmp_path / "faces/Real", tmp_path / "faces/StyleGAN2"])
    assert kinds(one) == {("faces", "Real", "", 2), ("faces", "StyleGAN2", "", 2)}
    folders = ("faces/Real", "scenes/ADM", "scenes/real", "faces/StyleGAN2")
    two = find([tmp_path / each for each in folders])
    assert {each[:2] for each in kinds(two)} == {
        ("faces", "Real"), ("faces", "StyleGAN2"), ("scenes", "Real"), ("scenes", "ADM"),
    }  # fmt: skip


def test_roots_with_splits_below(tmp_path: Path, plant) -> None:
    for split in ("train", "val", "test"):
        plant(f"r/{split}", 1)
        plant(f"f/{split}", 1)
    found = find([f"Real={tmp_path}/r", f"ADM={tmp_path}/f"])
    assert {each[1:] for each in kinds(found)} == {
        (who, split, 1) for who in ("Real", "ADM") for split in ("train", "val", "test")
    }


def test_what_is_passed_over(tmp_path: Path, plant) -> None:
    plant("d/Real", 2)
    plant("d/ADM", 2)
    plant("d/ADM/.cache", 2)
    plant("d/__MACOSX/Real", 2)
    plant("d", 1)
    (tmp_path / "d/empty").mkdir()
    (tmp_path / "d/ADM/Thumbs.db").write_bytes(b"x")
    (tmp_path / "d/ADM/._000.png").write_bytes(b"x")
    (tmp_path / "d/ADM/SHOUTED.PNG").write_bytes(b"not opened here")
    found = find([tmp_path / "d"])
    assert kinds(found) == {("d", "Real", "", 2), ("d", "ADM", "", 3)}
    notes = " / ".join(found.notes)
    assert "1 file with endings that no image format uses" in notes
    assert "1 file with images beside the class folders" in notes
    assert f"no image in {tmp_path.as_posix()}/d/empty" in notes


def test_links_are_followed_once(tmp_path: Path, plant) -> None:
    plant("store/Real", 2)
    plant("d/ADM", 1)
    (tmp_path / "d/Real").symlink_to(tmp_path / "store/Real", target_is_directory=True)
    (tmp_path / "d/ADM/loop").symlink_to(tmp_path / "d", target_is_directory=True)
    (tmp_path / "d/ADM/gone.png").symlink_to(tmp_path / "nowhere.png")
    found = find([tmp_path / "d"])
    assert kinds(found) == {("d", "Real", "", 2), ("d", "ADM", "", 2)}  # the dangling link is a broken image


def test_order_is_the_names(tmp_path: Path) -> None:
    for folder in ("Real", "B", "a"):
        (tmp_path / "d" / folder).mkdir(parents=True)
        for name in ("10.png", "9.png", "b.png", "B.png"):
            Image.new("RGB", (1, 1)).save(tmp_path / "d" / folder / name)
    paths = [path for g in find([tmp_path / "d"]).groups for path in g.paths]
    assert [Path(path).name for path in paths[:4]] == ["10.png", "9.png", "B.png", "b.png"]
    assert [Path(path).parent.name for path in paths[::4]] == ["Real", "B", "a"]


def test_many_files_are_found_fast(tmp_path: Path) -> None:
    for folder in ("Real", "ADM"):
        (tmp_path / folder).mkdir()
        for number in range(4000):
            (tmp_path / folder / f"{number}.png").touch()
    start = time.perf_counter()
    assert scan(tmp_path).count == 8000
    assert time.perf_counter() - start < 1.0  # some 0.02 s; opening the files would take longer


BAD = {
    "nowhere": ((), "no such file or folder"),
    "empty": ((), "no image found in"),
    "flat": (("flat",), "no layout fits .*3 images directly.*expected"),
    "gans": (
        ("gans/ProGAN", "gans/ADM"),
        "no layout fits .*folders ADM, ProGAN; expected .*Real may also be called",
    ),
    "only": (("only/Real",), "dataset 'only' has no generated image"),
    "half": (("half/a/Real", "half/a/ADM", "half/b"), "holds images but no sub-folder called Real"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_used(name: str, tmp_path: Path, plant) -> None:
    folders, message = BAD[name]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.md").write_text("nothing")
    for folder in folders:
        plant(folder, 3)
    with pytest.raises(InputError, match=message) as caught:
        find([tmp_path / name])
    assert "\n" not in str(caught.value)


def test_classes_without_an_image(tmp_path: Path, plant) -> None:
    plant("a/ADM", 2)
    (tmp_path / "a/Real").mkdir()
    with pytest.raises(InputError, match=r"dataset 'a' has no real image; the folder '.*/a/Real' holds none"):
        find([tmp_path / "a"])
    plant("b/Real", 2)
    (tmp_path / "b/ADM").mkdir()
    with pytest.raises(
        InputError, match=r"dataset 'b' has no generated image; the folder '.*/b/ADM' holds none"
    ):
        find([tmp_path / "b"])
    with pytest.raises(InputError, match="no generated images beside the reals"):
        find([tmp_path / "b/Real"])


def test_wrong_arguments(tmp_path: Path, plant) -> None:
    [image, *_] = plant("d/Real", 2)
    plant("d/ADM", 2)
    cases = {
        "layout must be one of .*Did you mean 'ricker'": ([tmp_path / "d"], {"layout": "riker"}),
        "no data given": ([], {}),
        "is one image; give the folder": ([image], {}),
        "layout 'genimage' does not fit .*imagenet_ai_<mmdd>": ([tmp_path / "d"], {"layout": "genimage"}),
        "layout 'forensynths' does not fit": ([tmp_path / "d"], {"layout": "forensynths"}),
        "layout 'ricker' does not fit": ([tmp_path / "d"], {"layout": "ricker"}),
        "layout 'table' does not fit": ([tmp_path / "d"], {"layout": "table"}),
        "separate roots are the layout 'roots'": ([f"ADM={tmp_path}/d/ADM"], {"layout": "folders"}),
        "a root must be NAME=FOLDER": ([f"={tmp_path}"], {}),
        "no real images: separate roots": ([f"ADM={tmp_path}/d/ADM"], {}),
        "there is nothing at": ([f"ADM={tmp_path}/d/ADN", tmp_path / "d/Real"], {}),
        "there is a file at": ([f"ADM={image}", tmp_path / "d/Real"], {}),
        "a word for real images": (
            [],
            {"real": tmp_path / "d/Real", "fakes": {"nature": tmp_path / "d/ADM"}},
        ),
    }
    for message, (data, options) in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            find(data, **options)
        assert "\n" not in str(caught.value)
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match=r"no image found in .*void"):
        find(real=tmp_path / "d/Real", fakes={"ADM": tmp_path / "void"})
