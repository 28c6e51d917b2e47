"""Draws of groups with replacement: what a bootstrap counts over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.errors import DataError
from holotype.seeds import keyed_generator
from holotype.types import AnyLabels, Integers, LabelMatrix

__all__ = ["Draws", "draw_groups"]

ATTEMPTS = 10
RARE = 25  # a class in more groups than this is lost by one draw in exp(25)
CELLS_AT_MOST = 25_000_000
DRAWS_AT_LEAST = 200

Weights = NDArray[np.int32]


@dataclass(frozen=True)
class Draws:
    """Two independent sets of draws from the same groups.

    Args:
        groups: The group of each sample, shape (n,), from 0 without gaps.
        same: How often each draw holds each group, shape (draws, groups); each is as large as what was scored.
        fresh: The same for draws of the size of a fresh test set.
        rows: Samples of the fresh test set.
        incomplete: Draws of `same` that still lack a class that was scored, after being drawn again.
        unit: What was drawn: `groups`, or `samples` where each is a group of its own.
    """

    groups: Integers
    same: Weights
    fresh: Weights
    rows: int
    incomplete: int
    unit: str

    @property
    def count(self) -> int:
        """How many groups there are."""
        return self.same.shape[1]


def draw_groups(
    truth: AnyLabels, groups: Integers | None, seed: int, rows: int | None = None, draws: int = 2000
) -> Draws:
    """Draw groups with replacement; a draw that loses a class is drawn again, a few times.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        groups: The group of each sample, shape (n,), any integers; None where samples are independent.
        seed: The recipe's seed.
        rows: Samples of the fresh test set; as many as were scored where it is None.
        draws: How many; fewer, but not under 200, where groups or classes are very many.

    Raises:
        DataError: There are no samples.
    """
    samples, classes = truth.shape
    if not samples:
        raise DataError("there are no samples to draw from")
    codes = np.arange(samples) if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)
    count = int(codes.max()) + 1
    unit = "samples" if count == samples else "groups"
    draws = max(min(draws, DRAWS_AT_LEAST), min(draws, CELLS_AT_MOST // max(count, 4 * classes)))
    same, incomplete = _complete_draws(_rare_classes(truth, codes, count), count, draws, seed)
    rows = samples if rows is None or rows < 1 else rows
    size = max(1, round(rows * count / samples))
    fresh = _draw(keyed_generator(seed, "bootstrap", "fresh"), count, size, draws)
    return Draws(codes, same, fresh, rows, incomplete, unit)


def _rare_classes(truth: AnyLabels, codes: Integers, count: int) -> sparse.csr_array:
    """Which groups hold each class that a draw may lose, shape (rare classes, groups)."""
    labels = LabelMatrix.of(truth)
    pairs = np.unique(codes[labels.owners] * labels.classes + labels.numbers)
    group, number = pairs // labels.classes, pairs % labels.classes
    groups_of_class = np.bincount(number, minlength=labels.classes)
    rare = np.flatnonzero((groups_of_class > 0) & (groups_of_class <= RARE))
    place = np.full(labels.classes, -1)
    place[rare] = np.arange(len(rare))
    kept = place[number] >= 0
    entries = (np.ones(int(kept.sum()), np.int32), (place[number[kept]], group[kept]))
    return sparse.coo_array(entries, shape=(len(rare), count)).tocsr()


def _complete_draws(held: sparse.csr_array, count: int, draws: int, seed: int) -> tuple[Weights, int]:
    generator = keyed_generator(seed, "bootstrap", "same")
    weights = _draw(generator, count, count, draws)
    for attempt in range(ATTEMPTS + 1):
        lost = np.flatnonzero(((held @ weights.T) == 0).any(axis=0))
        if not len(lost) or attempt == ATTEMPTS:
            break
        weights[lost] = _draw(generator, count, count, len(lost))
    return weights, len(lost)


def _draw(generator: np.random.Generator, count: int, size: int, draws: int) -> Weights:
    if size > 10 * count:  # cheaper than so many single picks, and the same distribution
        return generator.multinomial(size, np.full(count, 1 / count), size=draws).astype(np.int32)
    picks = (np.bincount(generator.integers(count, size=size), minlength=count) for _ in range(draws))
    return np.stack([pick.astype(np.int32) for pick in picks])
