"""Features of a frozen backbone: computed once, reused by every later epoch, so that minutes become seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from holotype.feed import batches
from holotype.types import MANY, AnyScores, Floats, Integers, condense, joined

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
        drawn: Of the training rows under each draw of the augmentation, shape (draws, n, width).
        plain: Of other rows, plainly seen, shape (m, width).
        place: Where a row stands in `drawn` (training rows) or `plain` (others), shape (image rows,); -1 elsewhere.
        device: Where a batch goes.
    """

    drawn: Floats
    plain: Floats
    place: Integers
    device: torch.device

    def batch(self, rows: Integers, draw: int) -> Tensor:
        """Features of some training rows.

        Args:
            rows: Image rows, shape (k,).
            draw: Which draw of the augmentation.
        """
        return torch.from_numpy(self.drawn[draw % len(self.drawn), self.place[rows]]).to(self.device)

    def logits(self, network: nn.Module, rows: Integers) -> AnyScores:
        """What the head says of rows that are plainly seen.

        Args:
            network: In evaluation mode.
            rows: Image rows that do not train, shape (k,).
        """

        def said(part: Integers) -> AnyScores:
            seen = torch.from_numpy(self.plain[self.place[part]]).to(self.device)
            logits: Floats = network.head.classify(seen).float().cpu().numpy()  # type: ignore[union-attr,operator]
            return condense(logits) if logits.shape[1] > MANY else logits

        with torch.inference_mode():
            few = len(rows) <= BATCH or len(network.head.last.weight) <= MANY  # type: ignore[union-attr,arg-type]
            return said(rows) if few else joined([said(part) for part in batches(rows, BATCH, whole=False)])


def compute_features(
    pooled: Callable[[Tensor], Tensor],
    drawn: Sequence[Callable[[Integers], Tensor]],
    rows: tuple[Integers, Integers, int],
    plain: Floats,
    device: torch.device,
    advance: Callable[[int], None],
) -> Features:
    """Run a frozen backbone over every draw of the training rows.

    Args:
        pooled: The backbone with its pooling, in evaluation mode.
        drawn: For each draw, what makes a batch of pixels of training rows.
        rows: The training rows, the others, and how many image rows there are.
        plain: Features of the others, shape (m, width).
        device: Where the head's batches go.
        advance: Told how many images were seen.
    """
    training, others, count = rows

    def seen(make: Callable[[Integers], Tensor]) -> Floats:
        found = []
        for part in batches(training, BATCH, whole=False):
            found.append(pooled(make(part)).float().cpu().numpy())
            advance(len(part))
        return np.concatenate(found)

    place = np.full(count, -1, np.int64)
    place[training], place[others] = np.arange(len(training)), np.arange(len(others))
    with torch.inference_mode():
        return Features(np.stack([seen(make) for make in drawn]), plain, place, device)
