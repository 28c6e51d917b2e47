"""The ranks of a member, and how its loss learns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holotype.errors import RecipeError
from holotype.losses import Parts, RankLoss, class_weights, compose_loss, levelled_loss, prior_logits
from holotype.metrics import level_truth
from holotype.spec import LevelsSpec, PhaseSpec
from holotype.types import LEAVES, AnyLabels, Levels, Ranks

__all__ = ["loss_with_ranks", "member_levels"]

FOCAL = ("focal", "softmax_focal")


def member_levels(spec: LevelsSpec | None, ranks: Ranks) -> Levels | None:
    """The ranks that a member learns.

    Args:
        spec: The recipe's `head.levels` section.
        ranks: Of the taxonomy.

    Returns:
        Those that weigh something, from near to far; none where the section is none.

    Raises:
        RecipeError: There is no such rank, or none weighs anything.
    """
    if spec is None:
        return None
    for name in spec.weights:
        if name in ranks.alike:
            raise RecipeError(f"every class has the same {name}, so that there is nothing to learn",
                              field="head.levels.weights", value=name, remedy="leave it out")  # fmt: skip
        if name not in {LEAVES, *ranks.names}:
            raise RecipeError(f"the taxonomy has no rank {name!r}", field="head.levels.weights", value=name,
                              allowed=[LEAVES, *ranks.names])  # fmt: skip
    held = [(name, row, spec.weights[name]) for name, row in zip(ranks.names, ranks.parents, strict=True)
            if spec.weights.get(name)]  # fmt: skip
    if not held:
        raise RecipeError("no rank above the classes weighs anything", field="head.levels.weights",
                          remedy=f"weigh some of {', '.join(ranks.names)}, or write levels: null")  # fmt: skip
    names, parents, weights = zip(*held, strict=True)
    return Levels(names, parents, weights, spec.weights.get(LEAVES, 1.0))


def loss_with_ranks(
    leaves: Callable[..., Tensor], phase: PhaseSpec, parts: Parts, truth: AnyLabels, levels: Levels
) -> Callable[..., Tensor]:
    """The loss of a phase on the classes and on every rank.

    Ranks are learnt by cross-entropy, or by the focal loss where the classes are; with class weights, label smoothing
    and logit adjustment of their own taxa.

    Args:
        leaves: The phase's loss on the classes.
        phase: The recipe's section.
        parts: The names of that loss's parts, with their weights and options.
        truth: Which classes the training rows have, shape (n, classes).
        levels: The ranks.
    """
    focal: Any = next((parts[name] for name in FOCAL if name in parts), None)
    options = focal if isinstance(focal, dict) else {}
    # One factor a class has no meaning for the taxa above.
    shared = {name: value for name, value in options.items() if name != "weight" and not isinstance(value, list)}
    rank_parts: Parts = {"cross_entropy": 1.0} if focal is None else {"focal": shared}
    ranks = []
    for parents, count, weight in zip(levels.parents, levels.counts, levels.weights, strict=True):
        known = level_truth(truth, np.asarray(parents))
        scale = class_weights(known, phase.class_weights, "multiclass")
        own = compose_loss(rank_parts, scale, phase.label_smoothing, None, "multiclass")
        prior = phase.logit_adjust * prior_logits(known, "multiclass") if phase.logit_adjust else None
        ranks.append(RankLoss(torch.tensor(parents), count, weight, own, prior))
    prior = phase.logit_adjust * prior_logits(truth, "multiclass") if phase.logit_adjust else None
    return levelled_loss(leaves, levels.leaves, ranks, prior)
