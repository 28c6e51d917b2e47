"""How different members are, and what each adds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from holotype.ensemble.mean import mean_scores
from holotype.ensemble.weights import mean_log_loss
from holotype.types import Floats, Kind

__all__ = ["diversity_table"]


def diversity_table(
    members: Sequence[Floats], names: Sequence[str], truth: NDArray[np.bool_], kind: Kind
) -> list[dict[str, Any]]:
    """One entry a pair: how often they disagree, how their scores go together, and what the second adds to the first.

    Args:
        members: Out-of-fold logits, one array a member, shape (n, classes) each.
        names: Of the members.
        truth: Which classes each sample has, shape (n, classes).
        kind: `multiclass` or `multilabel`.

    Returns:
        `first`, `second`; `disagreement`: the share of samples (one label) or labels (many) that are decided
        otherwise; `correlation` of the logits, the mean over classes; `loss_first`, `loss_second`, `loss_mean`: log
        loss of each and of the mean of the two.
    """
    known = [np.asarray(log_softmax(one, axis=1) if kind == "multiclass" else one) for one in members]
    decided = [one.argmax(axis=1) if kind == "multiclass" else one > 0 for one in known]
    losses = [mean_log_loss(one, truth, kind) for one in members]
    table = []
    for first, second in combinations(range(len(members)), 2):
        both = mean_scores([members[first], members[second]], (0.5, 0.5), "logit", kind)
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


def _correlation(first: Floats, second: Floats) -> float:
    left, right = first - first.mean(axis=0), second - second.mean(axis=0)
    spread = np.sqrt((left**2).sum(axis=0) * (right**2).sum(axis=0))
    known = spread > 0
    return float(((left * right).sum(axis=0)[known] / spread[known]).mean()) if known.any() else 0.0
