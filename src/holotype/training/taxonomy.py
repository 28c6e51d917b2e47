"""Taxonomic ranks of a model, and their loss."""

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

FOCAL_LOSSES = ("focal", "softmax_focal")


def model_taxonomy(spec: TaxonomySpec | None, ranks: Ranks) -> RankHeads | None:
    """Select the taxonomic ranks that a model learns; None without a section.

    Returns the ranks with a positive weight, from the lowest to the highest. Raises RecipeError if a rank does not
    exist or is the same for every class, or no rank has a weight.
    """
    if spec is None:
        return None
    field, allowed = "head.taxonomy.weights", [CLASS_RANK, *ranks.names]
    for name in spec.weights:
        if name in ranks.constant:
            message = f"every class has the same {name}, so there is nothing to learn"
            raise RecipeError(message, field=field, value=name, remedy="leave it out")
        if name not in allowed:
            raise RecipeError(f"the taxonomy has no rank {name!r}", field=field, value=name, allowed=allowed)
    weighted = [
        (name, row, spec.weights[name])
        for name, row in zip(ranks.names, ranks.parents, strict=True)
        if spec.weights.get(name)
    ]
    if not weighted:
        remedy = f"give a weight to one of {', '.join(ranks.names)}, or write `taxonomy: null`"
        raise RecipeError("no rank above the classes has a weight", field=field, remedy=remedy)
    names, parents, weights = zip(*weighted, strict=True)
    return RankHeads(names, parents, weights, spec.weights.get(CLASS_RANK, 1.0))


def loss_with_ranks(
    class_loss: Callable[..., Tensor], phase: PhaseSpec, parts: Parts, truth: AnyLabels, rank_heads: RankHeads
) -> Callable[..., Tensor]:
    """Combine the loss of a phase on the classes with one on every rank.

    Ranks use cross-entropy, or the focal loss if the classes do, with class weights, label smoothing and logit
    adjustment computed from their own taxa. `truth`: labels of the training rows, shape (n, classes).
    """
    import torch

    focal: Any = next((parts[name] for name in FOCAL_LOSSES if name in parts), None)
    options = focal if isinstance(focal, dict) else {}
    # A list has one factor per class, which does not apply to taxa.
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
