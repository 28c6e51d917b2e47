"""Precision-recall curves and score histograms of one class, thinned for display."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class ThresholdCurve:
    """Precision and recall of one class by ascending threshold.

    Args:
        threshold: Ascending, shape (m,); a sample gets the class if its score is at least this.
        precision: From 0 to 1, shape (m,).
        recall: Descending from 1, shape (m,).
    """

    threshold: Doubles
    precision: Doubles
    recall: Doubles
    average_precision: float


def threshold_curve(positive: Booleans, score: Doubles, max_points: int = 200) -> ThresholdCurve:
    """Compute precision and recall at every distinct score of one class, thinned to `max_points` (at least 2).

    Points are dropped evenly along the length of the curve in precision, recall and threshold rank, so that no dropped
    point is further from its neighbors than that length over `max_points - 1`. Without a positive sample there are no
    points.
    """
    positive_count = int(positive.sum())
    if not positive_count:
        empty = np.empty(0)
        return ThresholdCurve(empty, empty, empty, float("nan"))
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # last index of the same score
    hits = np.cumsum(positive[order])[ends]
    precision, recall = hits / (ends + 1), hits / positive_count
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    point_index = _evenly_spaced(np.column_stack([precision, recall, ends / len(ranked)]), max_points)[::-1]
    return ThresholdCurve(ranked[ends[point_index]], precision[point_index], recall[point_index], area)


def score_histogram(positive: Booleans, score: Doubles, edges: Doubles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count positive and negative samples by score bin; scores outside the ascending edges fall into the end bins."""
    bins = len(edges) - 1
    bin_index = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)
    return np.bincount(bin_index[positive], minlength=bins), np.bincount(bin_index[~positive], minlength=bins)


def _evenly_spaced(points: Doubles, max_points: int) -> NDArray[np.int64]:
    """Indices of evenly spaced points along a line, shape (n, coordinates), with both ends."""
    if len(points) <= max_points:
        return np.arange(len(points))
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points, axis=0)).sum(axis=1))])
    positions = np.linspace(0.0, length[-1], max_points)
    return np.unique(np.clip(np.searchsorted(length, positions), 0, len(points) - 1))
