"""Losses for any number of labels a sample."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from holotype.losses.registry import LOSSES, smoothed

__all__ = ["bce"]


@LOSSES.register
def bce(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy, every class by itself.

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes), 0 to 1.
        class_weights: Shape (classes,), the weight of each class's positive part (the `pos_weight` of PyTorch).
        smoothing: Share of each target that is moved to 1/2.

    Returns:
        The mean over rows and classes, a scalar; zero where there are no rows.
    """
    if logits.numel() == 0:
        return logits.sum()
    return functional.binary_cross_entropy_with_logits(
        logits, smoothed(targets, smoothing, 0.5), pos_weight=class_weights
    )
