"""Cached features of a frozen backbone: computed once and reused in every later epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from holotype.loading import batches
from holotype.types import MANY_CLASSES, AnyScores, Floats, Integers, concatenate, keep_top_k

BATCH = 128


class HeadOnly(nn.Module):
    """Head of a network as a module of its own, on pooled features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.head = network.head

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits (n, classes) from pooled features (n, width)."""
        return self.head.classify(features)  # type: ignore[union-attr,operator]


@dataclass(frozen=True)
class Features:
    """Pooled features of a frozen backbone.

    Args:
        augmented: Training rows under each draw of the augmentation, shape (draws, n, width).
        unaugmented: Other rows without augmentation, shape (m, width).
        position: Index of each image row in `augmented` (training rows) or `unaugmented` (others), -1 elsewhere.
    """

    augmented: Floats
    unaugmented: Floats
    position: Integers
    device: torch.device

    def batch(self, rows: Integers, draw: int) -> Tensor:
        """Get the features of training rows under one draw of the augmentation (modulo the draws), on the device."""
        return torch.from_numpy(self.augmented[draw % len(self.augmented), self.position[rows]]).to(self.device)

    def logits(self, network: nn.Module, rows: Integers) -> AnyScores:
        """Compute the logits of rows outside training, without augmentation; the network is in evaluation mode."""

        def head_logits(part: Integers) -> AnyScores:
            features = torch.from_numpy(self.unaugmented[self.position[part]]).to(self.device)
            logits: Floats = network.head.classify(features).float().cpu().numpy()  # type: ignore[union-attr,operator]
            return keep_top_k(logits) if logits.shape[1] > MANY_CLASSES else logits

        with torch.inference_mode():
            if len(rows) <= BATCH or len(network.head.last.weight) <= MANY_CLASSES:  # type: ignore[union-attr,arg-type]
                return head_logits(rows)
            return concatenate([head_logits(part) for part in batches(rows, BATCH, drop_last=False)])


def compute_features(
    pooled: Callable[[Tensor], Tensor],
    batch_functions: Sequence[Callable[[Integers], Tensor]],
    unaugmented: Floats,
    device: torch.device,
    advance: Callable[[int], None],
    *,
    training_rows: Integers,
    others: Integers,
    row_count: int,
) -> Features:
    """Compute the features of a frozen backbone under every draw of the augmentation.

    `batch_functions`: per draw, a function from rows to a batch of pixels; `unaugmented`: features of `others`, shape
    (m, width); `training_rows`: shape (n,); `others`: image rows without augmentation, shape (m,).
    """

    def pool_draw(make: Callable[[Integers], Tensor]) -> Floats:
        features = []
        for part in batches(training_rows, BATCH, drop_last=False):
            features.append(pooled(make(part)).float().cpu().numpy())
            advance(len(part))
        return np.concatenate(features)

    position = np.full(row_count, -1, np.int64)
    position[training_rows], position[others] = np.arange(len(training_rows)), np.arange(len(others))
    with torch.inference_mode():
        return Features(np.stack([pool_draw(make) for make in batch_functions]), unaugmented, position, device)
