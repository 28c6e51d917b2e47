"""Group checks: whether the group of a sample tells its label, and whether its image statistics tell the group.

If both hold, a classifier can recognize the plate and answer with its usual label. Folds that keep groups apart do not
reward this; random folds do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.independence import group_numbers
from holotype.core.seeds import keyed_generator
from holotype.evaluation.tables import to_json_value
from holotype.types import AnyLabels, Integers, LabelMatrix

PERMUTATIONS = 199
MAX_NEIGHBOR_ROWS = 20_000
STRONG = 0.2
SIGNIFICANCE_LEVEL = 0.05

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """Association with its permutation null.

    Args:
        value: Observed, from 0 to 1.
        expected: Mean over random permutations.
        adjusted: (value - expected) / (1 - expected): 0 by chance, 1 if perfect.
        p_value: Share of permutations with at least this value.
    """

    value: float
    expected: float
    adjusted: float
    p_value: float

    @property
    def is_strong(self) -> bool:
        """True if the association is not by chance, and large enough to matter."""
        return self.p_value < SIGNIFICANCE_LEVEL and self.adjusted >= STRONG


@dataclass(frozen=True)
class GroupCheck:
    """Group column: how well it tells the label, and how well image statistics tell it.

    Args:
        label_from_group: Normalized mutual information of labels and groups.
        group_from_features: Accuracy of the group of the nearest other sample; None without image statistics.
    """

    column: str
    groups: int
    label_from_group: Association
    group_from_features: Association | None

    def to_json(self) -> dict[str, Any]:
        """Fields for `scores.json`."""
        content: dict[str, Any] = to_json_value(asdict(self))
        return content

    def sentences(self) -> list[str]:
        """Warnings for the report; empty if neither association is strong."""
        label, group = self.label_from_group, self.group_from_features
        warnings = []
        if label.is_strong:
            warnings.append(
                f"The {self.column} tells the label: their adjusted mutual information is {label.adjusted:.2f} (0 "
                "by chance, 1 if each tells the other)."
            )
        if group is not None and group.is_strong:
            shares = f"{100 * group.value:.0f} % of the samples ({100 * group.expected:.0f} % by chance)"
            warnings.append(
                f"Image statistics tell the {self.column}: the nearest other sample by brightness, contrast and size "
                f"is of the same {self.column} for {shares}."
            )
        if len(warnings) == 2:
            warnings.append(
                f"So a network can recognize the {self.column} and answer with its usual label; only folds that keep "
                f"each {self.column} whole show the score on a new one."
            )
        return warnings


def check_group(
    column: pl.Series, truth: AnyLabels, features: Doubles | None, seed: int, name: str | None = None
) -> GroupCheck | None:
    """Check one group column; None if it has fewer than two values, or each sample has its own.

    Args:
        column: Group of each sample, shape (n,); samples without a group are left out.
        truth: Labels, shape (n, classes).
        features: Image statistics, shape (n, features); None without images.
    """
    rows = np.flatnonzero(column.is_not_null().to_numpy())
    groups = np.unique(group_numbers(column)[rows], return_inverse=True)[1]
    count = int(groups.max()) + 1 if len(rows) else 0
    if count < 2 or count == len(rows):
        return None
    nearest = None if features is None or not features.size else nearest_group_accuracy(groups, features[rows], seed)
    labels = label_set_numbers(LabelMatrix.from_dense(truth).rows(rows))
    return GroupCheck(name or column.name, count, label_group_association(labels, groups, seed), nearest)


def label_group_association(labels: Integers, groups: Integers, seed: int) -> Association:
    """Normalized mutual information of two partitions, with the null of permuted labels.

    The adjusted value is that of Vinh, Epps & Bailey (2010, JMLR 11), with the expectation by permutation.
    """
    generator = keyed_generator(seed, "group check", "labels")
    value = _normalized_information(labels, groups)
    null = [_normalized_information(generator.permutation(labels), groups) for _ in range(PERMUTATIONS)]
    return _association(value, null)


def nearest_group_accuracy(groups: Integers, features: Doubles, seed: int) -> Association:
    """Share of samples whose nearest other sample is of the same group, with the null of permuted groups.

    Of more than 20,000 samples, as many random ones are used.
    """
    from sklearn.neighbors import NearestNeighbors  # slow to import

    generator = keyed_generator(seed, "group check", "features")
    rows = np.arange(len(groups))
    if len(rows) > MAX_NEIGHBOR_ROWS:
        rows = np.sort(generator.choice(rows, MAX_NEIGHBOR_ROWS, replace=False))
    table = np.where(np.isfinite(features[rows]), features[rows], np.nan)
    table = np.where(np.isnan(table), np.nanmedian(np.where(np.isnan(table).all(axis=0), 0, table), axis=0), table)
    deviation = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    nearest = NearestNeighbors(n_neighbors=1).fit(table).kneighbors(return_distance=False)[:, 0]
    group = groups[rows]
    null = []
    for _ in range(PERMUTATIONS):
        permuted = generator.permutation(group)
        null.append(float((permuted == permuted[nearest]).mean()))
    return _association(float((group == group[nearest]).mean()), null)


def label_set_numbers(labels: LabelMatrix) -> Integers:
    """Number of each row's set of labels, shape (n,)."""
    sets: dict[tuple[int, ...], int] = {}
    return np.array([sets.setdefault(tuple(row), len(sets)) for row in labels.lists()], np.int64)


def _association(value: float, null: Sequence[float]) -> Association:
    expected = float(np.mean(null))
    at_least = int((np.asarray(null) >= value - 1e-12).sum())
    adjusted = (value - expected) / (1 - expected) if expected < 1 else 0.0
    return Association(value, expected, adjusted, (1 + at_least) / (1 + len(null)))


def _normalized_information(first: Integers, second: Integers) -> float:
    """Mutual information over the mean of the two entropies; 0 if one of them is 0."""
    pairs = _entropy(first * (int(second.max()) + 1) + second)
    entropies = _entropy(first), _entropy(second)
    if min(entropies) <= 0:
        return 0.0
    return float(np.clip(2 * (entropies[0] + entropies[1] - pairs) / (entropies[0] + entropies[1]), 0, 1))


def _entropy(numbers: Integers) -> float:
    share = np.unique(numbers, return_counts=True)[1] / len(numbers)
    return float(-(share * np.log(share)).sum())
