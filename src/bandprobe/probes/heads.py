"""What stands on an embedding: a linear layer, a multi-layer perceptron, or attention over patch tokens."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from bandprobe.errors import InputError, did_you_mean
from bandprobe.store import Fingerprint

HEADS = ("linear", "mlp", "attention")
HIDDEN = 256  # features before the last layer
PROJECTED = 128  # what contrastive losses compare
DROPOUT = 0.1
ATTENTION_HEADS = 4
_TOKEN_DIM = "encoder.token_dim"  # of a fingerprint


class Head(nn.Module):
    """Features of an embedding, and a last layer on them.

    Args:
        features: (n, dim) -> (n, hidden).
        hidden: number of features.
        outputs: of the last layer: 1 for a logit, more for what a contrastive loss compares.
    """

    def __init__(self, features: nn.Module, hidden: int, outputs: int) -> None:
        super().__init__()
        self.features = features
        self.last = nn.Linear(hidden, outputs)

    def forward(self, embedding: Tensor) -> Tensor:
        """(n, dim) -> (n, outputs)."""
        result: Tensor = self.last(self.features(embedding))
        return result


class AttentionPool(nn.Module):
    """Tokens to one vector: learned queries look at every token, each with a share of the features.

    Args:
        tokens: number of tokens, class token included.
        dim: length of an embedding, all its tokens end to end.
        hidden: length of the result.

    Source:
        Attention pooling as in Set Transformer (Lee et al. 2019, pooling by multi-head attention with one
        seed), without its feed-forward layers.
    """

    def __init__(self, tokens: int, dim: int, hidden: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.key = nn.Linear(dim // tokens, hidden)
        self.value = nn.Linear(dim // tokens, hidden)
        self.query = nn.Parameter(torch.randn(ATTENTION_HEADS, 1, hidden // ATTENTION_HEADS))

    def forward(self, embedding: Tensor) -> Tensor:
        """(n, tokens * d) -> (n, hidden)."""
        tokens = embedding.reshape(len(embedding), self.tokens, -1)
        keys, values = (
            layer(tokens)
            .reshape(*tokens.shape[:2], ATTENTION_HEADS, -1)
            .transpose(1, 2)  # (n, heads, tokens, share)
            for layer in (self.key, self.value)
        )
        scores = self.query @ keys.transpose(2, 3) / math.sqrt(keys.shape[3])
        pooled: Tensor = (scores.softmax(3) @ values).flatten(1)
        return pooled


def build(sizes: dict[str, Any]) -> Head:
    """A head with fresh weights, drawn from torch's own generator.

    Args:
        sizes: what `sizes_of` gives.
    """
    dim, hidden = sizes["dim"], sizes["hidden"]
    if sizes["head"] == "linear":
        features: nn.Module = nn.Identity()
    elif sizes["head"] == "mlp":
        features = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(DROPOUT))
    else:
        features = nn.Sequential(AttentionPool(sizes["tokens"], dim, hidden), nn.GELU(), nn.Dropout(DROPOUT))
    return Head(features, hidden, sizes["outputs"])


def sizes_of(
    head: str, dim: int, made_with: Fingerprint, *, contrastive: bool = False, encoder: str = ""
) -> dict[str, Any]:
    """Everything that `build` needs, fit for JSON.

    Args:
        head: `linear`, `mlp` or `attention`.
        dim: length of an embedding.
        made_with: the embeddings' fingerprint, which says how long a token is where they are tokens.
        contrastive: whether the last layer projects for a contrastive loss instead of giving a logit.
        encoder: its name, for messages.

    Raises:
        InputError: a head that is unknown, or that needs tokens where there are none.
    """
    check(head, made_with, encoder)
    sizes = {
        "head": head,
        "dim": dim,
        "hidden": dim if head == "linear" else HIDDEN,
        "outputs": PROJECTED if contrastive else 1,
    }
    return {**sizes, "tokens": dim // int(made_with[_TOKEN_DIM])} if head == "attention" else sizes


def check(head: str, made_with: Fingerprint | None, encoder: str = "") -> None:
    """See that a head is known and can stand on these embeddings, where there are any yet.

    Raises:
        InputError: it is not, or it cannot.
    """
    if head not in HEADS:
        raise InputError(f"head must be one of {', '.join(HEADS)}; got {head!r}.{did_you_mean(head, HEADS)}")
    if head == "attention" and made_with is not None and _TOKEN_DIM not in made_with:
        raise InputError(
            f"head 'attention' needs patch tokens, and the embeddings of {encoder or 'this encoder'!r} are one "
            f"vector an image; embed with {encoder or 'NAME'}#tokens, or take head linear or mlp."
        )
