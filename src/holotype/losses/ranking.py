"""Ranking losses: a sample's classes should score above all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holotype.losses.registry import register

if TYPE_CHECKING:
    from torch import Tensor


@register("multilabel", weights=False, smooths=False)
def lsep(logits: Tensor, targets: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Log-sum-exp pairwise ranking loss over wrongly ordered pairs (Li, Song & Luo 2017, CVPR, equation 4).

    Args:
        targets: Shape (n, classes); present from 0.5 on.

    Returns:
        The mean over rows, a scalar; rows with all classes or none cost nothing.
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
    """Lovász hinge of the Jaccard index between the true and the predicted classes of a sample.

    Berman, Rannen Triki & Blaschko 2018, "The Lovász-softmax loss", CVPR, section 2, with classes in place of pixels.

    Args:
        targets: Shape (n, classes); present from 0.5 on.
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
