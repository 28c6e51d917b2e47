"""Which classes have to do with each other: those that are taken for one another, and those that come together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.types import AnyLabels, Integers, LabelMatrix

__all__ = ["ClassLink", "company_links", "confusion_links"]

FEWEST_CONFUSED, FEWEST_TOGETHER = 2, 3
SHRUNK_BY = 5  # samples added to a class, so that one of two wrong is not the strongest link of all
DEVIATIONS = 2.0


@dataclass(frozen=True)
class ClassLink:
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


def confusion_links(counts: Integers, supports: Integers, at_most: int = 400) -> list[ClassLink]:
    """Pairs of classes that are taken for each other, the strongest first; single samples are passed over.

    Args:
        counts: Samples by (truth, decided), shape (classes, classes), or (0, 0) where nobody counted.
        supports: Samples of each class, shape (classes,).
        at_most: How many pairs to return.

    Returns:
        The strength of a pair is the larger of the two shares, of either class's samples, that went to the other;
        each class counts as five samples larger than it is.
    """
    if not counts.size:
        return []
    shares = counts / (supports + SHRUNK_BY)[:, None]
    first, second = np.nonzero(np.triu(counts + counts.T, 1) >= FEWEST_CONFUSED)
    strength = np.maximum(shares[first, second], shares[second, first])
    return [
        ClassLink(int(a), int(b), float(s), int(counts[a, b]), int(counts[b, a]))
        for a, b, s in _strongest(first, second, strength, at_most)
    ]


def company_links(truth: AnyLabels, at_most: int = 400) -> list[ClassLink]:
    """Pairs of labels that come together more often than chance would have it, the strongest first.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        at_most: How many pairs to return.

    Returns:
        The strength of a pair is the correlation of its two labels (phi). A pair counts where three samples have both,
        and two standard deviations more than labels that know nothing of each other would share.
    """
    labels = LabelMatrix.of(truth)
    samples = max(len(labels), 1)
    ones = np.ones(len(labels.numbers))
    table = sparse.csr_array((ones, (labels.owners, labels.numbers)), shape=labels.shape)
    together = sparse.triu(table.T @ table, 1).tocoo()
    share = labels.counts() / samples
    first, second, both = together.row, together.col, together.data
    expected = samples * share[first] * share[second]
    kept = (both >= FEWEST_TOGETHER) & (both > expected + DEVIATIONS * np.sqrt(expected))
    first, second, both, expected = first[kept], second[kept], both[kept], expected[kept]
    spread = np.sqrt(share[first] * (1 - share[first]) * share[second] * (1 - share[second]))
    phi = (both - expected) / samples / np.maximum(spread, 1e-12)
    known = {(int(a), int(b)): (int(n), float(e)) for a, b, n, e in zip(first, second, both, expected, strict=True)}
    return [
        ClassLink(int(a), int(b), min(float(s), 1.0), known[int(a), int(b)][0], *known[int(a), int(b)])
        for a, b, s in _strongest(first, second, phi, at_most)
    ]


def _strongest(
    first: Integers, second: Integers, strength: NDArray[np.float64], at_most: int
) -> list[tuple[int, int, float]]:
    order = np.lexsort((second, first, -strength))[:at_most]
    return list(zip(first[order], second[order], strength[order], strict=True))
