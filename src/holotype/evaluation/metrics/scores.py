"""Metrics on arrays. Higher is better, except for the log loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from holotype.core.errors import DataError
from holotype.core.registry import Registry
from holotype.evaluation.metrics import agreement
from holotype.evaluation.metrics.counts import (
    COUNT_METRICS,
    Counts,
    count_groups,
    f1_of_classes,
    nanmean,
    sample_losses,
)
from holotype.types import AnyLabels, AnyScores, Booleans, Floats, Kind, LabelMatrix

METRICS = Registry("metric")
"""Functions `(truth, decided, logits, kind) -> float`, higher is better."""


@METRICS.register
def macro_f1(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """Macro F1: mean F1 over the classes with a positive sample; NaN if there is none.

    Args:
        truth: Labels, shape (n, classes).
        decided: Decisions, shape (n, classes).
        logits: Ignored.
        kind: Ignored.
    """
    return float(COUNT_METRICS["macro_f1"](_count_all(truth, decided, kind))[0])


@METRICS.register
def micro_f1(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """Micro F1: F1 of all label decisions pooled over classes.

    Args:
        truth: Labels, shape (n, classes).
        decided: Decisions, shape (n, classes).
        logits: Ignored.
        kind: Ignored.
    """
    return float(COUNT_METRICS["micro_f1"](_count_all(truth, decided, kind))[0])


@METRICS.register
def accuracy(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """Accuracy: share of samples whose labels are all right (for multilabel, the exact match ratio).

    Args:
        truth: Labels, shape (n, classes).
        decided: Decisions, shape (n, classes).
        logits: Ignored.
        kind: Ignored.
    """
    return float(COUNT_METRICS["accuracy"](_count_all(truth, decided, kind))[0])


@METRICS.register
def balanced_accuracy(
    truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass"
) -> float:
    """Balanced accuracy: mean recall or, for multilabel, mean (recall + specificity) / 2, of classes with positives.

    Args:
        truth: Labels, shape (n, classes).
        decided: Decisions, shape (n, classes).
        logits: Ignored.
        kind: `multiclass` or `multilabel`.
    """
    return float(COUNT_METRICS["balanced_accuracy"](_count_all(truth, decided, kind))[0])


@METRICS.register
def mcc(truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass") -> float:
    """Matthews correlation coefficient, -1 to 1; for multilabel its mean over the classes with a positive sample.

    `logits` are ignored; `kind` is `multiclass` or `multilabel`.
    """
    return float(agreement.mcc(_count_all(truth, decided, kind))[0])


@METRICS.register
def cohen_kappa(
    truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass"
) -> float:
    """Cohen's kappa, -1 to 1; for multilabel its mean over the classes with a positive sample.

    `logits` are ignored; `kind` is `multiclass` or `multilabel`.
    """
    return float(agreement.cohen_kappa(_count_all(truth, decided, kind))[0])


@METRICS.register
def quadratic_weighted_kappa(
    truth: AnyLabels, decided: AnyLabels, logits: AnyScores | None = None, kind: Kind = "multiclass"
) -> float:
    """Quadratic weighted kappa, -1 to 1, of classes in their order. `logits` are ignored.

    Raises DataError for multilabel.
    """
    return float(agreement.quadratic_weighted_kappa(_count_all(truth, decided, kind))[0])


@METRICS.register
def auroc(truth: Booleans, decided: Booleans | None, logits: Floats, kind: Kind = "multiclass") -> float:
    """Area under the ROC curve, one class against the others: mean over the classes with positives and negatives.

    `decided` is ignored. `kind`: `multiclass` (ranked by log-softmax) or `multilabel` (ranked by logit).
    """
    return float(nanmean(auroc_per_class(truth, logits, kind), axis=0))


@METRICS.register(name="map")
def mean_average_precision(
    truth: Booleans, decided: Booleans | None, logits: Floats, kind: Kind = "multiclass"
) -> float:
    """Mean average precision over the classes with a positive sample, each ranking all samples.

    Args:
        truth: Labels, shape (n, classes).
        decided: Ignored.
        logits: Shape (n, classes).
        kind: `multiclass` (ranked by log-softmax) or `multilabel` (ranked by logit).
    """
    present = truth.any(axis=0)
    if not present.any():
        return float("nan")
    return float(average_precision_per_class(truth, logits, kind)[present].mean())


def average_precision_per_class(
    truth: Booleans, logits: Floats, kind: Kind, weights: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Average precision of each class: area under the precision-recall steps; equal scores are one step.

    Args:
        weights: Count of each sample, shape (n,), or (draws, n) for many draws at once.

    Returns:
        Shape (classes,), or (draws, classes); NaN for a class without a positive sample.
    """
    scores = ranking_scores(logits, kind)
    drawn = np.ones((1, len(truth))) if weights is None else np.atleast_2d(weights).astype(np.float64)
    result = np.full((len(drawn), truth.shape[1]), np.nan)
    for number in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, number], kind="stable")
        ranked = scores[order, number]
        steps = np.searchsorted(-ranked, -ranked, side="right") - 1  # last index of the same score
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


