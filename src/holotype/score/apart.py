"""Scores of other samples than all that were scored: without duplicates, and of a validation set of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holotype.metrics import Judged, bootstrap_intervals, draw_groups
from holotype.score.nested import metric_names
from holotype.types import Integers, Metric

__all__ = ["score_apart", "score_without"]


def score_apart(judged: Judged, groups: Integers, metric: str, seed: int) -> dict[str, Metric]:
    """The metrics of some samples by themselves.

    Args:
        judged: What is known and was decided of the samples, shape (n, classes) each.
        groups: The independent group of each, shape (n,).
        metric: The recipe's metric; it stands first.
        seed: The recipe's seed.

    Returns:
        Metrics by name; empty where none of the samples has a label.
    """
    if not judged.truth.any():
        return {}
    draws = draw_groups(judged.truth, groups, seed)
    return bootstrap_intervals(
        metric_names(metric, judged.kind, judged.truth.size, judged.truth.shape[1]), judged, draws
    )


def score_without(
    left_out: NDArray[np.bool_], judged: Judged, groups: Integers, metric: str, seed: int
) -> dict[str, Metric]:
    """The metrics of the scored samples without some of them, every decision as it was.

    Args:
        left_out: Which of the samples do not count, shape (n,).
        judged: Of all scored samples, shape (n, classes) each.
        groups: The independent group of each, shape (n,).
        metric: The recipe's metric; it stands first.
        seed: The recipe's seed.

    Returns:
        Metrics by name; empty where no sample is left out, or none is left.
    """
    rest = ~left_out
    if rest.all() or not rest.any():
        return {}
    return score_apart(judged.rows(rest), groups[rest], metric, seed)
