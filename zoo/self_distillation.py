"""Self-distillation without labels: a student learns what a slow average of itself says of other views.

Source:
    Caron et al. 2021 (DINO, arXiv:2104.14294), algorithm 1 and section 3.2. Smaller here: 1,024 prototypes
    instead of 65,536, four local views instead of eight, an average that starts at 0.99 and a sharper
    teacher, since a training has thousands of steps and not a hundred thousand.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from zoo.augmentation import View, normalised, views
from zoo.schedules import adamw, cosine, set_rates, warmed
from zoo.vit import MEAN, STD, WIDTH, How, class_token, new_vit, seed_torch, spread

GLOBALS = (View(64, (0.4, 1.0), blurred=1.0), View(64, (0.4, 1.0), blurred=0.1, solarised=0.2))
LOCAL, LOCALS = View(32, (0.05, 0.4), blurred=0.5), 4

_HIDDEN, _BOTTLENECK, _PROTOTYPES = 512, 128, 1024
_STUDENT_TEMPERATURE = 0.1
# From the first to the second over a share of the steps. At 0.07, where DINO ends, so short a training of so
# small a head goes flat: within 600 steps the teacher's entropy is 6.7 of at most 6.9 nats.
_TEACHER_TEMPERATURE, _TEMPERATURE_SHARE = (0.03, 0.04), 0.3
_CENTRE_MOMENTUM = 0.9
_MOMENTUM = (0.99, 1.0)  # of the teacher, from and to
_RATE, _LAST_RATE, _WARM_UP = 1e-3, 1e-5, 0.1
_DECAY = (0.04, 0.4)  # from and to
_FROZEN_SHARE = 0.02  # of the steps, through which the prototypes stand still
_LONGEST_GRADIENT = 3.0


class Head(nn.Module):
    """Three layers to a bottleneck of length 1, then its cosines with the prototypes."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, _HIDDEN), nn.GELU(),
            nn.Linear(_HIDDEN, _BOTTLENECK),
        )  # fmt: skip
        self.prototypes = nn.Parameter(torch.empty(_PROTOTYPES, _BOTTLENECK))
        for weight in self.parameters():
            nn.init.trunc_normal_(weight, std=0.02) if weight.ndim > 1 else nn.init.zeros_(weight)

    def forward(self, vectors: Tensor) -> Tensor:
        """Shape (n, width) to logits of shape (n, prototypes), in [-1, 1]."""
        bottleneck = functional.normalize(self.mlp(vectors).float(), dim=-1)
        return functional.linear(bottleneck, functional.normalize(self.prototypes, dim=-1))


class Centre(nn.Module):
    """The running mean of the teacher's logits, taken from them lest one prototype win every image."""

    mean: Tensor

    def __init__(self, prototypes: int = _PROTOTYPES) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(prototypes))

    def sharpened(self, logits: Tensor, temperature: float) -> Tensor:
        """Probabilities of the centred logits, of the same shape; `temperature` below 1 sharpens them."""
        return ((logits - self.mean) / temperature).softmax(-1)

    @torch.no_grad()
    def update(self, logits: Tensor) -> None:
        """Move towards the mean of the batch, over all dimensions but the last."""
        self.mean.lerp_(logits.flatten(0, -2).mean(0), 1 - _CENTRE_MOMENTUM)


def cross_entropy(teacher: Tensor, student: Tensor) -> Tensor:
    """Mean cross-entropy of teacher and student over all pairs of different views of one image.

    Args:
        teacher: probabilities, shape (t, n, prototypes): t global views of n images.
        student: logits already divided by the temperature, shape (v, n, prototypes), v >= t; its first t
            views are the teacher's.

    Returns:
        A scalar, in nats.
    """
    pairs = -torch.einsum("tnk,vnk->tv", teacher, student.log_softmax(-1)) / teacher.shape[1]
    same = torch.eye(*pairs.shape, dtype=torch.bool, device=pairs.device)
    return pairs.masked_fill(same, 0).sum() / (~same).sum()


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Each weight of the teacher becomes `momentum * teacher + (1 - momentum) * student`."""
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - momentum)


class SelfDistillation:
    """DINO's training; a `zoo.training.Trainee`.

    Args:
        photographs: uint8, shape (n, side, side, 3).
        how: seed, batch, device and precision.
        blur: whether views are blurred.
    """

    def __init__(self, photographs: NDArray[np.uint8], how: How, *, blur: bool = True) -> None:
        self._photographs, self._how, self._blur = photographs, how, blur
        self.student: Any = new_vit(how.seed).to(how.device)
        seed_torch(how.seed, "dino head")
        self.student_head = Head().to(how.device)
        self.teacher: Any = copy.deepcopy(self.student).requires_grad_(False)
        self.teacher_head = copy.deepcopy(self.student_head).requires_grad_(False)
        self.centre = Centre().to(how.device)
        self.modules = {
            "student": self.student, "student_head": self.student_head,
            "teacher": self.teacher, "teacher_head": self.teacher_head, "centre": self.centre,
        }  # fmt: skip
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "adamw": adamw((self.student, self.student_head))
        }

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One update; logs the loss, its two parts (the teacher's entropy and the divergence) and spread."""
        optimiser = self.optimisers["adamw"]
        rate = warmed(_RATE, _LAST_RATE, number, steps, _WARM_UP)
        set_rates(optimiser, rate, cosine(*_DECAY, number, steps))
        large, small = self._views(rng)
        with self._how.autocast():
            with torch.no_grad():
                vectors = class_token(self.teacher, large)
                logits = _by_view(self.teacher_head(vectors), len(GLOBALS))
            seen = torch.cat([class_token(self.student, large), class_token(self.student, small)])
            student = _by_view(self.student_head(seen), len(GLOBALS) + LOCALS)
        first, last = _TEACHER_TEMPERATURE
        warm = min(1.0, number / (_TEMPERATURE_SHARE * steps))
        teacher = self.centre.sharpened(logits, first + warm * (last - first))
        loss = cross_entropy(teacher, student / _STUDENT_TEMPERATURE)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for part in (self.student, self.student_head):
            nn.utils.clip_grad_norm_(part.parameters(), _LONGEST_GRADIENT)
        if number < _FROZEN_SHARE * steps:
            self.student_head.prototypes.grad = None
        optimiser.step()
        momentum = cosine(*_MOMENTUM, number, steps)
        follow(self.teacher, self.student, momentum)
        follow(self.teacher_head, self.student_head, momentum)
        self.centre.update(logits)
        entropy = torch.special.entr(teacher).sum(-1).mean()
        return {
            "loss": loss.detach(),
            "teacher_entropy": entropy,
            "divergence": loss.detach() - entropy,
            "spread": spread(vectors[: self._how.batch]),
        }

    def _views(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Normalised global views, first all of the first kind, and local views in the same way."""
        chosen = rng.choice(len(self._photographs), self._how.batch, replace=False, shuffle=False)
        images = torch.from_numpy(self._photographs[np.sort(chosen)]).to(self._how.device)
        large = torch.cat([views(images, view, blur=self._blur) for view in GLOBALS])
        small = views(images, LOCAL, LOCALS, blur=self._blur)
        return normalised(large.flatten(0, 1), MEAN, STD), normalised(small.flatten(0, 1), MEAN, STD)


def _by_view(rows: Tensor, count: int) -> Tensor:
    """Shape (count * n, k) to (count, n, k)."""
    return rows.float().view(count, -1, rows.shape[1])
