"""Multiclass losses: one label per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holotype.losses.registry import register, smooth_labels

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-12


@register("multiclass", "multilabel")
def cross_entropy(
    logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy with soft targets.

    Args:
        smoothing: Share of each target that is spread evenly over all classes (Szegedy et al. 2016, section 7).
    """
    row_weights = targets.new_ones(len(targets)) if class_weights is None else targets @ class_weights
    losses = -(smooth_labels(targets, smoothing, 1.0 / targets.shape[1]) * logits.log_softmax(dim=1)).sum(dim=1)
    return (losses * row_weights).sum() / row_weights.sum().clamp_min(1e-12)


@register("multiclass")
def softmax_focal(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | None = None,
) -> Tensor:
    """Focal loss with a softmax: cross-entropy that down-weights well-classified rows (Lin et al. 2017, equation 5).

    Args:
        gamma: Strength of the down-weighting; 0 is cross-entropy.
        alpha: A factor for all classes, or one per class.
    """
    row_weights = targets.new_ones(len(targets)) if class_weights is None else targets @ class_weights
    log_probs = logits.log_softmax(dim=1)
    focal_weight = (1 - log_probs.exp()).clamp_min(EPSILON) ** gamma
    cost = smooth_labels(targets, smoothing, 1.0 / targets.shape[1]) * focal_weight * log_probs
    if alpha is not None:
        cost = cost * logits.new_tensor(alpha)
    return -(cost.sum(dim=1) * row_weights).sum() / row_weights.sum().clamp_min(EPSILON)
