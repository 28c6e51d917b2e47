"""Taxonomy loss: losses on the ranks above the classes, by marginal probabilities or by separate logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[..., "Tensor"]


@dataclass(frozen=True)
class RankLoss:
    """Loss of one taxonomic rank.

    Args:
        parents: Taxon index of each class, shape (classes,), int64.
        loss: A function of the taxa's logits and targets, shape (n, count) each; a mean over rows.
        adjustment: Logit adjustment of separate rank logits, shape (count,).
    """

    parents: Tensor
    count: int
    weight: float
    loss: Loss
    adjustment: Tensor | None = None


def rank_log_probabilities(logits: Tensor, parents: Tensor, count: int) -> Tensor:
    """Log-probability of each taxon: the logsumexp of its classes' log-probabilities.

    Args:
        logits: Class logits, shape (n, classes).
        parents: Taxon index of each class, shape (classes,), int64.

    Returns:
        Shape (n, count); the exponentials of a row sum to 1.
    """
    import torch

    log_probs = logits.log_softmax(dim=1)
    taxon_index = parents.expand_as(log_probs)
    initial = log_probs.new_full((len(log_probs), count), -torch.inf)
    largest = initial.scatter_reduce(1, taxon_index, log_probs.detach(), "amax")
    sums = torch.zeros_like(largest).scatter_add(1, taxon_index, (log_probs - largest.gather(1, taxon_index)).exp())
    return largest + sums.log()


def rank_targets(targets: Tensor, parents: Tensor, count: int) -> Tensor:
    """Targets of a rank: the sum of the targets of each taxon's classes, shape (n, count).

    `targets`: shape (n, classes), soft or hard; `parents`: taxon index of each class, shape (classes,), int64.
    """
    return targets.new_zeros(len(targets), count).index_add(1, parents, targets)


def taxonomy_loss(class_loss: Loss, weight: float, ranks: Sequence[RankLoss], adjustment: Tensor | None = None) -> Loss:
    """Combine a loss on the classes with one on each rank into a function `loss(logits, targets, epochs)`.

    Logits have one column per class. If more columns follow, one per taxon in the order of `ranks`, they are the
    separate logits of the ranks; otherwise ranks are marginals of the classes (also where a phase freezes the head,
    which then gives one distribution over the classes).

    `weight`: weight of `class_loss`; `adjustment`: logit adjustment that `class_loss` applies, shape (classes,);
    marginals use the same.
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
                taxon_logits = rank_logits[index]
                if rank.adjustment is not None:
                    taxon_logits = taxon_logits + rank.adjustment.to(class_logits)
            taxon_targets = rank_targets(targets.to(class_logits), parents, rank.count)
            total = total + rank.weight * rank.loss(taxon_logits, taxon_targets)
        return total

    return loss
