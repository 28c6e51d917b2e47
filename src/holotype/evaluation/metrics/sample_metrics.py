"""Metrics that are no function of class counts, resampled by sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from holotype.types import AnyLabels, AnyScores, Booleans, Doubles, Kind, LabelMatrix, TopKScores

BINS = 15
TOP = 5


def calibration_table(truth: AnyLabels, logits: AnyScores, kind: Kind, bins: int = BINS) -> NDArray[np.float64]:
    """Compute a reliability diagram: mean probability, accuracy and number of scores per bin.

    `kind`: `multiclass` uses the top class of each sample, `multilabel` every score. Returns mean probability, share
    that is true, and number, shape (bins, 3); NaN in an empty bin.
    """
    confidence, right, _ = _confidence_and_correctness(truth, logits, kind)
    bin_index = np.minimum((confidence * bins).astype(int), bins - 1)
    number, confidence_sum, true = (
        np.bincount(bin_index, part, bins) for part in (np.ones(len(confidence)), confidence, right)
    )
    with np.errstate(invalid="ignore"):
        return np.column_stack([confidence_sum / number, true / number, number])


def calibration_error(truth: AnyLabels, logits: AnyScores, kind: Kind, weights: Doubles | None = None) -> Doubles:
    """Expected calibration error (Naeini, Cooper & Hauskrecht 2015) over 15 bins, shape (draws,); 0 is best.

    `kind`: `multiclass` uses the top class of each sample, `multilabel` every score; `weights`: count of each sample in
    each draw, shape (draws, n); a single draw of all by default.
    """
    confidence, right, owner = _confidence_and_correctness(truth, logits, kind)
    bin_index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    drawn = np.ones((1, len(truth))) if weights is None else np.asarray(weights, np.float64)
    table = np.zeros((len(truth), BINS))  # contribution of each sample to each bin
    np.add.at(table, (owner, bin_index), confidence - right)
    each = len(confidence) / max(len(truth), 1)
    return np.asarray(np.abs(drawn @ table).sum(axis=1) / np.maximum(drawn.sum(axis=1) * each, 1e-12))


def top_5_accuracy(truth: AnyLabels, logits: AnyScores, kind: Kind, weights: Doubles | None = None) -> Doubles:
    """Share of samples that have a class among their top five, shape (draws,).

    `weights`: count of each sample in each draw, shape (draws, n); a single draw of all by default.
    """
    if isinstance(logits, TopKScores):
        top_classes = logits.top_classes[:, :TOP].astype(np.int64)
    else:
        top_classes = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    hit = _has_classes(truth, top_classes).any(axis=1).astype(np.float64)
    drawn = np.ones((1, len(truth))) if weights is None else np.asarray(weights, np.float64)
    return np.asarray(drawn @ hit / np.maximum(drawn.sum(axis=1), 1e-12))


SAMPLE_METRICS: dict[str, Callable[[AnyLabels, AnyScores, Kind, Doubles | None], Doubles]] = {
    "top_5_accuracy": top_5_accuracy,
    "calibration_error": calibration_error,
}
"""Functions `(truth, logits, kind, weights)` that return one value per draw."""


def _confidence_and_correctness(
    truth: AnyLabels, logits: AnyScores, kind: Kind
) -> tuple[Doubles, Doubles, NDArray[np.int64]]:
    rows = np.arange(len(truth))
    if isinstance(logits, TopKScores):
        confidence = np.exp(logits.top_logits[:, 0] - logits.total)
        return np.asarray(confidence), _has_classes(truth, logits.top_classes[:, :1])[:, 0].astype(np.float64), rows
    doubles = np.asarray(logits, np.float64)
    if kind == "multilabel":
        owner = np.repeat(rows, truth.shape[1])
        return np.asarray(expit(doubles).ravel()), LabelMatrix.from_dense(truth)[:].ravel().astype(np.float64), owner
    probability, top_class = softmax(doubles, axis=1), doubles.argmax(axis=1)
    right = _has_classes(truth, top_class[:, None])[:, 0].astype(np.float64)
    return np.asarray(probability[rows, top_class]), right, rows


def _has_classes(truth: AnyLabels, numbers: NDArray[np.integer]) -> Booleans:
    """Mask of the classes that each row has, shape (n, k), given their numbers."""
    if not isinstance(truth, LabelMatrix):
        return np.take_along_axis(truth, numbers.astype(np.int64), axis=1)
    return np.isin(np.arange(len(truth))[:, None] * truth.classes + numbers, truth.flat_indices)
