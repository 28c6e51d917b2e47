"""Multilabel losses: any number of labels per sample, each class on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holotype.losses.registry import register, smooth_labels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["asymmetric", "bce", "focal", "soft_f1", "soft_margin"]

EPSILON = 1e-8


@register("multiclass", "multilabel")
def bce(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Binary cross-entropy of each class.

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes), 0 to 1.
        class_weights: Shape (classes,), the weight of each class's positive part (`pos_weight` of PyTorch).
        smoothing: Share of each target that is moved to 1/2.

    Returns:
        The mean over rows and classes, a scalar; zero without rows.
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
        logits: Shape (n, classes).
        targets: Shape (n, classes), 0 to 1; soft targets mix the positive and the negative part.
        class_weights: Shape (classes,), the weight of each class's positive part.
        smoothing: Share of each target that is moved to 1/2.
        gamma: Strength of the down-weighting; 0 is binary cross-entropy.
        alpha: Weight of the positive part, 1 - alpha of the negative one; one for all classes or one per class.

    Returns:
        The mean over rows and classes, a scalar; zero without rows.
    """
    from torch.nn import functional

    if logits.numel() == 0:
        return logits.sum()
    targets = smooth_labels(targets, smoothing, 0.5)
    miss, chance = functional.softplus(-logits), functional.softplus(logits)  # -log p and -log (1 - p)
    positive, negative = targets * (-gamma * chance).exp() * miss, (1 - targets) * (-gamma * miss).exp() * chance
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
        logits: Shape (n, classes).
        targets: Shape (n, classes), 0 to 1; soft targets mix the positive and the negative part.
        class_weights: Shape (classes,), the weight of each class's positive part.
        smoothing: Share of each target that is moved to 1/2.
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
    miss, chance = functional.softplus(-logits), functional.softplus(logits)
    shifted = (logits.sigmoid() - margin).clamp_min(0.0)
    lost = -(1 - shifted).clamp_min(EPSILON).log() if margin > 0 else chance
    positive = targets * (-gamma_positive * chance).exp() * miss
    negative = (1 - targets) * shifted**gamma_negative * lost
    if class_weights is not None:
        positive = positive * class_weights
    return (positive + negative).mean()


@register("multilabel", smooths=False)
def soft_f1(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Soft F1 loss: one minus the macro F1 of probabilities over the batch, for positives and negatives alike.

    The "double soft F1" of Maiza 2019; the surrogate goes back to Pastor-Pellicer et al. 2013, "F-measure as the error
    function to train neural networks".

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes), 0 to 1.
        class_weights: Shape (classes,), the weight of each class in the mean.
        smoothing: Ignored.

    Returns:
        The mean over classes, a scalar; zero without rows.
    """
    if logits.numel() == 0:
        return logits.sum()
    chances = logits.sigmoid()
    both = (chances * targets).sum(dim=0)
    neither = ((1 - chances) * (1 - targets)).sum(dim=0)
    mismatched = (chances * (1 - targets) + (1 - chances) * targets).sum(dim=0)
    of_positives = 2 * both / (2 * both + mismatched + EPSILON)
    of_negatives = 2 * neither / (2 * neither + mismatched + EPSILON)
    cost = 1 - (of_positives + of_negatives) / 2
    return cost.mean() if class_weights is None else (cost * class_weights).sum() / class_weights.sum()


@register("multilabel")
def soft_margin(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Multi-label soft margin loss of PyTorch: binary cross-entropy whose class weights apply to both parts.

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes), 0 to 1.
        class_weights: Shape (classes,), the weight of each class.
        smoothing: Share of each target that is moved to 1/2.

    Returns:
        The mean over rows and classes, a scalar; zero without rows.
    """
    from torch.nn import functional

    if logits.numel() == 0:
        return logits.sum()
    targets = smooth_labels(targets, smoothing, 0.5)
    cost = targets * functional.softplus(-logits) + (1 - targets) * functional.softplus(logits)
    return (cost if class_weights is None else cost * class_weights).mean()
