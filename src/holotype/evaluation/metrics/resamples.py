"""Bootstrap resamples of independent groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.types import AnyLabels, Integers, LabelMatrix

ATTEMPTS = 10
MAX_RARE_GROUPS = 25  # a class in more groups than this is missing from one draw in exp(25)
MAX_CELLS = 25_000_000
MIN_RESAMPLES = 200

Weights = NDArray[np.int32]


@dataclass(frozen=True)
class GroupResamples:
    """Bootstrap resamples of the same groups in two sizes.

    Args:
        groups: Group of each sample, shape (n,), from 0 without gaps.
        same_size: Count of each group in each draw of the scored set's size, shape (draws, groups).
        missing_class: Draws of `same_size` that still lack a scored class after redrawing.
        unit: `groups`, or `samples` if each sample is its own group.
    """

    groups: Integers
    same_size: Weights
    test_size: Weights
    rows: int
    missing_class: int
    unit: str

    @property
    def count(self) -> int:
        """Number of groups."""
        return self.same_size.shape[1]


def resample_groups(
    truth: AnyLabels, groups: Integers | None, seed: int, rows: int | None = None, n_resamples: int = 2000
) -> GroupResamples:
    """Draw groups with replacement; a draw that lacks a class is redrawn up to ten times.

    Args:
        groups: Group of each sample, shape (n,), any integers; None if samples are independent.
        rows: Samples of the test set; by default the number of scored samples.
        n_resamples: Reduced, to no less than 200, for very many groups or classes.

    Raises:
        DataError: There are no samples.
    """
    samples, classes = truth.shape
    if not samples:
        raise DataError("there are no samples to resample")
    codes = np.arange(samples) if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)
    count = int(codes.max()) + 1
    unit = "samples" if count == samples else "groups"
    n_resamples = max(min(n_resamples, MIN_RESAMPLES), min(n_resamples, MAX_CELLS // max(count, 4 * classes)))
    same_size, missing_class = _resample_with_all_classes(_rare_classes(truth, codes, count), count, n_resamples, seed)
    rows = samples if rows is None or rows < 1 else rows
    size = max(1, round(rows * count / samples))
    test_size = _draw_weights(keyed_generator(seed, "bootstrap", "fresh"), count, size, n_resamples)
    return GroupResamples(codes, same_size, test_size, rows, missing_class, unit)


def class_groups(truth: AnyLabels, groups: Integers) -> tuple[Integers, Integers]:
    """List the distinct pairs of class and group, as two arrays."""
    labels = LabelMatrix.from_dense(truth)
    pairs = np.unique(groups[labels.row_indices] * labels.classes + labels.numbers)
    return pairs % labels.classes, pairs // labels.classes


def _rare_classes(truth: AnyLabels, codes: Integers, count: int) -> sparse.csr_array:
    """Groups of each class that a draw may lack, shape (rare classes, groups)."""
    number, group = class_groups(truth, codes)
    groups_of_class = np.bincount(number, minlength=truth.shape[1])
    rare = np.flatnonzero((groups_of_class > 0) & (groups_of_class <= MAX_RARE_GROUPS))
    rare_index = np.full(truth.shape[1], -1)
    rare_index[rare] = np.arange(len(rare))
    is_rare = rare_index[number] >= 0
    entries = (np.ones(int(is_rare.sum()), np.int32), (rare_index[number[is_rare]], group[is_rare]))
    return sparse.coo_array(entries, shape=(len(rare), count)).tocsr()


def _resample_with_all_classes(
    class_groups: sparse.csr_array, count: int, n_resamples: int, seed: int
) -> tuple[Weights, int]:
    generator = keyed_generator(seed, "bootstrap", "same")
    weights = _draw_weights(generator, count, count, n_resamples)
    for attempt in range(ATTEMPTS + 1):
        incomplete = np.flatnonzero(((class_groups @ weights.T) == 0).any(axis=0))
        if not len(incomplete) or attempt == ATTEMPTS:
            break
        weights[incomplete] = _draw_weights(generator, count, count, len(incomplete))
    return weights, len(incomplete)


def _draw_weights(generator: np.random.Generator, count: int, size: int, n_resamples: int) -> Weights:
    if size > 10 * count:  # faster, and the same distribution
        return generator.multinomial(size, np.full(count, 1 / count), size=n_resamples).astype(np.int32)
    picks = (np.bincount(generator.integers(count, size=size), minlength=count) for _ in range(n_resamples))
    return np.stack([pick.astype(np.int32) for pick in picks])
