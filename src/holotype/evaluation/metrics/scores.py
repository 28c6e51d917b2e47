"""Metrics on arrays. Scores are better when higher, but for the log loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from holotype.core.errors import DataError
from holotype.core.registry import Registry
from holotype.evaluation.metrics.counts import COUNT_METRICS, Counts, count_groups, f1_of_classes, sample_losses
from holotype.types import AnyLabels, AnyScores, Floats, Kind, LabelMatrix

__all__ = [
    "METRICS",
    "accuracy",
    "average_precision_per_class",
    "balanced_accuracy",
    "classes_without_positives",
    "f1_per_class",
    "log_loss",
    "macro_f1",
    "mean_average_precision",
    "micro_f1",
    "precision_recall_per_class",
    "probabilities",
    "ranking_scores",
    "top_k_accuracy",
]

METRICS = Registry("metric")
"""Functions `(truth, decided, logits, kind) -> float`, higher is better."""

Booleans = NDArray[np.bool_]


@METRICS.register
def macro_f1(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """Mean F1 over the classes with a positive sample; NaN where no class has one.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Not looked at.
        kind: Not looked at.
    """
    return float(COUNT_METRICS["macro_f1"](_count_all(truth, decided, kind))[0])


@METRICS.register
def micro_f1(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """F1 of all classes' decisions taken together.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Not looked at.
        kind: Not looked at.
    """
    return float(COUNT_METRICS["micro_f1"](_count_all(truth, decided, kind))[0])


@METRICS.register
def accuracy(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """Share of the samples whose labels are all right (for many labels: the exact match).

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Not looked at.
        kind: Not looked at.
    """
    return float(COUNT_METRICS["accuracy"](_count_all(truth, decided, kind))[0])


@METRICS.register
def balanced_accuracy(
    truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass"
) -> float:
    """Mean over the classes with a positive sample of recall, or, for many labels, of (recall + specificity) / 2.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Not looked at.
        kind: One label a sample, or many.
    """
    return float(COUNT_METRICS["balanced_accuracy"](_count_all(truth, decided, kind))[0])


@METRICS.register(name="map")
def mean_average_precision(
    truth: Booleans, decided: Booleans | None, logits: Floats, kind: Kind = "multiclass"
) -> float:
    """Mean average precision: over the classes with a positive sample, each ranking all samples.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Not looked at.
        logits: Shape (n, classes).
        kind: One label a sample (ranked by softmax), or many (ranked by logit).
    """
    present = truth.any(axis=0)
    if not present.any():
        return float("nan")
    return float(average_precision_per_class(truth, logits, kind)[present].mean())


def average_precision_per_class(
    truth: Booleans, logits: Floats, kind: Kind, weights: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Area under the steps of precision over recall, class by class; samples of one score count as one step.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        logits: Shape (n, classes).
        kind: One label a sample (ranked by softmax), or many (ranked by logit).
        weights: How often each sample counts, shape (n,), or (draws, n) for many draws at once.

    Returns:
        Shape (classes,), or (draws, classes); NaN for a class without a positive sample.
    """
    scores = ranking_scores(logits, kind)
    drawn = np.ones((1, len(truth))) if weights is None else np.atleast_2d(weights).astype(np.float64)
    result = np.full((len(drawn), truth.shape[1]), np.nan)
    for number in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, number], kind="stable")
        ranked = scores[order, number]
        steps = np.searchsorted(-ranked, -ranked, side="right") - 1  # the last place that has the same score
        positive_index = np.flatnonzero(truth[order, number])
        weight = drawn[:, order]
        above = np.cumsum(weight, axis=1)[:, steps[positive_index]]
        hits = np.cumsum(weight[:, positive_index], axis=1)
        hits_at_cut = hits[:, np.searchsorted(positive_index, steps[positive_index], side="right") - 1]
        precision = np.divide(hits_at_cut, above, out=np.zeros_like(above), where=above > 0)
        total_hits = hits[:, -1]
        area = (precision * weight[:, positive_index]).sum(axis=1)
        result[:, number] = np.divide(area, total_hits, out=np.full(len(drawn), np.nan), where=total_hits > 0)
    return result if weights is not None and np.ndim(weights) == 2 else result[0]


def ranking_scores(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    """What ranks samples within a class: log-softmax for one label a sample, the logit itself for many.

    Args:
        logits: Shape (n, classes).
        kind: One label a sample, or many.

    Returns:
        Shape (n, classes).
    """
    scores = logits.astype(np.float64)
    return np.asarray(log_softmax(scores, axis=1)) if kind == "multiclass" else scores


def probabilities(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    """What scores say as probabilities.

    Args:
        logits: Shape (n, classes).
        kind: `multiclass`: softmax, rows sum to 1; `multilabel`: sigmoid, every class by itself.

    Returns:
        Shape (n, classes), in 0 to 1.
    """
    doubles = np.asarray(logits, dtype=np.float64)
    return np.asarray(softmax(doubles, axis=1) if kind == "multiclass" else expit(doubles))


def f1_per_class(truth: AnyLabels, decided: AnyLabels) -> NDArray[np.float64]:
    """F1 of each class; NaN for a class without a positive sample.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).

    Returns:
        Shape (classes,).
    """
    return f1_of_classes(_count_all(truth, decided, "multilabel"))[0]


def precision_recall_per_class(truth: AnyLabels, decided: AnyLabels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of each class; NaN where nothing was given the class, or nothing has it.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).

    Returns:
        Precision and recall, each of shape (classes,).
    """
    counts = _count_all(truth, decided, "multilabel")
    with np.errstate(invalid="ignore"):
        precision, recall = counts.true_positive / counts.predicted, counts.true_positive / counts.support
    return precision[0], recall[0]


def classes_without_positives(truth: AnyLabels, classes: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes that a macro average leaves out.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        classes: The class names in order.
    """
    return tuple(classes[int(number)] for number in np.flatnonzero(LabelMatrix.from_dense(truth).counts() == 0))


def top_k_accuracy(truth: Booleans, logits: Floats, k: int = 5) -> float:
    """Share of the samples that have a class among their k likeliest.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        logits: Shape (n, classes).
        k: From 1 up to the number of classes.

    Raises:
        DataError: There are not so many classes.
    """
    if not 1 <= k <= truth.shape[1]:
        raise DataError(f"k = {k} is not between 1 and the number of classes, {truth.shape[1]}", field="k")
    top_classes = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(truth, top_classes, axis=1).any(axis=1).mean())


def log_loss(truth: AnyLabels, decided: AnyLabels | None, logits: AnyScores, kind: Kind = "multiclass") -> float:
    """Mean negative log-likelihood of the labels; for many labels the mean over samples and classes. Lower is better.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Not looked at.
        logits: Shape (n, classes).
        kind: One label a sample, or many.

    Raises:
        DataError: A multiclass sample does not have exactly one label.
    """
    return float(sample_losses(truth, logits, kind).mean())


def _count_all(truth: AnyLabels, decided: AnyLabels, kind: Kind) -> Counts:
    return count_groups(truth, decided, None, kind, np.zeros(len(truth), np.int64)).resample()
