"""Paired differences of F1 by class, on the same samples and resamples."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit  # Student's t, without the slow import of scipy.stats

from holotype.core.errors import DataError
from holotype.evaluation.metrics.counts import count_groups, f1_of_classes
from holotype.evaluation.metrics.resamples import GroupResamples, class_groups
from holotype.evaluation.metrics.scored import ScoredSamples
from holotype.types import Doubles, same_labels

MIN_GROUPS = 3
TAIL = 0.025


def adjust_p_values(p_values: Sequence[float]) -> Doubles:
    """Holm's adjustment of p-values for several comparisons (Holm 1979, Scandinavian Journal of Statistics 6).

    The probability of any wrong rejection at 0.05 is then at most 0.05, however the comparisons depend on each other.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def class_differences(
    before: ScoredSamples, after: ScoredSamples, resamples: GroupResamples
) -> tuple[Doubles, Doubles, Doubles]:
    """Compute the change of each class's F1, after minus before, with its 95 % interval.

    Returns change, lower and upper end, shape (classes,) each; NaN for a class without a positive sample, and NaN ends
    if its positives are in fewer than three groups. Raises DataError if the two sides are of different samples.
    """
    if not same_labels(before.truth, after.truth):
        raise DataError("a paired difference needs the same samples and labels on both sides")
    values, resampled = [], []
    for side in (before, after):
        table = count_groups(side.truth, side.decided, None, side.kind, resamples.groups)
        values.append(f1_of_classes(table.resample())[0])
        resampled.append(table.resample_f1(resamples.same_size))
    change, steps = values[1] - values[0], resampled[1] - resampled[0]
    groups = np.bincount(class_groups(before.truth, resamples.groups)[0], minlength=len(change))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without a positive sample: NaN
        center = 2 * change - np.nanmean(steps, axis=0)
        spread = np.nanstd(steps, axis=0) * np.sqrt(groups / np.maximum(groups - 1, 1))
    half = stdtrit(np.maximum(groups - 1, 1), 1 - TAIL) * spread
    too_few = groups < MIN_GROUPS
    low, high = np.minimum(change, center - half), np.maximum(change, center + half)
    return change, np.where(too_few, np.nan, np.maximum(low, -1)), np.where(too_few, np.nan, np.minimum(high, 1))
