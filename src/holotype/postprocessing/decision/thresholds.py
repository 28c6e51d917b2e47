"""Exact F1-optimal thresholds: every cut of the sorted scores is evaluated, no grid.

A threshold that maximizes F1 lies between two adjacent scores (Lipton, Elkan & Narayanaswamy 2014, "Optimal
thresholding of classifiers to maximize F1 measure"); with sorted scores, F1 at every cut follows from two cumulative
sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from holotype.core.seeds import keyed_generator
from holotype.types import Doubles, Integers

MICRO_ROUNDS = 50
EPSILON = 1e-12
THRESHOLD_GRID = np.linspace(0.005, 0.995, 199)


@dataclass(frozen=True)
class SortedScores:
    """Scores sorted in descending order, one class per row.

    Args:
        order: Sample indices, shape (classes, n).
        scores: Descending, shape (classes, n).
        truth: Labels in the same order, shape (classes, n).
        last: Mask of the last of equal scores, after which a cut is possible, shape (classes, n).
    """

    order: Integers
    scores: Doubles
    truth: Doubles
    last: NDArray[np.bool_]


def sort_scores(scores: Doubles, truth: NDArray[np.bool_]) -> SortedScores:
    """Sort scores once for many fits. `scores`: any monotone confidence, shape (n, classes)."""
    by_class = np.ascontiguousarray(scores.T, dtype=np.float64)
    order = np.argsort(-by_class, axis=1)
    falling = np.take_along_axis(by_class, order, axis=1)
    sorted_truth = np.take_along_axis(np.ascontiguousarray(truth.T), order, axis=1)
    last = np.ones(falling.shape, bool)
    last[:, :-1] = falling[:, :-1] != falling[:, 1:]
    return SortedScores(order, falling, sorted_truth.astype(np.float64), last)


def fit_thresholds(
    ranked: SortedScores, sample_mask: NDArray[np.bool_] | None = None, metric: str = "macro_f1"
) -> tuple[Doubles, Doubles]:
    """Fit the F1-optimal threshold of each class over all possible cuts.

    Args:
        sample_mask: Samples to use, shape (n,); all by default.
        metric: `macro_f1`: each class separately; `micro_f1`: all classes jointly (Dinkelbach 1967).

    Returns:
        Thresholds, to be exceeded strictly (NaN for a class without a positive sample), and the F1 of each class; shape
        (classes,) each.
    """
    if sample_mask is None:
        hits, predicted = np.cumsum(ranked.truth, axis=1), np.arange(1.0, ranked.order.shape[1] + 1)[None]
    else:
        weight = sample_mask[ranked.order].astype(np.float64)
        hits, predicted = np.cumsum(ranked.truth * weight, axis=1), np.cumsum(weight, axis=1)
    positives = hits[:, -1:]
    f1 = 2 * hits / np.maximum(predicted + positives, EPSILON)
    if metric == "micro_f1":
        gains = _micro_gains(hits, predicted, positives, ranked.last)
    else:
        gains = np.where(ranked.last, f1, -1.0)
    cut = gains.argmax(axis=1)
    rows = np.arange(len(cut))
    thresholds = np.array([_midpoint_threshold(ranked.scores[row], cut[row]) for row in rows])
    empty = positives[:, 0] == 0
    predicts_none = gains[rows, cut] < 0  # no cut has a positive gain
    thresholds = np.where(predicts_none, ranked.scores[:, 0], thresholds)
    best = np.where(empty | predicts_none, 0.0, f1[rows, cut])
    return np.where(empty, np.nan, thresholds), best


def _micro_gains(hits: Doubles, predicted: Doubles, positives: Doubles, last: NDArray[np.bool_]) -> Doubles:
    """Dinkelbach's objective of each cut, 2 * hits - F1 * predicted, at the largest F1."""
    share, gains = 0.0, hits
    for _ in range(MICRO_ROUNDS):
        gains = np.where(last, 2 * hits - share * predicted, -np.inf)
        cut = gains.argmax(axis=1)[:, None]
        has_gain = np.take_along_axis(gains, cut, axis=1) > 0
        hit_count = np.where(has_gain, np.take_along_axis(hits, cut, axis=1), 0).sum()
        predicted_at_cut = np.take_along_axis(np.broadcast_to(predicted, hits.shape), cut, axis=1)
        predicted_count = np.where(has_gain, predicted_at_cut, 0).sum()
        f1 = 2 * hit_count / max(predicted_count + positives.sum(), EPSILON)
        if f1 <= share:
            break
        share = float(f1)
    return gains


