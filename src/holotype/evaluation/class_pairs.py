"""Which classes have to do with each other: those that are taken for one another, and those that come together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.types import AnyLabels, Integers, LabelMatrix

__all__ = ["ClassPair", "confused_pairs", "cooccurring_pairs"]

MIN_CONFUSED, MIN_COOCCURRING = 2, 3
SMOOTHING_SAMPLES = 5  # samples added to a class, so that one of two wrong is not the strongest link of all
DEVIATIONS = 2.0


@dataclass(frozen=True)
class ClassPair:
    """Two classes and what lies between them.

    Args:
        first: Number of one class.
        second: Number of the other, larger than `first`.
        strength: From 0 to 1.
        forward: Samples of the first that were taken for the second; of labels that come together, those with both.
        backward: Samples of the second that were taken for the first; of labels that come together, those with both.
        expected: How many samples would have both by chance; none for a confusion.
    """

    first: int
    second: int
    strength: float
    forward: int
    backward: int
    expected: float | None = None


def confused_pairs(counts: Integers, supports: Integers, max_pairs: int = 400) -> list[ClassPair]:
    """Pairs of classes that are taken for each other, the strongest first; single samples are passed over.

    Args:
        counts: Samples by (truth, decided), shape (classes, classes), or (0, 0) where nobody counted.
        supports: Samples of each class, shape (classes,).
        max_pairs: How many pairs to return.

    Returns:
        The strength of a pair is the larger of the two shares, of either class's samples, that went to the other;
        each class counts as five samples larger than it is.
    """
    if not counts.size:
        return []
    shares = counts / (supports + SMOOTHING_SAMPLES)[:, None]
    first, second = np.nonzero(np.triu(counts + counts.T, 1) >= MIN_CONFUSED)
    strength = np.maximum(shares[first, second], shares[second, first])
    return [
        ClassPair(int(a), int(b), float(s), int(counts[a, b]), int(counts[b, a]))
        for a, b, s in _strongest(first, second, strength, max_pairs)
    ]


def cooccurring_pairs(truth: AnyLabels, max_pairs: int = 400) -> list[ClassPair]:
    """Pairs of labels that come together more often than chance would have it, the strongest first.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        max_pairs: How many pairs to return.

    Returns:
        The strength of a pair is the correlation of its two labels (phi). A pair counts where three samples have both,
        and two standard deviations more than labels that know nothing of each other would share.
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
    pair_counts = {
        (int(a), int(b)): (int(n), float(e)) for a, b, n, e in zip(first, second, both, expected, strict=True)
    }
    return [
        ClassPair(int(a), int(b), min(float(s), 1.0), pair_counts[int(a), int(b)][0], *pair_counts[int(a), int(b)])
        for a, b, s in _strongest(first, second, phi, max_pairs)
    ]


def _strongest(
    first: Integers, second: Integers, strength: NDArray[np.float64], max_pairs: int
) -> list[tuple[int, int, float]]:
    order = np.lexsort((second, first, -strength))[:max_pairs]
    return list(zip(first[order], second[order], strength[order], strict=True))
