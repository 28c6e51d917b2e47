"""Losses on the ranks of a taxonomy: what a network says of species, summed up to genera, or said of genera beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RankLoss", "rank_log_probabilities", "rank_targets", "taxonomy_loss"]

Loss = Callable[..., "Tensor"]


@dataclass(frozen=True)
class RankLoss:
    """How one rank is learnt.

    Args:
        parents: The number of each class's taxon, shape (classes,), int64.
        count: How many taxa there are.
        weight: What the loss counts.
        loss: A function of the taxa's logits and targets, shape (n, count) each, that is a mean over rows.
        adjustment: Added to the logits that a network gives the rank itself, shape (count,), where there is one.
    """

    parents: Tensor
    count: int
    weight: float
    loss: Loss
    adjustment: Tensor | None = None


def rank_log_probabilities(logits: Tensor, parents: Tensor, count: int) -> Tensor:
    """The log-probability of each taxon: the logsumexp of its classes' log-probabilities.

    The largest is taken out of each taxon by itself, so that one of no likelihood is still exact.

    Args:
        logits: Of the classes, shape (n, classes).
        parents: The number of each class's taxon, shape (classes,), int64.
        count: How many taxa there are; each has a class.

    Returns:
        Shape (n, count); the exponents of a row sum to 1.
    """
    import torch

    log_probs = logits.log_softmax(dim=1)
    taxon_index = parents.expand_as(log_probs)
    initial = log_probs.new_full((len(log_probs), count), -torch.inf)
    largest = initial.scatter_reduce(1, taxon_index, log_probs.detach(), "amax")
    sums = torch.zeros_like(largest).scatter_add(1, taxon_index, (log_probs - largest.gather(1, taxon_index)).exp())
    return largest + sums.log()


def rank_targets(targets: Tensor, parents: Tensor, count: int) -> Tensor:
    """The share of each taxon in the targets: the sum of its classes'.

    Args:
        targets: Shape (n, classes); soft ones too.
        parents: The number of each class's taxon, shape (classes,), int64.
        count: How many taxa there are.

    Returns:
        Shape (n, count).
    """
    return targets.new_zeros(len(targets), count).index_add(1, parents, targets)


def taxonomy_loss(class_loss: Loss, weight: float, ranks: Sequence[RankLoss], adjustment: Tensor | None = None) -> Loss:
    """The weighted sum of a loss on the classes and one on each rank.

    Args:
        class_loss: A function of the classes' logits, targets and, as `epochs`, how far the phase is.
        weight: What it counts.
        ranks: From the near to the far.
        adjustment: What `class_loss` adds to the classes' logits, shape (classes,), where it adds anything: sums of
            classes are learnt under the same prior as the classes.

    Returns:
        A function of logits, targets (n, classes) and the epochs of the phase that are done. Logits have a column a
        class; more columns, one a taxon of the
        ranks in their order, are what a network says of the ranks itself. Without them ranks are sums of classes, as
        they are for a head that a phase freezes, which gives its one distribution over the classes.
    """
    import torch

    def loss(logits: Tensor, targets: Tensor, epochs: float = math.inf) -> Tensor:
        logits = logits if logits.dtype == torch.float64 else logits.float()
        class_logits, extra_logits = logits.tensor_split([targets.shape[1]], dim=1)
        total = weight * class_loss(class_logits, targets, epochs=epochs)
        rank_logits = extra_logits.split([rank.count for rank in ranks], dim=1) if extra_logits.shape[1] else None
        adjusted = class_logits if adjustment is None else class_logits + adjustment.to(class_logits)
        for index, rank in enumerate(ranks):
            parents = rank.parents.to(logits.device)
            if rank_logits is None:
                taxon_logits = rank_log_probabilities(adjusted, parents, rank.count)
            else:
                taxon_logits = (
                    rank_logits[index]
                    if rank.adjustment is None
                    else rank_logits[index] + rank.adjustment.to(class_logits)
                )
            total = total + rank.weight * rank.loss(
                taxon_logits, rank_targets(targets.to(class_logits), parents, rank.count)
            )
        return total

    return loss
