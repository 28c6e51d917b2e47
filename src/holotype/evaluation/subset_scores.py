"""Scores of other samples than all that were scored: without duplicates, and of a validation set of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holotype.evaluation.metrics import ScoredSamples, bootstrap_intervals, resample_groups
from holotype.evaluation.nested import metric_names
from holotype.types import Integers, Metric

__all__ = ["score_excluding", "score_subset"]


def score_subset(scored: ScoredSamples, groups: Integers, metric: str, seed: int) -> dict[str, Metric]:
    """The metrics of some samples by themselves.

    Args:
        scored: What is known and was decided of the samples, shape (n, classes) each.
        groups: The independent group of each, shape (n,).
        metric: The recipe's metric; it stands first.
        seed: The recipe's seed.

    Returns:
        Metrics by name; empty where none of the samples has a label.
    """
    if not scored.truth.any():
        return {}
    resamples = resample_groups(scored.truth, groups, seed)
    return bootstrap_intervals(
        metric_names(metric, scored.kind, scored.truth.size, scored.truth.shape[1]), scored, resamples
    )


def score_excluding(
    excluded: NDArray[np.bool_], scored: ScoredSamples, groups: Integers, metric: str, seed: int
) -> dict[str, Metric]:
    """The metrics of the scored samples without some of them, every decision as it was.

    Args:
        excluded: Which of the samples do not count, shape (n,).
        scored: Of all scored samples, shape (n, classes) each.
        groups: The independent group of each, shape (n,).
        metric: The recipe's metric; it stands first.
        seed: The recipe's seed.

    Returns:
        Metrics by name; empty where no sample is left out, or none is left.
    """
    remaining = ~excluded
    if remaining.all() or not remaining.any():
        return {}
    return score_subset(scored.rows(remaining), groups[remaining], metric, seed)
