"""Training on images: augmentation, resumption, fine-tuning, and the probe that comes out."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bandprobe import encoders
from bandprobe.errors import EncoderError, FilterError, InputError
from bandprobe.filters import References, parse
from bandprobe.images import Geometry, build
from bandprobe.probes import ProbeFile, load
from bandprobe.probes.augmentation import Augmenter, augmentation
from bandprobe.probes.head_probe import HeadProbe
from bandprobe.probes.image_batches import ImageBatches
from bandprobe.probes.network_settings import Settings

pytest.importorskip("lightning", reason="training on images needs the extra train")

GRID = Geometry.parse("squash:32")
AUGMENT = ("flip", "random-lowpass:5..15px", "jpeg:75", "fda:0.05:reference=Real@0.3", "blur:1@0.2")


@pytest.fixture(scope="module")
def table(world: Path) -> pd.DataFrame:
    return build([str(world)]).table


def go(table: pd.DataFrame, checkpoint: Path, out: Path, **settings: object) -> ProbeFile:
    from bandprobe.probes.end_to_end import train_end_to_end

    chosen = Settings(**{"batch": 32, "patience": 10, "epochs": 2, **settings})
    encoder = encoders.load(str(checkpoint), device="cpu")
    [probe] = train_end_to_end(
        table, encoder, str(checkpoint), ["all"], out, chosen, geometry=GRID, workers=1
    )
    return probe


def pictures(table: pd.DataFrame, split: str) -> torch.Tensor:
    rows = table[table["split"] == split]
    batches = ImageBatches(rows, np.ones(len(rows)), geometry=GRID, size=1000)
    [(_, images, _, _)] = batches
    return images.float() / 255


def test_a_stopped_training_goes_on_as_if_it_had_not_been_stopped(
    table: pd.DataFrame, checkpoint: Path, tmp_path: Path
) -> None:
    options = {"head": "mlp", "loss": "focal", "augment": AUGMENT}
    whole = go(table, checkpoint, tmp_path / "whole", epochs=3, **options)
    early = go(table, checkpoint, tmp_path / "parts", epochs=1, **options)
    parts = go(table, checkpoint, tmp_path / "parts", epochs=3, **options)
    assert isinstance(whole.probe, HeadProbe)
    for name, value in whole.probe.weights.items():
        np.testing.assert_array_equal(parts.probe.weights[name], value)
    assert any((early.probe.weights[name] != value).any() for name, value in whole.probe.weights.items())
    assert parts.probe.threshold == whole.probe.threshold
    assert list((tmp_path / "parts" / "logs").rglob("events.out.tfevents.*"))
    # And once it is finished, nothing is trained again.
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*")}
    assert go(table, checkpoint, tmp_path / "parts", epochs=3, **options).key == parts.key
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*")}


def test_ctrl_c_in_the_middle_of_an_epoch_loses_that_epoch_alone(
    table: pd.DataFrame, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bandprobe.probes.network import Network

    whole = go(table, checkpoint, tmp_path / "whole", loss="focal")
    handler, real = signal.getsignal(signal.SIGINT), Network.training_step

    def stopped(self: Network, batch: tuple[object, ...], number: int) -> torch.Tensor:
        if (self.current_epoch, number) == (1, 1):
            raise KeyboardInterrupt
        return real(self, batch, number)

    monkeypatch.setattr(Network, "training_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        go(table, checkpoint, tmp_path / "parts", loss="focal")
    monkeypatch.setattr(Network, "training_step", real)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not list((tmp_path / "parts").glob("*.safetensors"))
    parts = go(table, checkpoint, tmp_path / "parts", loss="focal")
    np.testing.assert_array_equal(parts.probe.weight, whole.probe.weight)


def test_the_probe_is_one_like_any_other(table: pd.DataFrame, checkpoint: Path, tmp_path: Path) -> None:
    probe = go(table, checkpoint, tmp_path, epochs=6, rate=0.01, precision="bf16-mixed")
    [path] = tmp_path.glob("*.safetensors")
    same = load(path)
    encoder = encoders.load(str(checkpoint), device="cpu")
    X = encoder.encode(pictures(table, "train")).numpy()
    np.testing.assert_array_equal(same.probe.logits(X), probe.probe.logits(X))
    assert same.fingerprint["filter"] == "none"
    assert same.fingerprint["encoder.weights"] == encoder.fingerprint["weights"]
    # The normalisation follows the training embeddings.
    assert np.corrcoef(probe.probe.mean, X.mean(0))[0, 1] > 0.99
    assert np.median(probe.probe.scale / X.std(0)) == pytest.approx(1, abs=0.1)
    label = table.loc[table["split"] == "train", "label"].to_numpy()
    called = probe.probe.logits(X) >= probe.probe.threshold
    assert (called == label).mean() > 0.6
    from bandprobe.detect import Detector

    assert len(Detector.load(path, device="cpu").score(Path(table["path"].iloc[0]))) == 1


def test_contrastive_loss_on_images(table: pd.DataFrame, checkpoint: Path, tmp_path: Path) -> None:
    probe = go(table, checkpoint, tmp_path, loss="supcon").probe
    assert isinstance(probe, HeadProbe)
    encoder = encoders.load(str(checkpoint), device="cpu")
    outputs = probe.outputs(encoder.encode(pictures(table, "val")).numpy())
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=1), 1, atol=1e-5)


def test_a_fine_tuned_encoder_loads_as_any_other(
    table: pd.DataFrame, checkpoint: Path, tmp_path: Path
) -> None:
    probe = go(table, checkpoint, tmp_path, unfreeze=True, encoder_rate=1e-3)
    assert probe.encoder == "tiny-dinov2-tuned-all"
    before, after = (encoders.load(source, device="cpu") for source in (str(checkpoint), probe.source))
    assert after.fingerprint["weights"] != before.fingerprint["weights"]
    assert probe.fingerprint["encoder.weights"] == after.fingerprint["weights"]
    assert after.preprocessing == before.preprocessing
    images = pictures(table, "val")
    assert (before.encode(images) - after.encode(images)).abs().max() > 1e-3


def test_what_cannot_be_trained_is_refused(table: pd.DataFrame, checkpoint: Path, tmp_path: Path) -> None:
    from bandprobe.probes.end_to_end import train_end_to_end

    spectral = encoders.load("spectral", device="cpu")
    with pytest.raises(EncoderError, match="spectral cannot be fine-tuned"):
        train_end_to_end(
            table, spectral, "spectral", ["all"], tmp_path, Settings(unfreeze=True), geometry=GRID
        )
    with pytest.raises(InputError, match="embed with tiny-dinov2#tokens"):
        go(table, checkpoint, tmp_path, head="attention")
    with pytest.raises(InputError, match="precision must be one of 32, 16-mixed, bf16-mixed; got '16'"):
        go(table, checkpoint, tmp_path, precision="16")
    with pytest.raises(FilterError, match="unknown filter 'jpg'"):
        go(table, checkpoint, tmp_path, augment=("jpg:75",))
    with pytest.raises(InputError, match="probability behind @"):
        augmentation("flip@1.5")
    one = table[(table["label"] == 0) | (table["split"] != "val")]
    with pytest.raises(InputError, match="'all': the validation split has no fake image"):
        go(one, checkpoint, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_damaged_checkpoint_is_said(table: pd.DataFrame, checkpoint: Path, tmp_path: Path) -> None:
    go(table, checkpoint, tmp_path, epochs=1)
    [last] = tmp_path.rglob("last.ckpt")
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged"):
        go(table, checkpoint, tmp_path, epochs=2)


def test_augmentation_draws_by_image_and_epoch(table: pd.DataFrame) -> None:
    rows = table[table["split"] == "train"].head(40)
    references = References(table, geometry=GRID)
    images, ids = pictures(table, "train")[:40], rows["image_id"].tolist()
    augment = Augmenter([augmentation("flip")], GRID.size, references, seed=0, name="all")
    once = augment(images, ids, 0)
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(once, images, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(once, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 10 < sum(mirrored) < 30
    assert not torch.equal(augment(images, ids, 1), once)
    # Neither batch nor order matters.
    torch.testing.assert_close(augment(images[5:9], ids[5:9], 0), once[5:9], rtol=0, atol=0)
    lowpass = Augmenter([augmentation("random-lowpass:3..10px@1")], GRID.size, references, seed=0, name="all")
    blurred = lowpass(images, ids, 0)
    torch.testing.assert_close(lowpass(images[5:9], ids[5:9], 0), blurred[5:9], rtol=0, atol=1e-6)
    assert (blurred - lowpass(images, ids, 1)).abs().amax((1, 2, 3)).min() > 1e-4  # another radius each time
    assert augmentation("jpeg:75@0.3").probability == 0.3
    assert str(augmentation("jpeg:75")) == "jpeg:75@0.5"
    assert augmentation("lowpass:30px+flip").filter == parse("lowpass:30px+flip")


def test_batches_cover_every_image_once(table: pd.DataFrame) -> None:
    rows = table[table["split"] == "train"].iloc[:33]
    order = np.random.default_rng(0).permutation(33)
    shuffled = ImageBatches(rows, np.arange(33.0), geometry=GRID, size=16, order=lambda: order)
    batches = list(shuffled)
    assert len(batches) == len(shuffled) == 2  # one image alone has no deviation
    assert [image for ids, *_ in batches for image in ids] == rows["image_id"].iloc[order[:32]].tolist()
    np.testing.assert_array_equal(torch.cat([weights for *_, weights in batches]), order[:32])
    plain = ImageBatches(rows, np.ones(33), geometry=GRID, size=16)
    assert [len(ids) for ids, *_ in plain] == [16, 16, 1]
    assert len(plain) == 3
