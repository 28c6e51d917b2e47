"""Sufficient statistics of F1, accuracy and log loss, summed by group.

A bootstrap over groups is then one product of a (draws, groups) matrix with these sums.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import log_expit, logsumexp

from holotype.core.errors import DataError
from holotype.core.registry import Registry
from holotype.types import AnyLabels, AnyScores, Doubles, Integers, Kind, LabelMatrix, TopKScores

RESAMPLES_PER_CHUNK = 250
MAX_SUMS_PER_CHUNK = 8_000_000  # 64 MB


@dataclass(frozen=True)
class Counts:
    """Sums over the samples of each resample ("draw"), by class: shape (draws, classes), or (draws,).

    Args:
        exact: Samples whose labels are all right.
        loss: Summed negative log-likelihood.
        squared_distance: Summed squared distance between the numbers of the true and the predicted class; 0 for
            multilabel.
    """

    true_positive: Doubles
    false_positive: Doubles
    false_negative: Doubles
    exact: Doubles
    loss: Doubles
    samples: Doubles
    squared_distance: Doubles
    kind: Kind

    @property
    def support(self) -> Doubles:
        """Samples of each class, shape (draws, classes)."""
        return self.true_positive + self.false_negative

    @property
    def predicted(self) -> Doubles:
        """Samples that were given each class, shape (draws, classes)."""
        return self.true_positive + self.false_positive


@dataclass(frozen=True)
class GroupCounts:
    """Sums of every group.

    Args:
        table: Sparse, shape (groups, 3 * classes + 4): true positives, false positives and false negatives by class,
            then exact samples, loss, samples and squared distance.
    """

    table: sparse.csr_array
    classes: int
    kind: Kind

    def resample(self, weights: NDArray[np.integer] | None = None) -> Counts:
        """Sum over resampled groups.

        Args:
            weights: Count of each group in each draw, shape (draws, groups); every group once by default.
        """
        if weights is None:
            weights = np.ones((1, self.table.shape[0]), np.int32)
        sums = (self.table.T.tocsr() @ weights.T.astype(np.float64)).T
        positive, wrong, missed, rest = np.split(sums, np.arange(1, 4) * self.classes, axis=1)
        exact, loss, samples, squared_distance = rest.T
        return Counts(positive, wrong, missed, exact, loss, samples, squared_distance, self.kind)

    def resample_in_chunks(self, weights: NDArray[np.integer]) -> Iterator[Counts]:
        """Sum over resampled groups, a chunk of draws at a time."""
        step = max(1, min(RESAMPLES_PER_CHUNK, MAX_SUMS_PER_CHUNK // self.table.shape[1]))
        for start in range(0, len(weights), step):
            yield self.resample(weights[start : start + step])

    def resample_f1(self, weights: NDArray[np.integer]) -> Doubles:
        """Compute F1 of each class over resampled groups, shape (draws, classes)."""
        return np.concatenate([f1_of_classes(part) for part in self.resample_in_chunks(weights)])


def count_groups(
    truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None, kind: Kind, groups: Integers
) -> GroupCounts:
    """Sum the statistics over the samples of each group.

    Args:
        logits: Shape (n, classes), or None without log loss.
        groups: Group of each sample, shape (n,), from 0 without gaps.

    Raises:
        DataError: The shapes do not match, or there are no samples.
    """
    shapes = {array.shape for array in (truth, decided, logits) if array is not None}
    if len(shapes) != 1 or len(groups) != len(truth) or len(truth.shape) != 2 or not truth.size:
        raise DataError(
            f"truth {truth.shape}, decisions {decided.shape}, logits {None if logits is None else logits.shape} must "
            f"be of the same shape (samples, classes), not empty, and groups {groups.shape} of shape (samples,)"
        )
    samples, classes = truth.shape
    true, predicted = LabelMatrix.from_dense(truth).flat_indices, LabelMatrix.from_dense(decided).flat_indices
    is_hit = np.isin(predicted, true, assume_unique=True)
    parts = [predicted[is_hit], predicted[~is_hit], true[~np.isin(true, predicted, assume_unique=True)]]
    rows = [part // classes for part in parts]
    columns = [part % classes + number * classes for number, part in enumerate(parts)]
    values = [np.ones(len(row)) for row in rows]
    losses = np.zeros(samples) if logits is None else sample_losses(truth, logits, kind)
    exact = np.bincount(np.concatenate(rows[1:]), minlength=samples) == 0
    distance = _squared_distances(true, predicted, truth.shape) if kind == "multiclass" else np.zeros(samples)
    for number, value in enumerate((exact.astype(float), losses, np.ones(samples), distance)):
        rows.append(np.arange(samples))
        columns.append(np.full(samples, 3 * classes + number))
        values.append(value)
    entries = (np.concatenate(values), (groups[np.concatenate(rows)], np.concatenate(columns)))
    table = sparse.coo_array(entries, shape=(int(groups.max()) + 1, 3 * classes + 4)).tocsr()
    return GroupCounts(table, classes, kind)


def _squared_distances(true: Integers, predicted: Integers, shape: tuple[int, int]) -> Doubles:
    """Squared distance between the first true and the first predicted class of each sample, shape (n,)."""
    samples, classes = shape
    first = []
    for labels in (true, predicted):
        number = np.full(samples, -1)
        number[labels[::-1] // classes] = labels[::-1] % classes
        first.append(number)
    farthest = np.maximum(first[0], classes - 1 - first[0])  # of a sample without a prediction
    return np.where(first[1] < 0, farthest, first[0] - first[1]).astype(np.float64) ** 2


def sample_losses(truth: AnyLabels, logits: AnyScores, kind: Kind) -> Doubles:
    """Negative log-likelihood of each sample (natural logarithm), shape (n,); for multilabel the mean over classes.

    Raises:
        DataError: A multiclass sample does not have exactly one label.
    """
    labels = LabelMatrix.from_dense(truth)
    if kind == "multilabel" and not isinstance(logits, TopKScores):
        scores = logits.astype(np.float64)
        return -np.where(labels[:], log_expit(scores), log_expit(-scores)).mean(axis=1)
    wrong = np.flatnonzero(labels.label_counts != 1)
    if len(wrong):
        raise DataError(
            f"{len(wrong)} samples (the first is number {wrong[0]}) do not have exactly one label",
            remedy="write labels: {kind: multilabel}, or label every sample once",
        )
    if isinstance(logits, TopKScores):
        return -logits.log_probability(labels.numbers)
    scores = logits.astype(np.float64)
    return logsumexp(scores, axis=1) - scores[np.arange(len(labels)), labels.numbers]


def f1_of_classes(counts: Counts) -> Doubles:
    """Compute F1 of each class, shape (draws, classes); NaN without a positive sample."""
    return _divide_or_nan(2 * counts.true_positive, counts.support + counts.predicted, counts.support > 0)


def balanced_accuracy_of_classes(counts: Counts) -> Doubles:
    """Compute recall (multiclass), or (recall + specificity) / 2, of each class; NaN without a positive sample."""
    present = counts.support > 0
    recall = _divide_or_nan(counts.true_positive, counts.support, present)
    if counts.kind == "multiclass":
        return recall
    negatives = counts.samples[:, None] - counts.support
    specificity = _divide_or_nan(negatives - counts.false_positive, negatives, negatives > 0)
    return np.where(negatives > 0, (recall + specificity) / 2, recall)


COUNT_METRICS = Registry("metric of counts")
"""Functions of `Counts` that return one value per draw, shape (draws,)."""

CLASS_SCORES = {"macro_f1": f1_of_classes, "balanced_accuracy": balanced_accuracy_of_classes}
"""Class scores whose mean is a metric."""


@COUNT_METRICS.register
def macro_f1(counts: Counts) -> Doubles:
    """Mean F1 over the classes with a positive sample.

    Args:
        counts: Sums of some draws.
    """
    return nanmean(f1_of_classes(counts), axis=1)


@COUNT_METRICS.register
def micro_f1(counts: Counts) -> Doubles:
    """F1 of all classes' decisions taken together.

    Args:
        counts: Sums of some draws.
    """
    denominator = (counts.support + counts.predicted).sum(axis=1)
    return _divide_or_nan(2 * counts.true_positive.sum(axis=1), denominator, denominator > 0)


@COUNT_METRICS.register
def accuracy(counts: Counts) -> Doubles:
    """Share of the samples whose labels are all right.

    Args:
        counts: Sums of some draws.
    """
    return counts.exact / counts.samples


@COUNT_METRICS.register
def balanced_accuracy(counts: Counts) -> Doubles:
    """Mean balanced accuracy over the classes with a positive sample.

    Args:
        counts: Sums of some draws.
    """
    return nanmean(balanced_accuracy_of_classes(counts), axis=1)


@COUNT_METRICS.register
def log_loss(counts: Counts) -> Doubles:
    """Mean negative log-likelihood.

    Args:
        counts: Sums of some draws.
    """
    return counts.loss / counts.samples


def nanmean(values: Doubles | Sequence[Doubles], axis: int) -> Doubles:
    """Average without NaN; NaN, without a warning, if there is nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def _divide_or_nan(part: Doubles, denominator: Doubles, defined: NDArray[np.bool_]) -> Doubles:
    return np.divide(part, denominator, out=np.full(denominator.shape, np.nan), where=defined)
