"""How different members are, and what each adds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import log_softmax

from holotype.ensemble.many import mean_of_likeliest
from holotype.ensemble.mean import mean_scores
from holotype.ensemble.weights import mean_log_loss
from holotype.types import AnyLabels, AnyScores, Floats, Kind, LabelMatrix, TopScores

__all__ = ["diversity_table"]


def diversity_table(
    members: Sequence[AnyScores], names: Sequence[str], truth: AnyLabels, kind: Kind
) -> list[dict[str, Any]]:
    """One entry a pair: how often they disagree, how their scores go together, and what the second adds to the first.

    Args:
        members: Out-of-fold logits, one array a member, shape (n, classes) each.
        names: Of the members.
        truth: Which classes each sample has, shape (n, classes).
        kind: `multiclass` or `multilabel`.

    Returns:
        `first`, `second`; `disagreement`: the share of samples (one label) or labels (many) that are decided
        otherwise; `correlation` of the logits, the mean over classes (above 2,000 classes of the log-probabilities of
        what is true); `loss_first`, `loss_second`, `loss_mean`: log
        loss of each and of the mean of the two.
    """
    known = [_known(one, truth, kind) for one in members]
    decided = [
        one.top[:, 0] if isinstance(one, TopScores) else own.argmax(axis=1) if kind == "multiclass" else own > 0
        for one, own in zip(members, known, strict=True)
    ]
    losses = [mean_log_loss(one, truth, kind) for one in members]
    table = []
    for first, second in combinations(range(len(members)), 2):
        both = _both(members[first], members[second], kind)
        table.append({
            "first": names[first],
            "second": names[second],
            "disagreement": float((decided[first] != decided[second]).mean()),
            "correlation": _correlation(known[first], known[second]),
            "loss_first": losses[first],
            "loss_second": losses[second],
            "loss_mean": mean_log_loss(both, truth, kind),
        })  # fmt: skip
    return table


def _known(member: AnyScores, truth: AnyLabels, kind: Kind) -> Floats:
    """What is compared, shape (n, classes), or (n, 1) of the true classes alone."""
    if isinstance(member, TopScores):
        return member.log_probability(LabelMatrix.of(truth).numbers)[:, None].astype(np.float32)
    return np.asarray(log_softmax(member, axis=1) if kind == "multiclass" else member)


def _both(first: AnyScores, second: AnyScores, kind: Kind) -> AnyScores:
    if isinstance(first, TopScores) and isinstance(second, TopScores):
        return mean_of_likeliest([first, second], (0.5, 0.5), "logit")
    return mean_scores([np.asarray(first), np.asarray(second)], (0.5, 0.5), "logit", kind)


def _correlation(first: Floats, second: Floats) -> float:
    left, right = first - first.mean(axis=0), second - second.mean(axis=0)
    spread = np.sqrt((left**2).sum(axis=0) * (right**2).sum(axis=0))
    known = spread > 0
    return float(((left * right).sum(axis=0)[known] / spread[known]).mean()) if known.any() else 0.0
