"""Pseudo-labels: rows that join training with the labels an earlier network of the same fold is sure of.

Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from holotype.core.errors import HolotypeError, join_names
from holotype.training.job import FitJob
from holotype.types import (
    AnyLabels,
    AnyScores,
    Integers,
    Kind,
    LabelMatrix,
    Predictions,
    TopKScores,
    average_rows,
    take_rows,
)

__all__ = ["confident_labels", "join_pseudo_labels"]


def confident_labels(
    logits: AnyScores, owners: Integers, kind: Kind, confidence: float
) -> tuple[NDArray[np.bool_], AnyLabels]:
    """The labels that a network is sure of; the images of a sample have one label together.

    Args:
        logits: Shape (n, classes).
        owners: The sample of each image, shape (n,).
        kind: `multiclass`: the likeliest class must be so likely; `multilabel`: every class so surely present or
            absent, and one of them present.
        confidence: A probability above one half.

    Returns:
        Which images have sure labels, shape (n,); the labels, shape (n, classes).
    """
    _, sample_index = np.unique(owners, return_inverse=True)
    if isinstance(logits, TopKScores):
        weights = 1 / np.bincount(sample_index)[sample_index]
        pooled = average_rows(logits, sample_index, int(sample_index.max(initial=-1)) + 1, weights)[sample_index]
        top_class = pooled.top_classes[:, 0].astype(np.int64)
        is_confident = pooled.log_probability(top_class) >= np.log(confidence)
        return is_confident, LabelMatrix.from_pairs(np.arange(len(is_confident)), top_class, pooled.shape)
    sums = np.zeros((sample_index.max(initial=-1) + 1, logits.shape[1]))
    np.add.at(sums, sample_index, np.asarray(logits, np.float64))
    mean = (sums / np.bincount(sample_index)[:, None])[sample_index] if len(sample_index) else sums
    if kind == "multiclass":
        probability = softmax(mean, axis=1)
        labels = probability >= confidence
        return labels.any(axis=1), labels
    probability = expit(mean)
    labels = probability >= confidence
    return (labels | (probability <= 1 - confidence)).all(axis=1) & labels.any(axis=1), labels


def join_pseudo_labels(
    job: FitJob, predictions: Predictions, owners: Integers, kind: Kind, tied: NDArray[np.bool_]
) -> tuple[FitJob, AnyLabels]:
    """The job of the next round: the rows that an earlier network of the same fold is sure of join it.

    Args:
        job: Of the round before.
        predictions: What that round's network says of rows without a label.
        owners: The sample of each image row of the table.
        kind: One label a sample, or many.
        tied: Which image rows of the table are tied to the fold's own (`holotype.split.tied_images`); none of them
            may join.

    Returns:
        The job, and the labels of its `pseudo_rows`, shape (p, classes).

    Raises:
        HolotypeError: The network is of another fold, which has seen this job's; or a row is tied to the fold.
    """
    spec = job.model.pseudo_labels
    if spec is None:
        raise HolotypeError(f"{job.label}: the recipe asks for no pseudo-labels")
    if predictions.fold != job.fold or predictions.model != job.model.name:
        raise HolotypeError(
            f"{job.label}: the network of {predictions.model}, fold {predictions.fold}, has seen what this one would "
            f"be scored on, "
            "and may not label rows for it",
            remedy="take those of its own fold",
        )
    training_rows = np.union1d(job.train_rows, job.validation_rows)
    wrong = predictions.rows[tied[predictions.rows] | np.isin(predictions.rows, training_rows)]
    if len(wrong):
        raise HolotypeError(
            f"{job.label}: {len(wrong):,} rows with pseudo-labels are tied to the fold that is scored, or labelled "
            f"already: {join_names(wrong.tolist(), 5)}",
            remedy="leave out what shares a sample, a group or a duplicate with the fold",
        )
    is_confident, labels = confident_labels(predictions.logits, owners[predictions.rows], kind, spec.confidence)
    rows = predictions.rows[is_confident].astype(np.int64)
    return replace(job, pseudo_rows=rows, pseudo_round=job.pseudo_round + 1), take_rows(labels, is_confident)
