"""Chance-corrected agreement, from counts: Matthews correlation and Cohen's kappa."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from holotype.core.errors import DataError
from holotype.evaluation.metrics.counts import CLASS_SCORES, COUNT_METRICS, Counts, nanmean
from holotype.types import Doubles, Kind


@COUNT_METRICS.register
def mcc(counts: Counts) -> Doubles:
    """Matthews correlation coefficient (multiclass: Gorodkin 2004, equation 8); for multilabel the mean over classes.

    0 where only one class is predicted, as in scikit-learn.
    """
    if counts.kind == "multilabel":
        return nanmean(mcc_of_classes(counts), axis=1)
    samples, truth, predicted = counts.samples, counts.support, counts.predicted
    without_label = samples - predicted.sum(axis=1)  # their prediction counts as one more class
    covariance = counts.true_positive.sum(axis=1) * samples - (truth * predicted).sum(axis=1)
    spread = samples**2 - (predicted**2).sum(axis=1) - without_label**2
    return _divide(covariance, np.sqrt(spread * (samples**2 - (truth**2).sum(axis=1))))


@COUNT_METRICS.register
def cohen_kappa(counts: Counts) -> Doubles:
    """Cohen's kappa (Cohen 1960): accuracy above chance; for multilabel the mean over classes.

    NaN where truth and prediction are of a single class.
    """
    if counts.kind == "multilabel":
        return nanmean(kappa_of_classes(counts), axis=1)
    chance = (counts.support * counts.predicted).sum(axis=1)
    observed = counts.true_positive.sum(axis=1) * counts.samples
    return _divide(observed - chance, counts.samples**2 - chance, np.nan)


@COUNT_METRICS.register
def quadratic_weighted_kappa(counts: Counts) -> Doubles:
    """Cohen's kappa with squared distances of ordered classes (Cohen 1968); multiclass only.

    A sample without a predicted label counts as one with the farthest class. Raises DataError for multilabel.
    """
    if counts.kind == "multilabel":
        raise DataError("quadratic weighted kappa compares ordered classes of samples with a single label")
    number = np.arange(counts.support.shape[1], dtype=np.float64)
    (total, mean, square), (other_total, other_mean, other_square) = (
        [part @ number**power for power in range(3)] for part in (counts.support, counts.predicted)
    )
    expected = square * other_total - 2 * mean * other_mean + total * other_square
    return 1 - _divide(counts.squared_distance * counts.samples, expected, np.nan)


def mcc_of_classes(counts: Counts) -> Doubles:
    """Matthews correlation of each class against the others, shape (draws, classes); NaN without a positive sample."""
    truth, predicted, samples = counts.support, counts.predicted, counts.samples[:, None]
    covariance = counts.true_positive * samples - truth * predicted
    spread = truth * (samples - truth) * predicted * (samples - predicted)
    return np.where(truth > 0, _divide(covariance, np.sqrt(spread)), np.nan)


def kappa_of_classes(counts: Counts) -> Doubles:
    """Cohen's kappa of each class against the others, shape (draws, classes); NaN without a positive sample."""
    truth, predicted, samples = counts.support, counts.predicted, counts.samples[:, None]
    wrong = counts.false_positive + counts.false_negative
    chance = truth * (samples - predicted) + predicted * (samples - truth)
    return np.where(truth > 0, 1 - _divide(wrong * samples, chance, np.nan), np.nan)


MULTILABEL_CLASS_SCORES = {"mcc": mcc_of_classes, "cohen_kappa": kappa_of_classes}


def class_scores(name: str, kind: Kind) -> Callable[[Counts], Doubles] | None:
    """Class scores, shape (draws, classes), whose mean is the metric; None if it is no such mean."""
    return CLASS_SCORES.get(name) or (MULTILABEL_CLASS_SCORES.get(name) if kind == "multilabel" else None)


def _divide(part: Doubles, denominator: Doubles, otherwise: float = 0.0) -> Doubles:
    return np.divide(part, denominator, out=np.full(denominator.shape, otherwise), where=denominator > 0)
