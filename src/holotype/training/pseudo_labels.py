"""Pseudo-labeling: rows with confident labels from an earlier network of the same fold join the training.

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


def confident_labels(
    logits: AnyScores, owners: Integers, kind: Kind, confidence: float
) -> tuple[NDArray[np.bool_], AnyLabels]:
    """Select confident labels; the images of a sample share one label, from their mean logits.

    Args:
        logits: Shape (n, classes).
        owners: Sample of each image, shape (n,).
        kind: `multiclass`: the likeliest class reaches the confidence; `multilabel`: every class is confidently present
            or absent, and at least one is present.
        confidence: A probability above 0.5.

    Returns:
        Mask of the images with confident labels, shape (n,); the labels, shape (n, classes).
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
    """Make the job of the next round of pseudo-labeling.

    Args:
        predictions: By that round's network, of rows without a label.
        owners: Sample of each image row of the table.
        tied: Mask of the image rows that share a sample, group or duplicate with the fold
            (`holotype.split.tied_images`); they may not join.

    Returns:
        The job, and the labels of its `pseudo_rows`, shape (p, classes).

    Raises:
        HolotypeError: The network is of another fold or model, or a row is tied to the fold or labeled already.
    """
    spec = job.model.pseudo_labels
    if spec is None:
        raise HolotypeError(f"{job.label}: the recipe has no `pseudo_labels`")
    if predictions.fold != job.fold or predictions.model != job.model.name:
        raise HolotypeError(
            f"{job.label}: the network of {predictions.model}, fold {predictions.fold}, was trained on rows that this "
            "one is scored on, and may not label rows for it",
            remedy="use predictions of the same model and fold",
        )
    training_rows = np.union1d(job.train_rows, job.validation_rows)
    wrong = predictions.rows[tied[predictions.rows] | np.isin(predictions.rows, training_rows)]
    if len(wrong):
        raise HolotypeError(
            f"{job.label}: {len(wrong):,} rows with pseudo-labels are tied to the scored fold, or labeled already: "
            f"{join_names(wrong.tolist(), 5)}",
            remedy="leave out rows that share a sample, a group or a duplicate with the fold",
        )
    is_confident, labels = confident_labels(predictions.logits, owners[predictions.rows], kind, spec.confidence)
    rows = predictions.rows[is_confident].astype(np.int64)
    return replace(job, pseudo_rows=rows, pseudo_round=job.pseudo_round + 1), take_rows(labels, is_confident)