def _midpoint_threshold(scores: Doubles, cut: int) -> float:
    if cut + 1 == len(scores):
        return float(np.nextafter(scores[cut], -np.inf))
    middle = (scores[cut] + scores[cut + 1]) / 2
    return float(middle if middle < scores[cut] else scores[cut + 1])


def global_threshold(probability: Doubles, truth: NDArray[np.bool_], metric: str = "macro_f1") -> float:
    """Fit one threshold for all classes on a grid with steps of 0.005."""
    classes = truth.shape[1]
    hits, predicted = np.zeros((classes, len(THRESHOLD_GRID))), np.zeros((classes, len(THRESHOLD_GRID)))
    for number in range(classes):
        all_scores, positive_scores = np.sort(probability[:, number]), np.sort(probability[truth[:, number], number])
        predicted[number] = len(all_scores) - np.searchsorted(all_scores, THRESHOLD_GRID, side="right")
        hits[number] = len(positive_scores) - np.searchsorted(positive_scores, THRESHOLD_GRID, side="right")
    positives = truth.sum(axis=0)
    if metric == "micro_f1":
        score = 2 * hits.sum(axis=0) / np.maximum(predicted.sum(axis=0) + positives.sum(), EPSILON)
    else:
        has_positives = positives > 0
        if not has_positives.any():
            return 0.5
        denominator = np.maximum(predicted[has_positives] + positives[has_positives, None], EPSILON)
        score = (2 * hits[has_positives] / denominator).mean(axis=0)
    best = np.flatnonzero(score >= score.max() - EPSILON)
    return float(THRESHOLD_GRID[best].mean())


def average_thresholds(
    probability: Doubles,
    truth: NDArray[np.bool_],
    units: Integers,
    folds: tuple[int, int],
    seed: int,
    shrink: float = 5.0,
    metric: str = "macro_f1",
) -> Doubles:
    """Fit one threshold per class as the mean over repeated folds, shrunk to the global one if positives are few.

    With few samples a single best cut is unstable; the mean over many subsets is not.

    Args:
        units: Independent group of each sample, shape (n,); never split.
        shrink: Number of positive samples at which the class's own threshold has weight 1/2.

    Returns:
        Probabilities, shape (classes,); the global threshold for a class without a positive sample.
    """
    count, repeats = folds
    ranked = sort_scores(probability, truth)
    shared_threshold = global_threshold(probability, truth, metric)
    summed, fit_counts = np.zeros(truth.shape[1]), np.zeros(truth.shape[1])
    _, unit = np.unique(units, return_inverse=True)
    for repeat in range(repeats):
        order = keyed_generator(seed, "thresholds", repeat).permutation(unit.max() + 1)
        fold = (order % count)[unit]
        for number in range(count):
            thresholds, _ = fit_thresholds(ranked, fold != number, metric)
            usable = np.isfinite(thresholds)
            summed += np.where(usable, logit(np.clip(thresholds, EPSILON, 1 - EPSILON)), 0)
            fit_counts += usable
    class_log_odds = np.where(fit_counts > 0, summed / np.maximum(fit_counts, 1), logit(shared_threshold))
    positives = truth.sum(axis=0)
    weight = np.where(fit_counts > 0, positives / np.maximum(positives + shrink, EPSILON), 0)
    return np.asarray(expit(weight * class_log_odds + (1 - weight) * logit(shared_threshold)))
