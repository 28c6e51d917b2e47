"""Class pairs: classes that are confused with each other, and labels that co-occur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.types import AnyLabels, Integers, LabelMatrix

MIN_CONFUSED, MIN_COOCCURRING = 2, 3
SMOOTHING_SAMPLES = 5  # added to a class, so that one wrong sample of two is not the strongest pair
DEVIATIONS = 2.0


@dataclass(frozen=True)
class ClassPair:
    """Pair of related classes.

    Args:
        second: Number of the other, larger than `first`.
        forward: Samples of the first that were taken for the second; for co-occurrence, samples with both.
        backward: Samples of the second that were taken for the first; for co-occurrence, samples with both.
        expected: Samples expected to have both by chance; None for a confusion.
    """

    first: int
    second: int
    strength: float
    forward: int
    backward: int
    expected: float | None = None


def confused_pairs(counts: Integers, supports: Integers, max_pairs: int = 400) -> list[ClassPair]:
    """Find pairs of classes that are confused, the strongest first; a single sample does not count.

    Args:
        counts: Confusion matrix (truth, decided), shape (classes, classes), or (0, 0) if there is none.
        supports: Samples of each class, shape (classes,).

    Returns:
        Pairs whose strength is the larger of the two shares of samples that were taken for the other class, with five
        samples added to each class as smoothing.
    """
    if not counts.size:
        return []
    shares = counts / (supports + SMOOTHING_SAMPLES)[:, None]
    first, second = np.nonzero(np.triu(counts + counts.T, 1) >= MIN_CONFUSED)
    strength = np.maximum(shares[first, second], shares[second, first])
    return [
        ClassPair(int(a), int(b), float(strength[i]), int(counts[a, b]), int(counts[b, a]))
        for i in _strongest(first, second, strength, max_pairs)
        for a, b in [(first[i], second[i])]
    ]


def cooccurring_pairs(truth: AnyLabels, max_pairs: int = 400) -> list[ClassPair]:
    """Find pairs of labels that co-occur more often than expected by chance, the strongest first.

    Returns pairs that at least three samples have, and two standard deviations more samples than under independence;
    their strength is the correlation of the labels (phi).
    """
    labels = LabelMatrix.from_dense(truth)
    samples = max(len(labels), 1)
    ones = np.ones(len(labels.numbers))
    table = sparse.csr_array((ones, (labels.row_indices, labels.numbers)), shape=labels.shape)
    cooccurrence = sparse.triu(table.T @ table, 1).tocoo()
    share = labels.counts() / samples
    first, second, both = cooccurrence.row, cooccurrence.col, cooccurrence.data
    expected = samples * share[first] * share[second]
    significant = (both >= MIN_COOCCURRING) & (both > expected + DEVIATIONS * np.sqrt(expected))
    first, second, both, expected = first[significant], second[significant], both[significant], expected[significant]
    spread = np.sqrt(share[first] * (1 - share[first]) * share[second] * (1 - share[second]))
    phi = (both - expected) / samples / np.maximum(spread, 1e-12)
    return [
        ClassPair(
            int(first[i]), int(second[i]), min(float(phi[i]), 1.0), int(both[i]), int(both[i]), float(expected[i])
        )
        for i in _strongest(first, second, phi, max_pairs)
    ]


def _strongest(first: Integers, second: Integers, strength: NDArray[np.float64], max_pairs: int) -> Integers:
    return np.lexsort((second, first, -strength))[:max_pairs]
