"""Logits of the ranks above the classes, and the one distribution over classes that they and the classes give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from holotype.types import RankHeads

__all__ = ["RankLogits", "combined_logits"]


def combined_logits(class_logits: Tensor, ranks: Sequence[Tensor], parents: Tensor, weights: Sequence[float]) -> Tensor:
    """Log-probabilities of classes, each with those of the taxa above it.

    A product of experts (Hinton 2002, Neural Computation 14): what is said of genera is said of their species, so that
    the genus of a prediction is always its species' own.

    Args:
        class_logits: Logits of the classes, shape (n, classes).
        ranks: Logits of each rank's taxa, shape (n, taxa) each.
        parents: The number of each class's taxon, shape (ranks, classes), int64.
        weights: What each rank counts.

    Returns:
        Logits of the classes, shape (n, classes).
    """
    total = class_logits.float().log_softmax(dim=1)
    for rank_logits, parent, weight in zip(ranks, parents, weights, strict=True):
        total = total + weight * rank_logits.float().log_softmax(dim=1)[:, parent]
    return total


class RankLogits(nn.Module):
    """What a head says of ranks beside its classes.

    Args:
        width: Of the features.
        rank_heads: The ranks.
    """

    parents: Tensor

    def __init__(self, width: int, rank_heads: RankHeads) -> None:
        super().__init__()
        self.counts, self.weights = rank_heads.counts, rank_heads.weights
        self.last = nn.Linear(width, sum(rank_heads.counts))
        nn.init.zeros_(self.last.bias)
        # The checkpoint's card holds them, so the weights need not.
        self.register_buffer("parents", torch.tensor(rank_heads.parents), persistent=False)

    def forward(self, class_logits: Tensor, features: Tensor) -> Tensor:
        """Logits of classes and taxa in training, of classes alone where the network predicts.

        Args:
            class_logits: Logits of the classes, shape (n, classes).
            features: What they were made from, shape (n, width).

        Returns:
            Shape (n, classes + taxa of all ranks) in training, (n, classes) else.
        """
        rank_logits = self.last(features)
        if self.training:
            return torch.cat([class_logits, rank_logits], dim=1)
        return combined_logits(class_logits, rank_logits.split(self.counts, dim=1), self.parents, self.weights)
