"""Prediction confidence: confident errors, class exemplars and decision margins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.evaluation.metrics import probabilities
from holotype.types import AnyLabels, AnyScores, Kind, LabelMatrix, TopKScores

EPSILON = 1e-9


def confident_errors(truth: AnyLabels, decided: AnyLabels, logits: AnyScores, kind: Kind) -> NDArray[np.float64]:
    """Confidence of wrong decisions: the largest probability of a label that was wrongly assigned.

    If a multilabel sample has no wrongly assigned label but misses one, its confidence is 1 minus the probability of
    the missed label.

    Returns probabilities, shape (n,); -1 if nothing is wrong.
    """
    true_labels, predicted_labels = LabelMatrix.from_dense(truth), LabelMatrix.from_dense(decided)
    probability = logits if isinstance(logits, TopKScores) else probabilities(logits, kind)
    added, missed = np.full(len(true_labels), -1.0), np.full(len(true_labels), -1.0)
    for labels, other, confidence in ((predicted_labels, true_labels, added), (true_labels, predicted_labels, missed)):
        wrong = ~np.isin(labels.flat_indices, other.flat_indices)
        rows, numbers = labels.row_indices[wrong], labels.numbers[wrong]
        if isinstance(probability, TopKScores):
            value = np.exp(probability[rows].log_probability(numbers))
        else:
            value = probability[rows, numbers]
        np.maximum.at(confidence, rows, value if confidence is added else 1 - value)
    return np.where(added >= 0, added, missed)


def class_exemplars(truth: AnyLabels, decided: AnyLabels, logits: AnyScores, max_classes: int) -> list[int]:
    """Pick one sample per class: the highest score, correctly decided samples first.

    `max_classes`: only the first so many classes; for top-k scores the most frequent ones. Returns rows without
    repetition, in the order of the classes.
    """
    true_labels, predicted_labels = LabelMatrix.from_dense(truth), LabelMatrix.from_dense(decided)
    wrong = np.unique(np.setxor1d(true_labels.flat_indices, predicted_labels.flat_indices) // true_labels.classes)
    right = ~np.isin(np.arange(len(true_labels)), wrong)
    rows, numbers = true_labels.row_indices, true_labels.numbers
    if isinstance(logits, TopKScores):
        classes = np.sort(np.argsort(-true_labels.counts(), kind="stable")[:max_classes])
        scores = logits[rows].log_probability(numbers)
    else:
        classes, scores = np.arange(min(true_labels.classes, max_classes)), logits[rows, numbers].astype(np.float64)
    scores = scores + 1e3 * right[rows]
    exemplars = []
    for number in classes:
        class_rows = np.flatnonzero(numbers == number)
        if len(class_rows):
            exemplars.append(int(rows[class_rows[scores[class_rows].argmax()]]))
    return list(dict.fromkeys(exemplars))


def decision_margin(
    logits: AnyScores, kind: Kind, thresholds: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Decision margin: distance of the score from the nearest threshold, or top-1 minus top-2 probability.

    Args:
        kind: `multiclass`: difference of the two top probabilities; `multilabel`: distance of the closest class from
            its threshold, in log-odds.
        thresholds: One probability per class, for multilabel.

    Returns:
        Margins, shape (n,); the two classes (or the one), shape (n, 2 or 1); and their probabilities, same shape.
    """
    if isinstance(logits, TopKScores):
        classes = logits.top_classes[:, :2].astype(np.int64)
        value = np.exp(logits.top_logits[:, :2].astype(np.float64) - logits.total[:, None])
        return value[:, 0] - value[:, -1], classes, value
    probability = np.asarray(probabilities(logits, kind), np.float64)
    if kind == "multilabel":
        clipped, threshold = (
            np.clip(part, EPSILON, 1 - EPSILON) for part in (probability, np.asarray(thresholds, np.float64))
        )
        distance = np.abs(np.log(clipped / (1 - clipped)) - np.log(threshold / (1 - threshold)))
        classes = distance.argmin(axis=1)[:, None]
        return np.take_along_axis(distance, classes, 1)[:, 0], classes, np.take_along_axis(probability, classes, 1)
    classes = np.argsort(-probability, axis=1, kind="stable")[:, :2]
    value = np.take_along_axis(probability, classes, 1)
    return value[:, 0] - value[:, -1], classes, value
