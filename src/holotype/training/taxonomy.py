"""The ranks of a model, and how its loss learns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from holotype.core.errors import RecipeError
from holotype.evaluation.metrics import rank_labels
from holotype.losses import Parts, RankLoss, class_weights, compose_loss, prior_logits, taxonomy_loss
from holotype.recipe.sections import PhaseSpec, TaxonomySpec
from holotype.types import CLASS_RANK, AnyLabels, RankHeads, Ranks

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["loss_with_ranks", "model_taxonomy"]

FOCAL_LOSSES = ("focal", "softmax_focal")


def model_taxonomy(spec: TaxonomySpec | None, ranks: Ranks) -> RankHeads | None:
    """The ranks that a model learns.

    Args:
        spec: The recipe's `head.taxonomy` section.
        ranks: Of the taxonomy.

    Returns:
        Those that weigh something, from near to far; none where the section is none.

    Raises:
        RecipeError: There is no such rank, or none weighs anything.
    """
    if spec is None:
        return None
    for name in spec.weights:
        if name in ranks.constant:
            raise RecipeError(
                f"every class has the same {name}, so that there is nothing to learn",
                field="head.taxonomy.weights",
                value=name,
                remedy="leave it out",
            )
        if name not in {CLASS_RANK, *ranks.names}:
            raise RecipeError(
                f"the taxonomy has no rank {name!r}",
                field="head.taxonomy.weights",
                value=name,
                allowed=[CLASS_RANK, *ranks.names],
            )
    weighted = [
        (name, row, spec.weights[name])
        for name, row in zip(ranks.names, ranks.parents, strict=True)
        if spec.weights.get(name)
    ]
    if not weighted:
        raise RecipeError(
            "no rank above the classes weighs anything",
            field="head.taxonomy.weights",
            remedy=f"weigh some of {', '.join(ranks.names)}, or write taxonomy: null",
        )
    names, parents, weights = zip(*weighted, strict=True)
    return RankHeads(names, parents, weights, spec.weights.get(CLASS_RANK, 1.0))


def loss_with_ranks(
    class_loss: Callable[..., Tensor], phase: PhaseSpec, parts: Parts, truth: AnyLabels, rank_heads: RankHeads
) -> Callable[..., Tensor]:
    """The loss of a phase on the classes and on every rank.

    Ranks are learnt by cross-entropy, or by the focal loss where the classes are; with class weights, label smoothing
    and logit adjustment of their own taxa.

    Args:
        class_loss: The phase's loss on the classes.
        phase: The recipe's section.
        parts: The names of that loss's parts, with their weights and options.
        truth: Which classes the training rows have, shape (n, classes).
        rank_heads: The ranks.
    """
    import torch

    focal: Any = next((parts[name] for name in FOCAL_LOSSES if name in parts), None)
    options = focal if isinstance(focal, dict) else {}
    # One factor a class has no meaning for the taxa above.
    shared = {name: value for name, value in options.items() if name != "weight" and not isinstance(value, list)}
    rank_parts: Parts = {"cross_entropy": 1.0} if focal is None else {"focal": shared}
    ranks = []
    for parents, count, weight in zip(rank_heads.parents, rank_heads.counts, rank_heads.weights, strict=True):
        taxon_labels = rank_labels(truth, np.asarray(parents))
        scale = class_weights(taxon_labels, phase.class_weights, "multiclass")
        rank_loss = compose_loss(rank_parts, scale, phase.label_smoothing, None, "multiclass")
        prior = phase.logit_adjustment * prior_logits(taxon_labels, "multiclass") if phase.logit_adjustment else None
        ranks.append(RankLoss(torch.tensor(parents), count, weight, rank_loss, prior))
    prior = phase.logit_adjustment * prior_logits(truth, "multiclass") if phase.logit_adjustment else None
    return taxonomy_loss(class_loss, rank_heads.class_weight, ranks, prior)
