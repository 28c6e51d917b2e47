"""Pseudo-labels: rows that join training with the labels an earlier network of the same fold is sure of.

Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from holotype.errors import HolotypeError, listing
from holotype.train.job import FitJob
from holotype.types import (
    AnyLabels,
    AnyScores,
    Integers,
    Kind,
    LabelMatrix,
    Predictions,
    TopScores,
    blend_rows,
    some_rows,
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
    _, place = np.unique(owners, return_inverse=True)
    if isinstance(logits, TopScores):
        weights = 1 / np.bincount(place)[place]
        pooled = blend_rows(logits, place, int(place.max(initial=-1)) + 1, weights)[place]
        likeliest = pooled.top[:, 0].astype(np.int64)
        sure = pooled.log_probability(likeliest) >= np.log(confidence)
        return sure, LabelMatrix.of_pairs(np.arange(len(sure)), likeliest, pooled.shape)
    sums = np.zeros((place.max(initial=-1) + 1, logits.shape[1]))
    np.add.at(sums, place, np.asarray(logits, np.float64))
    mean = (sums / np.bincount(place)[:, None])[place] if len(place) else sums
    if kind == "multiclass":
        said = softmax(mean, axis=1)
        labels = said >= confidence
        return labels.any(axis=1), labels
    said = expit(mean)
    labels = said >= confidence
    return (labels | (said <= 1 - confidence)).all(axis=1) & labels.any(axis=1), labels


def join_pseudo_labels(
    job: FitJob, said: Predictions, owners: Integers, kind: Kind, tied: NDArray[np.bool_]
) -> tuple[FitJob, AnyLabels]:
    """The job of the next round: the rows that an earlier network of the same fold is sure of join it.

    Args:
        job: Of the round before.
        said: What that round's network says of rows without a label.
        owners: The sample of each image row of the table.
        kind: One label a sample, or many.
        tied: Which image rows of the table are tied to the fold's own (`holotype.split.tied_images`); none of them
            may join.

    Returns:
        The job, and the labels of its `pseudo_rows`, shape (p, classes).

    Raises:
        HolotypeError: The network is of another fold, which has seen this job's; or a row is tied to the fold.
    """
    spec = job.member.pseudo
    if spec is None:
        raise HolotypeError(f"{job.label}: the recipe asks for no pseudo-labels")
    if said.fold != job.fold or said.member != job.member.name:
        raise HolotypeError(
            f"{job.label}: the network of {said.member}, fold {said.fold}, has seen what this one would be scored on, "
            "and may not label rows for it",
            remedy="take those of its own fold",
        )
    known = np.union1d(job.train_rows, job.validation_rows)
    wrong = said.rows[tied[said.rows] | np.isin(said.rows, known)]
    if len(wrong):
        raise HolotypeError(
            f"{job.label}: {len(wrong):,} rows with pseudo-labels are tied to the fold that is scored, or labelled "
            f"already: {listing(wrong.tolist(), 5)}",
            remedy="leave out what shares a sample, a group or a duplicate with the fold",
        )
    sure, labels = confident_labels(said.logits, owners[said.rows], kind, spec.confidence)
    rows = said.rows[sure].astype(np.int64)
    return replace(job, pseudo_rows=rows, round=job.round + 1), some_rows(labels, sure)
