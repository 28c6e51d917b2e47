"""Scores of subsets: without duplicates, or of a separate validation set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holotype.evaluation.metrics import ScoredSamples, bootstrap_intervals, resample_groups
from holotype.evaluation.nested import metric_names
from holotype.types import Integers, Metric


def score_subset(scored: ScoredSamples, groups: Integers, metric: str, seed: int) -> dict[str, Metric]:
    """Score some samples by themselves; empty if none has a label."""
    if not scored.truth.any():
        return {}
    resamples = resample_groups(scored.truth, groups, seed)
    return bootstrap_intervals(
        metric_names(metric, scored.kind, scored.truth.size, scored.truth.shape[1]), scored, resamples
    )


def score_excluding(
    excluded: NDArray[np.bool_], scored: ScoredSamples, groups: Integers, metric: str, seed: int
) -> dict[str, Metric]:
    """Score the samples without some of them, with unchanged decisions.

    `excluded`: mask of the samples to leave out, shape (n,). Returns metrics by name; empty if no sample is excluded,
    or all are.
    """
    remaining = ~excluded
    if remaining.all() or not remaining.any():
        return {}
    return score_subset(scored.rows(remaining), groups[remaining], metric, seed)
