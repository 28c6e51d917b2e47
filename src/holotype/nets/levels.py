"""Logits of the ranks above the classes, and the one distribution over classes that they and the classes give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from holotype.types import Levels

__all__ = ["RankLogits", "combined_logits"]


def combined_logits(leaves: Tensor, ranks: Sequence[Tensor], parents: Tensor, weights: Sequence[float]) -> Tensor:
    """Log-probabilities of classes, each with those of the taxa above it.

    A product of experts (Hinton 2002, Neural Computation 14): what is said of genera is said of their species, so that
    the genus of a prediction is always its species' own.

    Args:
        leaves: Logits of the classes, shape (n, classes).
        ranks: Logits of each rank's taxa, shape (n, taxa) each.
        parents: The number of each class's taxon, shape (ranks, classes), int64.
        weights: What each rank counts.

    Returns:
        Logits of the classes, shape (n, classes).
    """
    total = leaves.float().log_softmax(dim=1)
    for said, place, weight in zip(ranks, parents, weights, strict=True):
        total = total + weight * said.float().log_softmax(dim=1)[:, place]
    return total


class RankLogits(nn.Module):
    """What a head says of ranks beside its classes.

    Args:
        width: Of the features.
        levels: The ranks.
    """

    parents: Tensor

    def __init__(self, width: int, levels: Levels) -> None:
        super().__init__()
        self.counts, self.weights = levels.counts, levels.weights
        self.last = nn.Linear(width, sum(levels.counts))
        nn.init.zeros_(self.last.bias)
        # The checkpoint's card holds them, so the weights need not.
        self.register_buffer("parents", torch.tensor(levels.parents), persistent=False)

    def forward(self, leaves: Tensor, features: Tensor) -> Tensor:
        """Logits of classes and taxa in training, of classes alone where the network predicts.

        Args:
            leaves: Logits of the classes, shape (n, classes).
            features: What they were made from, shape (n, width).

        Returns:
            Shape (n, classes + taxa of all ranks) in training, (n, classes) else.
        """
        said = self.last(features)
        if self.training:
            return torch.cat([leaves, said], dim=1)
        return combined_logits(leaves, said.split(self.counts, dim=1), self.parents, self.weights)
