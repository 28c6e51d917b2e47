"""Label errors: labels that are likely wrong, found with out-of-fold scores (confident learning)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, softmax

from holotype.types import MANY_CLASSES, Floats, OofPredictions, SampleTable, to_dense

SCHEMA: dict[str, Any] = {
    "position": pl.Int64,
    "sample": pl.String,
    "given_label": pl.List(pl.String),
    "predicted_label": pl.List(pl.String),
    "quality": pl.Float64,
    "suspect": pl.Boolean,
}


def empty_label_errors() -> pl.DataFrame:
    """Label error table without rows, for runs without scores."""
    return pl.DataFrame(schema=SCHEMA)


def find_label_errors(oof: OofPredictions, labels: SampleTable) -> pl.DataFrame:
    """Rank the scored samples by how likely their labels are wrong.

    Returns `position` (in `oof`), `sample` (its id), `given_label` and `predicted_label` (each a list), `quality` (0 to
    1, small where the given labels are doubtful) and `suspect`; empty above 2,000 classes.
    """
    if len(labels.classes) > MANY_CLASSES:
        return pl.DataFrame(schema=SCHEMA)
    truth = labels.matrix(oof.samples)
    probability = _to_probability(to_dense(oof.logits, "a search for wrong labels"), labels.kind)
    suspect, suggested = label_error_mask(probability, truth, labels.kind)
    names = np.asarray(labels.classes, dtype=object)
    table = pl.DataFrame(
        {
            "position": np.arange(len(truth)),
            "sample": labels.frame["sample"].gather(oof.samples),
            "given_label": [names[row].tolist() for row in truth],
            "predicted_label": [names[row].tolist() for row in suggested],
            "quality": label_quality(probability, truth, labels.kind),
            "suspect": suspect,
        },
        schema=SCHEMA,
    )
    return table.sort("suspect", "quality", "position", descending=[True, False, False])


def label_error_mask(
    probability: NDArray[np.float64], truth: NDArray[np.bool_], kind: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find likely label errors with the confident joint.

    Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", JAIR; for multilabel
    data each class is treated as present against absent (Thyagarajan et al. 2022). A sample is confidently of a class
    whose probability is at least the mean over the samples labeled so. A sample that is confidently of other classes
    than its own is suspect, and the likeliest of them is suggested.

    Args:
        probability: Out-of-fold probabilities, shape (n, classes).
        truth: Given labels, shape (n, classes).

    Returns:
        Mask of suspect samples, shape (n,), and suggested labels, shape (n, classes).
    """
    rows = np.maximum(truth.sum(axis=0), 1)
    present = np.where(truth.any(axis=0), (probability * truth).sum(axis=0) / rows, np.inf)
    if kind == "multiclass":
        confident = probability >= present
        likeliest = np.where(confident, probability, -1).argmax(axis=1)
        suspect = confident.any(axis=1) & ~truth[np.arange(len(truth)), likeliest]
        suggested = truth.copy()
        suggested[suspect] = False
        suggested[suspect, likeliest[suspect]] = True
        return suspect, suggested
    absent = 1 - np.where((~truth).any(axis=0), (probability * ~truth).sum(axis=0) / np.maximum((~truth).sum(0), 1), 0)
    added = ~truth & (probability >= present) & (probability > 0.5)
    taken = truth & (1 - probability >= absent) & (probability < 0.5)
    return np.asarray((added | taken).any(axis=1)), np.asarray((truth | added) & ~taken)


def label_quality(probability: NDArray[np.float64], truth: NDArray[np.bool_], kind: str) -> NDArray[np.float64]:
    """Label quality score: self-confidence of the least likely given label, 0 to 1, shape (n,).

    Args:
        probability: Shape (n, classes).
        truth: Given labels, shape (n, classes).
        kind: `multiclass` or `multilabel`; for multilabel data absent classes count too.
    """
    label_probability = (
        np.where(truth, probability, 1 - probability) if kind == "multilabel" else np.where(truth, probability, 1)
    )
    return np.asarray(label_probability.min(axis=1))


def _to_probability(logits: Floats, kind: str) -> NDArray[np.float64]:
    logits = logits.astype(np.float64)
    return np.asarray(expit(logits) if kind == "multilabel" else softmax(logits, axis=1))
