"""An encoder and a head as one network, and its training by Lightning."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bandprobe import progress, seeding
from bandprobe.encoders import Encoder
from bandprobe.errors import InputError
from bandprobe.probes import fine_tuned, losses
from bandprobe.probes.augmentation import Augmenter
from bandprobe.probes.head_probe import Trained, head_outputs
from bandprobe.probes.heads import build
from bandprobe.probes.image_batches import Batch, ImageBatches
from bandprobe.probes.lightning_import import import_lightning
from bandprobe.probes.network_settings import Settings

lightning: Any = import_lightning()
_EPSILON = 1e-5


class Network(lightning.LightningModule):  # type: ignore[misc]
    """Images to a head's last layer.

    Embeddings are normalised on the way by their running mean and deviation, which become the probe's.

    Args:
        encoder: frozen unless the settings say otherwise.
        sizes: the head, see `heads.sizes_of`.
        settings: how it is trained.
        augmenter: what training images go through.
        seed: decides first weights, batches and dropout.
        name: of the training set.
    """

    def __init__(
        self,
        encoder: Encoder,
        sizes: dict[str, Any],
        settings: Settings,
        augmenter: Augmenter,
        *,
        seed: int,
        name: str,
    ) -> None:
        super().__init__()
        self._encoder, self._sizes, self._settings, self._augmenter = encoder, sizes, settings, augmenter
        self._draws = (seed, "end-to-end", name)
        with torch.random.fork_rng():
            self._seed_torch("weights")
            self.head = build(sizes)
        # Over all batches where embeddings stay what they are, over the latest where the encoder changes.
        momentum = 0.1 if settings.unfreeze else None
        self.norm = nn.BatchNorm1d(sizes["dim"], eps=_EPSILON, momentum=momentum, affine=False)
        # Only what is trained is part of this module, and so of its checkpoints.
        self.tower = fine_tuned.module_of(encoder) if settings.unfreeze else None
        self._sums = [0.0, 0.0]

    def order(self, n: int) -> NDArray[np.intp]:
        """The order of n training images in the current epoch."""
        drawn: NDArray[np.intp] = seeding.generator(*self._draws, "order", self.current_epoch).permutation(n)
        return drawn

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, the encoder's weights at a rate of their own."""
        settings = self._settings
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": settings.rate}]
        if self.tower is not None:
            self.tower.requires_grad_(True)
            groups.append({"params": list(self.tower.parameters()), "lr": settings.encoder_rate})
        return torch.optim.AdamW(groups, weight_decay=settings.decay)

    def on_train_epoch_start(self) -> None:
        """Dropout's draws follow from the epoch, so that a training can go on where it was stopped."""
        self._seed_torch("dropout", self.current_epoch)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """The loss of one batch, augmented."""
        ids, pixels, labels, weights = batch
        images = self._augmenter(pixels.float() / 255, ids, self.current_epoch)
        loss = self._weighted(self(images), labels, weights) / len(ids)
        self.log("train_loss", loss.detach(), on_step=True, batch_size=len(ids))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Sums over batches begin at 0."""
        self._sums = [0.0, 0.0]

    def validation_step(self, batch: Batch, number: int) -> None:
        """Add a batch to the validation loss."""
        _, pixels, labels, weights = batch
        self._sums[0] += float(self._weighted(self(pixels.float() / 255), labels, weights))
        self._sums[1] += float(weights.sum())

    def on_validation_epoch_end(self) -> None:
        """The validation loss: class-balanced, over all images."""
        self.log("val_loss", self._sums[0] / self._sums[1])

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) in [0, 1] -> (n, outputs)."""
        encoder = self._encoder
        if self.tower is None:
            vectors = encoder.embed(images).clone()  # of inference mode, whose tensors take no gradient
        else:
            vectors = encoder._embed(encoder._prepared(images)).float()
        result: Tensor = self.head(self.norm(vectors))
        return result

    def trained(self) -> Trained:
        """The head with the normalisation before it."""
        weights = {name: value.cpu().numpy().copy() for name, value in self.head.state_dict().items()}
        norm = {name: value.cpu().double().numpy().copy() for name, value in self.norm.state_dict().items()}
        mean, scale = norm["running_mean"], np.sqrt(norm["running_var"] + _EPSILON)
        return Trained(self._sizes, self._settings.loss, mean, scale, weights)

    def logits(self, batches: ImageBatches) -> NDArray[np.float64]:
        """Raw logits of images without augmentation, in full precision, (n,)."""
        with torch.inference_mode():
            parts = [self.head(vectors)[:, 0].cpu() for vectors in self._normalised(batches)]
        return torch.cat(parts).double().numpy()

    def outputs(self, batches: ImageBatches) -> NDArray[np.float32]:
        """The head's outputs of images without augmentation, in full precision, (n, k)."""
        return np.concatenate(
            [head_outputs(self.head, self._settings.loss, vectors) for vectors in self._normalised(batches)]
        )

    def _normalised(self, batches: ImageBatches) -> Iterator[Tensor]:
        self.eval().to(self._encoder.device)
        for _, pixels, _, _ in batches:
            yield self.norm(self._encoder.embed(pixels.to(self._encoder.device).float() / 255))

    def _weighted(self, given: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        # In float32: what stands in a loss's exponents is too much for half precision.
        with torch.autocast(given.device.type, enabled=False):
            return (losses.values(self._settings.loss, given.float(), labels) * weights).sum()

    def _seed_torch(self, *names: object) -> None:
        torch.manual_seed(int(seeding.generator(*self._draws, *names).integers(2**31)))


def fit(
    network: Network,
    train: ImageBatches,
    val: ImageBatches,
    settings: Settings,
    place: Path,
    *,
    logs: Path,
) -> None:
    """Train a network, going on from the checkpoint in `place` if there is one, and give it its best weights.

    Args:
        network: its weights are those of the best epoch afterwards.
        train: training images.
        val: validation images.
        settings: how.
        place: the folder for checkpoints: `last.ckpt`, and the best epoch's.
        logs: the folder for TensorBoard.

    Raises:
        InputError: a checkpoint that is damaged.
        KeyboardInterrupt: stopped by Ctrl-C; the last epoch that was finished is in the checkpoint.
    """
    callbacks = lightning.callbacks
    best = callbacks.ModelCheckpoint(
        place, "best", monitor="val_loss", save_on_train_epoch_end=True, enable_version_counter=False,
    )  # fmt: skip
    # Of its own: the other is written only where the loss has fallen.
    last = callbacks.ModelCheckpoint(
        place, "last", monitor=None, save_on_train_epoch_end=True, enable_version_counter=False
    )
    stop = callbacks.EarlyStopping("val_loss", patience=settings.patience, check_on_train_epoch_end=True)
    device = network._encoder.device
    handler = signal.getsignal(signal.SIGINT)
    with (
        _quietly(),
        torch.random.fork_rng(),
        progress.bar("train", settings.epochs * len(train), "batches") as step,
    ):
        trainer = lightning.Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=settings.precision,
            max_epochs=settings.epochs,
            # Early stopping first: its count belongs into the checkpoint.
            callbacks=[stop, best, last, _Bar(step)],
            logger=lightning.loggers.TensorBoardLogger(logs.parent, logs.name, version=""),
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(network, train, val, ckpt_path=_checkpoint(place / "last.ckpt"), weights_only=True)
        except SystemExit:  # Lightning's word for Ctrl-C, after which it hears no other
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
    path = place / "best.ckpt"
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    network.eval().requires_grad_(False)


def _checkpoint(path: Path) -> Path | None:
    """The path, when a whole checkpoint lies there."""
    if not path.exists():
        return None
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged zip archives and pickles lead to whatever they hold
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"checkpoint {str(path)!r} is damaged ({reason}); remove it to start anew."
        ) from None
    return path


class _Bar(lightning.callbacks.Callback):  # type: ignore[misc]
    """Hands each finished batch to the progress bar."""

    def __init__(self, step: progress.Step) -> None:
        self._step = step

    def on_train_batch_end(self, *_: Any) -> None:
        """One more."""
        self._step()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """None of Lightning's own messages."""
    names = ("lightning.pytorch", "lightning.fabric")
    levels = [logging.getLogger(name).level for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in zip(names, levels, strict=True):
                logging.getLogger(name).setLevel(level)
