"""Scores by rank: what is right of genus and family, and how much of a taxon's ancestry is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.types import AnyLabels, LabelMatrix

__all__ = ["accuracy_by_coverage", "hierarchical_f1", "hierarchical_scores", "level_scores", "level_truth"]

Booleans = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.integer]


def level_truth(truth: AnyLabels, parents: Numbers) -> AnyLabels:
    """Which taxa each sample has: those above its classes. It serves decisions as well as labels.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        parents: The number of each class's taxon, shape (classes,).

    Returns:
        Shape (n, taxa).
    """
    held, taxa = LabelMatrix.of(truth), int(parents.max()) + 1
    known = LabelMatrix.of_pairs(held.owners, np.asarray(parents[held.numbers], np.int64), (len(held), taxa))
    return known if isinstance(truth, LabelMatrix) else known[:]


def level_scores(probability: Doubles, parents: Numbers) -> Doubles:
    """The probability of each taxon: the sum of its classes'.

    Args:
        probability: Shape (n, classes).
        parents: The number of each class's taxon, shape (classes,).

    Returns:
        Shape (n, taxa).
    """
    places = (np.ones(len(parents)), (parents, np.arange(len(parents))))
    return np.ascontiguousarray((sparse.csr_array(places) @ probability.T).T)


def hierarchical_scores(truth: Sequence[AnyLabels], given: Sequence[AnyLabels]) -> tuple[float, float, float]:
    """Precision, recall and F1 of the sets of all ancestors, summed over samples.

    Kiritchenko et al. 2006, "Learning and evaluation in the presence of class hierarchies", section 4: a set holds the
    class and every taxon above it, but not the root. An answer at the genus gives fewer ancestors, of which more are
    right.

    Args:
        truth: Which classes, and which taxa of each rank, every sample has, shape (n, taxa) each.
        given: Which ones it was given, of the same shapes.

    Returns:
        Precision (NaN where nothing was given), recall (NaN where nothing is true), F1 (NaN where neither is).
    """
    sides = [[LabelMatrix.of(one) for one in side] for side in (truth, given)]
    right = sum(len(np.intersect1d(one.places, other.places)) for one, other in zip(*sides, strict=True))
    known, said = (sum(len(one.numbers) for one in side) for side in sides)
    ratios = ((right, said), (right, known), (2 * right, said + known))
    precision, recall, f1 = (part / whole if whole else float("nan") for part, whole in ratios)
    return precision, recall, f1


def hierarchical_f1(truth: Booleans, decided: Booleans, parents: Sequence[Numbers]) -> float:
    """F1 of the sets of all ancestors of decided classes.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        parents: Of each rank, the number of each class's taxon, shape (classes,) each.
    """
    sides = ([side, *(level_truth(side, rank) for rank in parents)] for side in (truth, decided))
    return hierarchical_scores(*sides)[2]


def accuracy_by_coverage(sureness: Doubles, right: Booleans) -> Doubles:
    """How often the surest samples are right, for every share of them (El-Yaniv & Wiener 2010, selective prediction).

    Args:
        sureness: Of each sample's answer, shape (n,).
        right: Whether it is right, shape (n,).

    Returns:
        One row for each number of samples at which the sureness falls, the fewest first: coverage, accuracy of the
        samples so far, sureness of the last. Samples that are equally sure are answered together. Shape (steps, 3).
    """
    order = np.argsort(-sureness, kind="stable")
    falling = sureness[order]
    ends = np.flatnonzero(np.append(falling[1:] < falling[:-1], True)) if len(falling) else np.empty(0, np.int64)
    answered = ends + 1
    hits = np.cumsum(right[order])[ends] if len(ends) else np.empty(0)
    return np.column_stack([answered / max(len(right), 1), hits / answered, falling[ends]])
