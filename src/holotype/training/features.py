"""Features of a frozen backbone: computed once, reused by every later epoch, so that minutes become seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from holotype.loading import batches
from holotype.types import MANY_CLASSES, AnyScores, Floats, Integers, concatenate, keep_top_k

__all__ = ["Features", "HeadOnly", "compute_features"]

BATCH = 128


class HeadOnly(nn.Module):
    """The part of a network behind its pooled features.

    Args:
        network: With `head`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.head = network.head

    def forward(self, features: Tensor) -> Tensor:
        """Logits of pooled features.

        Args:
            features: Shape (n, width).

        Returns:
            Shape (n, classes).
        """
        return self.head.classify(features)  # type: ignore[union-attr,operator]


@dataclass(frozen=True)
class Features:
    """Pooled features of a frozen backbone.

    Args:
        augmented: Of the training rows under each draw of the augmentation, shape (draws, n, width).
        unaugmented: Of other rows, plainly seen, shape (m, width).
        position: Where a row stands in `augmented` (training rows) or `unaugmented` (others), shape (image rows,); -1
            elsewhere.
        device: Where a batch goes.
    """

    augmented: Floats
    unaugmented: Floats
    position: Integers
    device: torch.device

    def batch(self, rows: Integers, draw: int) -> Tensor:
        """Features of some training rows.

        Args:
            rows: Image rows, shape (k,).
            draw: Which draw of the augmentation.
        """
        return torch.from_numpy(self.augmented[draw % len(self.augmented), self.position[rows]]).to(self.device)

    def logits(self, network: nn.Module, rows: Integers) -> AnyScores:
        """What the head says of rows that are plainly seen.

        Args:
            network: In evaluation mode.
            rows: Image rows that do not train, shape (k,).
        """

        def head_logits(part: Integers) -> AnyScores:
            features = torch.from_numpy(self.unaugmented[self.position[part]]).to(self.device)
            logits: Floats = network.head.classify(features).float().cpu().numpy()  # type: ignore[union-attr,operator]
            return keep_top_k(logits) if logits.shape[1] > MANY_CLASSES else logits

        with torch.inference_mode():
            is_small = len(rows) <= BATCH or len(network.head.last.weight) <= MANY_CLASSES  # type: ignore[union-attr,arg-type]
            return (
                head_logits(rows)
                if is_small
                else concatenate([head_logits(part) for part in batches(rows, BATCH, drop_last=False)])
            )


def compute_features(
    pooled: Callable[[Tensor], Tensor],
    batch_functions: Sequence[Callable[[Integers], Tensor]],
    rows: tuple[Integers, Integers, int],
    unaugmented: Floats,
    device: torch.device,
    advance: Callable[[int], None],
) -> Features:
    """Run a frozen backbone over every draw of the training rows.

    Args:
        pooled: The backbone with its pooling, in evaluation mode.
        batch_functions: For each draw, what makes a batch of pixels of training rows.
        rows: The training rows, the others, and how many image rows there are.
        unaugmented: Features of the others, shape (m, width).
        device: Where the head's batches go.
        advance: Told how many images were seen.
    """
    training, others, count = rows

    def pool_draw(make: Callable[[Integers], Tensor]) -> Floats:
        features = []
        for part in batches(training, BATCH, drop_last=False):
            features.append(pooled(make(part)).float().cpu().numpy())
            advance(len(part))
        return np.concatenate(features)

    position = np.full(count, -1, np.int64)
    position[training], position[others] = np.arange(len(training)), np.arange(len(others))
    with torch.inference_mode():
        return Features(np.stack([pool_draw(make) for make in batch_functions]), unaugmented, position, device)
