"""Losses on the order of a sample's classes: what it has should stand above what it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holotype.losses.registry import register

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["lovasz", "lsep"]


@register("multilabel", weights=False, smooths=False)
def lsep(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Log-sum-exp of every pair in the wrong order (Li, Song & Luo 2017, CVPR, equation 4).

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes); from one half on a class counts as there.
        class_weights: Has no meaning here.
        smoothing: Has no meaning here.

    Returns:
        The mean over rows, a scalar; rows that have all classes or none cost nothing.
    """
    import torch
    from torch.nn import functional

    has_class = targets >= 0.5
    ranked = has_class.any(dim=1) & ~has_class.all(dim=1)
    if not bool(ranked.any()):
        return logits.sum() * 0.0
    scores, is_positive = logits[ranked], has_class[ranked]
    lowest = (-scores).masked_fill(~is_positive, -torch.inf).logsumexp(dim=1)
    highest = scores.masked_fill(is_positive, -torch.inf).logsumexp(dim=1)
    return functional.softplus(lowest + highest).sum() / len(logits)


@register("multilabel", weights=False, smooths=False)
def lovasz(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Lovász hinge of the Jaccard index between the classes a sample has and those it is given.

    Berman, Rannen Triki & Blaschko 2018, "The Lovász-softmax loss", CVPR, section 2, with a sample's classes in the
    place of an image's pixels.

    Args:
        logits: Shape (n, classes).
        targets: Shape (n, classes); from one half on a class counts as there.
        class_weights: Has no meaning here.
        smoothing: Has no meaning here.

    Returns:
        The mean over rows, a scalar; zero where there are no rows.
    """
    import torch

    if logits.numel() == 0:
        return logits.sum()
    labels = (targets >= 0.5).to(logits.dtype)
    errors, order = (1 - logits * (2 * labels - 1)).sort(dim=1, descending=True, stable=True)
    ordered = labels.gather(1, order)
    total = ordered.sum(dim=1, keepdim=True)
    missed = total - ordered.cumsum(dim=1)
    union = total + (1 - ordered).cumsum(dim=1)
    jaccard = 1 - missed / union
    steps = torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], dim=1)
    return (errors.relu() * steps).sum() / len(logits)
