"""Losses for one label a sample."""

from __future__ import annotations

from torch import Tensor

from holotype.losses.registry import LOSSES, smoothed

__all__ = ["cross_entropy"]


@LOSSES.register
def cross_entropy(
    logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy with soft targets.

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes); each row sums to 1.
        class_weights: Shape (classes,), the weight of each class's rows; the sum is divided by the weights' sum.
        smoothing: Share of each target that is spread evenly over all classes (Szegedy et al. 2016, section 7).

    Returns:
        The mean over rows, a scalar; zero where there are no rows.
    """
    row_weights = targets.new_ones(len(targets)) if class_weights is None else targets @ class_weights
    losses = -(smoothed(targets, smoothing, 1.0 / targets.shape[1]) * logits.log_softmax(dim=1)).sum(dim=1)
    return (losses * row_weights).sum() / row_weights.sum().clamp_min(1e-12)
