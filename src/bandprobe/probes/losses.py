"""What heads are trained to make small. Every loss gives a value for each image; training weighs them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from bandprobe.errors import InputError, did_you_mean

ALPHA, GAMMA = 0.25, 2.0
TEMPERATURE = 0.1
MARGIN = 0.2

Loss = Callable[[Tensor, Tensor], Tensor]


def bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of raw logits, in nats.

    Args:
        logits: (n,), raw.
        labels: (n,), float, 0 real, 1 fake.

    Returns:
        (n,), not negative.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def focal(logits: Tensor, labels: Tensor, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """Focal loss `-alpha_t (1 - p_t)^gamma log(p_t)`: what is right already weighs little.

    Args:
        logits: (n,), raw.
        labels: (n,), float, 0 real, 1 fake.
        alpha: weight of fakes; reals have `1 - alpha`.
        gamma: 0 gives weighted cross-entropy.

    Returns:
        (n,), not negative.

    Source:
        Lin et al. 2017 (arXiv:1708.02002), equation 5, with its alpha and gamma.
    """
    entropy = bce(logits, labels)
    share = torch.where(labels > 0, alpha, 1 - alpha)
    return share * (1 - torch.exp(-entropy)) ** gamma * entropy


def supcon(vectors: Tensor, labels: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Supervised contrastive loss: an image's class mates shall be its nearest.

    `-1/|P(i)| sum over p in P(i) of log(exp(z_i z_p / t) / sum over a != i of exp(z_i z_a / t))`, with P(i)
    the other images of i's class in the batch.

    Args:
        vectors: (n, k), of unit length.
        labels: (n,).
        temperature: t.

    Returns:
        (n,), not negative; 0 for an image without class mates in the batch.

    Source:
        Khosla et al. 2020 (arXiv:2004.11362), equation 2 (the sum outside the logarithm).
    """
    others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    # Not minus infinity: in a batch of one image nothing else would be left, and its gradient no number.
    nothing = torch.finfo(vectors.dtype).min
    similarity = (vectors @ vectors.T / temperature).masked_fill(~others, nothing)
    log_share = (similarity - similarity.logsumexp(1, keepdim=True)).masked_fill(~others, 0)
    mates = (labels[:, None] == labels) & others
    return -torch.where(mates, log_share, 0).sum(1) / mates.sum(1).clamp_min(1)


def triplet(vectors: Tensor, labels: Tensor, margin: float = MARGIN) -> Tensor:
    """Batch-hard triplet loss: the farthest class mate shall be nearer than the nearest stranger.

    `max(0, margin + max over p of |z_i - z_p| - min over n of |z_i - z_n|)`.

    Args:
        vectors: (n, k), of unit length.
        labels: (n,).
        margin: by how much.

    Returns:
        (n,), not negative; 0 for an image without a class mate or without a stranger in the batch.

    Source:
        Schroff et al. 2015 (arXiv:1503.03832) with its margin of 0.2; batch-hard mining and the plain
        distance of Hermans et al. 2017 (arXiv:1703.07737), equation 5.
    """
    distance = torch.cdist(vectors, vectors)
    same = labels[:, None] == labels
    mates = same & ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    farthest = distance.masked_fill(~mates, -torch.inf).amax(1)
    nearest = distance.masked_fill(same, torch.inf).amin(1)
    there = mates.any(1) & ~same.all(1)
    return torch.where(there, functional.relu(margin + torch.where(there, farthest - nearest, 0)), 0)


LOSSES: dict[str, Loss] = {"bce": bce, "focal": focal, "supcon": supcon, "triplet": triplet}
CONTRASTIVE = ("supcon", "triplet")


def named(name: str) -> Loss:
    """The loss of that name.

    Raises:
        InputError: there is none.
    """
    if name not in LOSSES:
        raise InputError(
            f"loss must be one of {', '.join(LOSSES)}; got {name!r}.{did_you_mean(name, LOSSES)}"
        )
    return LOSSES[name]


def values(name: str, given: Tensor, labels: Tensor, *, sigmoid: bool = False) -> Tensor:
    """A loss of what a head's last layer gives.

    Args:
        name: of the loss.
        given: (n, 1), logits, for `bce` and `focal`; (n, k), of any length, for contrastive losses.
        labels: (n,), float, 0 real, 1 fake.
        sigmoid: whether a sigmoid stands before a loss that has one of its own; contrastive losses have none.

    Returns:
        (n,).
    """
    loss = named(name)
    if name in CONTRASTIVE:
        return loss(functional.normalize(given), labels)
    logits = given[:, 0]
    return loss(logits.sigmoid() if sigmoid else logits, labels)
