"""Taxonomic metrics: labels and scores by rank, hierarchical F1, accuracy by coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.types import AnyLabels, Booleans, Doubles, LabelMatrix

Numbers = NDArray[np.integer]


def rank_labels(truth: AnyLabels, parents: Numbers) -> AnyLabels:
    """Map class labels (or decisions) to the taxa of a rank, shape (n, taxa).

    `parents`: taxon of each class, shape (classes,).
    """
    labels, taxa = LabelMatrix.from_dense(truth), int(parents.max()) + 1
    taxon_labels = LabelMatrix.from_pairs(
        labels.row_indices, np.asarray(parents[labels.numbers], np.int64), (len(labels), taxa)
    )
    return taxon_labels if isinstance(truth, LabelMatrix) else taxon_labels[:]


def rank_scores(probability: Doubles, parents: Numbers) -> Doubles:
    """Sum class probabilities to the taxa of a rank, shape (n, taxa).

    `parents`: taxon of each class, shape (classes,).
    """
    entries = (np.ones(len(parents)), (parents, np.arange(len(parents))))
    return np.ascontiguousarray((sparse.csr_array(entries) @ probability.T).T)


def hierarchical_scores(truth: Sequence[AnyLabels], predicted: Sequence[AnyLabels]) -> tuple[float, float, float]:
    """Hierarchical precision, recall and F1: those of the sets of all ancestors, summed over samples.

    Kiritchenko et al. 2006, "Learning and evaluation in the presence of class hierarchies", section 4: a set holds the
    class and every taxon above it, but not the root. An answer at the genus gives fewer ancestors, of which more are
    right.

    `truth`: labels of the classes and of each rank, shape (n, taxa) each. Returns precision (NaN if nothing was
    predicted), recall (NaN if nothing is true), F1 (NaN if neither).
    """
    sides = [[LabelMatrix.from_dense(labels) for labels in side] for side in (truth, predicted)]
    right = sum(
        len(np.intersect1d(labels.flat_indices, other.flat_indices)) for labels, other in zip(*sides, strict=True)
    )
    true_count, predicted_count = (sum(len(labels.numbers) for labels in side) for side in sides)
    ratios = ((right, predicted_count), (right, true_count), (2 * right, predicted_count + true_count))
    precision, recall, f1 = (part / denominator if denominator else float("nan") for part, denominator in ratios)
    return precision, recall, f1


def hierarchical_f1(truth: Booleans, decided: Booleans, parents: Sequence[Numbers]) -> float:
    """Hierarchical F1 of decided classes, see `hierarchical_scores`.

    `parents`: for each rank, the taxon of each class, shape (classes,) each.
    """
    sides = ([side, *(rank_labels(side, rank) for rank in parents)] for side in (truth, decided))
    return hierarchical_scores(*sides)[2]


def accuracy_by_coverage(confidence: Doubles, right: Booleans) -> Doubles:
    """Accuracy of the most confident samples by coverage (El-Yaniv & Wiener 2010, selective prediction).

    Returns rows of coverage, accuracy so far and lowest confidence, one per distinct confidence, in descending order;
    shape (steps, 3).
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True)) if len(falling) else np.empty(0, np.int64)
    answered = ends + 1
    hits = np.cumsum(right[order])[ends] if len(ends) else np.empty(0)
    return np.column_stack([answered / max(len(right), 1), hits / answered, falling[ends]])
