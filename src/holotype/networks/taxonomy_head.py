"""Taxonomy head: logits of higher ranks, combined with the class logits into one distribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from holotype.types import RankHeads

__all__ = ["RankLogits", "combined_logits"]


def combined_logits(class_logits: Tensor, ranks: Sequence[Tensor], parents: Tensor, weights: Sequence[float]) -> Tensor:
    """Combine class and rank logits into log-scores of the classes, as a product of experts, shape (n, classes).

    Each class adds the weighted log-probabilities of its taxa (Hinton 2002, Neural Computation 14), so the genus of a
    prediction always agrees with its species.

    Args:
        class_logits: Shape (n, classes).
        ranks: Logits of each rank's taxa, shape (n, taxa) each.
        parents: Taxon index of each class, shape (ranks, classes), int64.
        weights: Weight of each rank.
    """
    total = class_logits.float().log_softmax(dim=1)
    for rank_logits, parent, weight in zip(ranks, parents, weights, strict=True):
        total = total + weight * rank_logits.float().log_softmax(dim=1)[:, parent]
    return total


class RankLogits(nn.Module):
    """Linear layer for the logits of higher taxonomic ranks."""

    parents: Tensor

    def __init__(self, width: int, rank_heads: RankHeads) -> None:
        super().__init__()
        self.counts, self.weights = rank_heads.counts, rank_heads.weights
        self.last = nn.Linear(width, sum(rank_heads.counts))
        nn.init.zeros_(self.last.bias)
        # Not saved with the weights: the checkpoint's card holds them.
        self.register_buffer("parents", torch.tensor(rank_heads.parents), persistent=False)

    def forward(self, class_logits: Tensor, features: Tensor) -> Tensor:
        """Append the rank logits in training, or combine them with the class logits in evaluation."""
        rank_logits = self.last(features)
        if self.training:
            return torch.cat([class_logits, rank_logits], dim=1)
        return combined_logits(class_logits, rank_logits.split(self.counts, dim=1), self.parents, self.weights)
