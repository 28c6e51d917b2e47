"""What a class's scores come to at every threshold, in so few points that a page can hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ThresholdCurve", "score_histogram", "threshold_curve"]

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class ThresholdCurve:
    """Precision and recall of one class at thresholds from the lowest to the highest.

    Args:
        threshold: Ascending, shape (m,); a sample is given the class whose score is at least this.
        precision: From 0 to 1, shape (m,).
        recall: From 1 down to at least one positive's share, or 0, shape (m,).
        average_precision: Area under the steps of precision over recall, of all points and not of those that are left.
    """

    threshold: Doubles
    precision: Doubles
    recall: Doubles
    average_precision: float


def threshold_curve(positive: Booleans, score: Doubles, max_points: int = 200) -> ThresholdCurve:
    """Precision and recall at every distinct score, thinned where there are more than a page needs.

    Points are left out evenly along the length of the curve in precision, recall and rank of the threshold together,
    so that no point that is left out lies further from its neighbors than that length over `at_most - 1`.

    Args:
        positive: Which samples have the class, shape (n,).
        score: Their scores, larger is surer, shape (n,).
        max_points: How many points may be left, at least 2.

    Returns:
        Without points where no sample has the class; its average precision is then not a number.
    """
    positive_count = int(positive.sum())
    if not positive_count:
        empty = np.empty(0)
        return ThresholdCurve(empty, empty, empty, float("nan"))
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # the last place that has the same score
    hits = np.cumsum(positive[order])[ends]
    precision, recall = hits / (ends + 1), hits / positive_count
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    point_index = _evenly_spaced(np.column_stack([precision, recall, ends / len(ranked)]), max_points)[::-1]
    return ThresholdCurve(ranked[ends[point_index]], precision[point_index], recall[point_index], area)


def score_histogram(positive: Booleans, score: Doubles, edges: Doubles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many positives and how many others have a score in each bin; what lies outside counts in the end bins.

    Args:
        positive: Which samples have the class, shape (n,).
        score: Their scores, shape (n,).
        edges: Ascending, shape (bins + 1,).

    Returns:
        Two arrays of shape (bins,).
    """
    bins = len(edges) - 1
    bin_index = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)
    return np.bincount(bin_index[positive], minlength=bins), np.bincount(bin_index[~positive], minlength=bins)


def _evenly_spaced(points: Doubles, max_points: int) -> NDArray[np.int64]:
    """Places along a line through points, shape (n, coordinates), the first and the last among them."""
    if len(points) <= max_points:
        return np.arange(len(points))
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points, axis=0)).sum(axis=1))])
    positions = np.linspace(0.0, length[-1], max_points)
    return np.unique(np.clip(np.searchsorted(length, positions), 0, len(points) - 1))