def auroc_per_class(
    truth: Booleans, logits: Floats, kind: Kind, weights: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Area under the ROC curve of each class: probability that a positive sample outranks a negative one, ties half.

    `weights`: count of each sample, shape (n,), or (draws, n) for many draws at once. Returns shape (classes,), or
    (draws, classes); NaN for a class without a positive or without a negative sample.
    """
    scores = ranking_scores(logits, kind)
    drawn = np.ones((1, len(truth))) if weights is None else np.atleast_2d(weights).astype(np.float64)
    result = np.full((len(drawn), truth.shape[1]), np.nan)
    for number in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(scores[:, number], kind="stable")
        ranked, positive, weight = scores[order, number], truth[order, number], drawn[:, order]
        below = np.pad(np.cumsum(weight * ~positive, axis=1), ((0, 0), (1, 0)))  # negatives before each position
        start, end = (np.searchsorted(ranked, ranked[positive], side=side) for side in ("left", "right"))
        outranked = (weight[:, positive] * (below[:, start] + below[:, end]) / 2).sum(axis=1)
        pairs = weight[:, positive].sum(axis=1) * below[:, -1]
        result[:, number] = np.divide(outranked, pairs, out=np.full(len(drawn), np.nan), where=pairs > 0)
    return result if weights is not None and np.ndim(weights) == 2 else result[0]


RANKING_METRICS = {"map": average_precision_per_class, "auroc": auroc_per_class}
"""Functions `(truth, logits, kind, weights)` of all samples' scores that return the class scores of each draw."""


def ranking_scores(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    """Scores that rank samples within a class, in double precision: log-softmax (multiclass) or logit (multilabel)."""
    scores = logits.astype(np.float64)
    return np.asarray(log_softmax(scores, axis=1)) if kind == "multiclass" else scores


def probabilities(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    """Convert logits to probabilities in double precision: softmax for multiclass, sigmoid for multilabel."""
    doubles = np.asarray(logits, dtype=np.float64)
    return np.asarray(softmax(doubles, axis=1) if kind == "multiclass" else expit(doubles))


def f1_per_class(truth: AnyLabels, decided: AnyLabels) -> NDArray[np.float64]:
    """Compute F1 of each class, shape (classes,); NaN without a positive sample."""
    return f1_of_classes(_count_all(truth, decided, "multilabel"))[0]


def precision_recall_per_class(truth: AnyLabels, decided: AnyLabels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute precision and recall of each class, shape (classes,) each; NaN if undefined."""
    counts = _count_all(truth, decided, "multilabel")
    with np.errstate(invalid="ignore"):
        precision, recall = counts.true_positive / counts.predicted, counts.true_positive / counts.support
    return precision[0], recall[0]


def classes_without_positives(truth: AnyLabels, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the classes that a macro average leaves out."""
    return tuple(classes[int(number)] for number in np.flatnonzero(LabelMatrix.from_dense(truth).counts() == 0))


def top_k_accuracy(truth: Booleans, logits: Floats, k: int = 5) -> float:
    """Share of samples that have a class among their top k.

    Args:
        k: From 1 to the number of classes.

    Raises:
        DataError: k is out of range.
    """
    if not 1 <= k <= truth.shape[1]:
        raise DataError(f"k must be between 1 and the number of classes ({truth.shape[1]}), got {k}", field="k")
    top_classes = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(truth, top_classes, axis=1).any(axis=1).mean())


def log_loss(truth: AnyLabels, decided: AnyLabels | None, logits: AnyScores, kind: Kind = "multiclass") -> float:
    """Mean negative log-likelihood of the labels; for multilabel the mean over samples and classes. Lower is better.

    Raises:
        DataError: A multiclass sample does not have exactly one label.
    """
    return float(sample_losses(truth, logits, kind).mean())


def _count_all(truth: AnyLabels, decided: AnyLabels, kind: Kind) -> Counts:
    return count_groups(truth, decided, None, kind, np.zeros(len(truth), np.int64)).resample()
