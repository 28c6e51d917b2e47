"""Losses on the order of a sample's classes: what it has should stand above what it has not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from holotype.losses.registry import register

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
    held = targets >= 0.5
    ranked = held.any(dim=1) & ~held.all(dim=1)
    if not bool(ranked.any()):
        return logits.sum() * 0.0
    scores, own = logits[ranked], held[ranked]
    lowest = (-scores).masked_fill(~own, -torch.inf).logsumexp(dim=1)
    highest = scores.masked_fill(own, -torch.inf).logsumexp(dim=1)
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
    if logits.numel() == 0:
        return logits.sum()
    held = (targets >= 0.5).to(logits.dtype)
    errors, order = (1 - logits * (2 * held - 1)).sort(dim=1, descending=True, stable=True)
    ordered = held.gather(1, order)
    total = ordered.sum(dim=1, keepdim=True)
    missed = total - ordered.cumsum(dim=1)
    union = total + (1 - ordered).cumsum(dim=1)
    jaccard = 1 - missed / union
    steps = torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], dim=1)
    return (errors.relu() * steps).sum() / len(logits)
