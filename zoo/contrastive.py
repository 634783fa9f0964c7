"""Language supervision: of a batch's images and captions, find which belong together.

Source:
    Radford et al. 2021 (CLIP, arXiv:2103.00020), section 2 and figure 3. Smaller here: words instead of
    byte pairs, two layers of text, and as many pairs a batch as the other objective sees images.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bandprobe.errors import InputError, did_you_mean
from zoo.augmentation import View, normalised, views
from zoo.schedules import adamw, set_rates, warmed
from zoo.vit import MEAN, STD, WIDTH, How, class_token, new_vit, seed_torch, spread

VIEW = View(64, (0.9, 1.0), colours=False)

_LAYERS, _HEADS, _SHARED = 2, 4, 128
_TEMPERATURE, _COLDEST = 0.07, 0.01
_RATE, _LAST_RATE, _WARM_UP, _DECAY = 1e-3, 1e-5, 0.1, 0.2
_BETAS = (0.9, 0.98)
_LONGEST_GRADIENT = 3.0


class Vocabulary:
    """The words of some captions, and captions as rows of their numbers.

    Args:
        captions: every word in them is known, whatever its case.
    """

    _END = 1  # 0 fills up the rows

    def __init__(self, captions: Iterable[str]) -> None:
        every = [_words(caption) for caption in captions]
        self._numbers = {word: number for number, word in enumerate(sorted(set().union(*every)), start=2)}
        self.length = max(map(len, every)) + 1

    def __len__(self) -> int:
        return len(self._numbers) + 2

    def rows(self, captions: Sequence[str]) -> Tensor:
        """Each caption's words, an end mark behind them, then zeros.

        Returns:
            int64, shape (n, length), length being that of the longest caption known, and its mark.

        Raises:
            InputError: a word is unknown, or a caption is longer than every known one.
        """
        rows = torch.zeros(len(captions), self.length, dtype=torch.int64)
        for row, caption in zip(rows, captions, strict=True):
            words = _words(caption)
            unknown = next((word for word in words if word not in self._numbers), None)
            if unknown is not None:
                raise InputError(
                    f"the word {unknown!r} is in none of the captions that were trained on; got {caption!r}."
                    + did_you_mean(unknown, self._numbers)
                )
            if len(words) >= self.length:
                raise InputError(
                    f"a caption must have at most {self.length - 1} words; got {len(words)}: {caption!r}."
                )
            row[: len(words) + 1] = torch.tensor([*(self._numbers[word] for word in words), self._END])
        return rows


class TextTower(nn.Module):
    """A causal transformer over words, whose vector is the one at the end mark.

    Args:
        words: size of the vocabulary, with its two marks.
        length: of the rows.
    """

    def __init__(self, words: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.places = nn.Parameter(torch.empty(length, WIDTH))
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.places, std=0.01)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, _HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(_LAYERS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows of words, shape (n, length), to vectors of shape (n, width)."""
        states = self.words(rows) + self.places
        for layer in self.layers:
            states = layer(states, src_mask=self.mask, is_causal=True)
        # No padding mask: what stands behind the end mark is invisible to it.
        ends = (rows == Vocabulary._END).int().argmax(1)
        vectors: Tensor = self.norm(states[torch.arange(len(rows), device=rows.device), ends])
        return vectors


class Alignment(nn.Module):
    """The projections of both towers into one space, and the learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Linear(WIDTH, _SHARED, bias=False)
        self.text = nn.Linear(WIDTH, _SHARED, bias=False)
        for projection in (self.image, self.text):
            nn.init.normal_(projection.weight, std=WIDTH**-0.5)
        self.sharpness = nn.Parameter(torch.tensor(-math.log(_TEMPERATURE)))

    def forward(self, images: Tensor, texts: Tensor) -> Tensor:
        """Cosines of every image with every text over the temperature, shape (n, n)."""
        images = functional.normalize(self.image(images).float(), dim=-1)
        texts = functional.normalize(self.text(texts).float(), dim=-1)
        return self.sharpness.clamp(max=-math.log(_COLDEST)).exp() * images @ texts.T


def symmetric_loss(logits: Tensor) -> Tensor:
    """The mean of two cross-entropies: which text is each image's, which image is each text's.

    Args:
        logits: shape (n, n), row i and column i belonging together.

    Returns:
        A scalar, in nats.
    """
    pairs = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, pairs) + functional.cross_entropy(logits.T, pairs)) / 2


class Contrastive:
    """CLIP's training; a `zoo.training.Trainee`.

    Args:
        photographs: uint8, shape (n, side, side, 3).
        captions: n of them.
        how: seed, batch, device and precision.
    """

    def __init__(self, photographs: NDArray[np.uint8], captions: Sequence[str], how: How) -> None:
        self._photographs, self._how = photographs, how
        self.vocabulary = Vocabulary(captions)
        self._rows = self.vocabulary.rows(captions)
        self.image_tower: Any = new_vit(how.seed).to(how.device)
        seed_torch(how.seed, "clip text")
        self.text_tower = TextTower(len(self.vocabulary), self.vocabulary.length).to(how.device)
        self.alignment = Alignment().to(how.device)
        self.modules = {
            "image_tower": self.image_tower, "text_tower": self.text_tower, "alignment": self.alignment,
        }  # fmt: skip
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "adamw": adamw(self.modules.values(), betas=_BETAS)
        }

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One update; logs the loss, the share of images that find their caption, temperature and spread."""
        optimiser = self.optimisers["adamw"]
        set_rates(optimiser, warmed(_RATE, _LAST_RATE, number, steps, _WARM_UP), _DECAY)
        chosen = np.sort(rng.choice(len(self._photographs), self._how.batch, replace=False, shuffle=False))
        images = torch.from_numpy(self._photographs[chosen]).to(self._how.device)
        pixels = normalised(views(images, VIEW)[0], MEAN, STD)
        rows = self._rows[torch.from_numpy(chosen)].to(self._how.device)
        with self._how.autocast():
            vectors = class_token(self.image_tower, pixels)
            logits = self.alignment(vectors, self.text_tower(rows))
        loss = symmetric_loss(logits.float())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for part in self.modules.values():
            nn.utils.clip_grad_norm_(part.parameters(), _LONGEST_GRADIENT)
        optimiser.step()
        found = logits.detach().argmax(1) == torch.arange(len(logits), device=logits.device)
        return {
            "loss": loss.detach(),
            "found": found.float().mean(),
            "temperature": (-self.alignment.sharpness.detach()).exp(),
            "spread": spread(vectors.detach()),
        }


def _words(caption: str) -> list[str]:
    return re.findall(r"[a-z]+(?:-[a-z]+)*|\d+", caption.lower())
