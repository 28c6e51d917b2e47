"""Multilabel losses: any number of labels per sample, each class on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holotype.losses.registry import register, smooth_labels

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8


@register("multiclass", "multilabel")
def bce(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy of each class.

    Args:
        class_weights: Shape (classes,), the weight of each class's positive part (`pos_weight` of PyTorch).
    """
    from torch.nn import functional

    if logits.numel() == 0:
        return logits.sum()
    return functional.binary_cross_entropy_with_logits(
        logits, smooth_labels(targets, smoothing, 0.5), pos_weight=class_weights
    )


@register("multilabel")
def focal(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | None = None,
) -> Tensor:
    """Focal loss: binary cross-entropy that down-weights well-classified labels (Lin et al. 2017, equations 4 and 5).

    Args:
        targets: Shape (n, classes), 0 to 1; soft targets mix the positive and the negative part.
        gamma: Strength of the down-weighting; 0 is binary cross-entropy.
        alpha: Weight of the positive part, 1 - alpha of the negative one; one for all classes or one per class.
    """
    from torch.nn import functional

    if logits.numel() == 0:
        return logits.sum()
    targets = smooth_labels(targets, smoothing, 0.5)
    positive_cost, negative_cost = functional.softplus(-logits), functional.softplus(logits)  # -log p and -log (1 - p)
    positive = targets * (-gamma * negative_cost).exp() * positive_cost
    negative = (1 - targets) * (-gamma * positive_cost).exp() * negative_cost
    if class_weights is not None:
        positive = positive * class_weights
    if alpha is not None:
        share = logits.new_tensor(alpha)
        positive, negative = positive * share, negative * (1 - share)
    return (positive + negative).mean()


@register("multilabel")
def asymmetric(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
) -> Tensor:
    """Asymmetric loss: stronger focusing on negatives, and none for easy ones (Ridnik et al. 2021, ICCV, equation 7).

    Args:
        targets: Shape (n, classes), 0 to 1; soft targets mix the positive and the negative part.
        gamma_positive: Focusing exponent of the positive part.
        gamma_negative: Focusing exponent of the negative part.
        margin: Probability below which a negative costs nothing.

    Returns:
        The mean over rows and classes (the paper sums), a scalar; zero without rows.
    """
    from torch.nn import functional

    if logits.numel() == 0:
        return logits.sum()
    targets = smooth_labels(targets, smoothing, 0.5)
    positive_cost, negative_cost = functional.softplus(-logits), functional.softplus(logits)
    shifted = (logits.sigmoid() - margin).clamp_min(0.0)
    shifted_cost = -(1 - shifted).clamp_min(EPSILON).log() if margin > 0 else negative_cost
    positive = targets * (-gamma_positive * negative_cost).exp() * positive_cost
    negative = (1 - targets) * shifted**gamma_negative * shifted_cost
    if class_weights is not None:
        positive = positive * class_weights
    return (positive + negative).mean()


@register("multilabel", smooths=False)
def soft_f1(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Soft F1 loss: one minus the macro F1 of probabilities over the batch, for positives and negatives alike.

    The "double soft F1" of Maiza 2019; the surrogate goes back to Pastor-Pellicer et al. 2013, "F-measure as the error
    function to train neural networks".

    Args:
        class_weights: Shape (classes,), the weight of each class in the mean.
    """
    if logits.numel() == 0:
        return logits.sum()
    probability = logits.sigmoid()
    true_positives = (probability * targets).sum(dim=0)
    true_negatives = ((1 - probability) * (1 - targets)).sum(dim=0)
    errors = (probability * (1 - targets) + (1 - probability) * targets).sum(dim=0)
    positive_f1 = 2 * true_positives / (2 * true_positives + errors + EPSILON)
    negative_f1 = 2 * true_negatives / (2 * true_negatives + errors + EPSILON)
    cost = 1 - (positive_f1 + negative_f1) / 2
    return cost.mean() if class_weights is None else (cost * class_weights).sum() / class_weights.sum()


@register("multilabel")
def soft_margin(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Multi-label soft margin loss of PyTorch: binary cross-entropy whose class weights apply to both parts.

    Args:
        class_weights: Shape (classes,), the weight of each class.
    """
    from torch.nn import functional

    if logits.numel() == 0:
        return logits.sum()
    targets = smooth_labels(targets, smoothing, 0.5)
    cost = targets * functional.softplus(-logits) + (1 - targets) * functional.softplus(logits)
    return (cost if class_weights is None else cost * class_weights).mean()
