"""Training rows of a classifier, and the inner folds on which its strength is selected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from holotype.classifiers.targets import Targets
from holotype.core.seeds import derive_seed
from holotype.evaluation.cross_fitting import grouped_folds
from holotype.types import Floats, Integers

__all__ = ["DEFAULT_STRENGTH", "INNER_FOLDS", "STRENGTHS", "TrainingRows"]

INNER_FOLDS = 3
STRENGTHS = tuple(float(value) for value in np.geomspace(1e-5, 10.0, 7))
"""Candidates of `c`. All are tried: on features with many directions of small variance the inner log loss may rise and
fall again along the path."""
DEFAULT_STRENGTH = 0.01
"""Strength where nothing can be selected: of a single row."""


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Features, labels and groups of the rows of a fit.

    Args:
        features: Shape (n, width).
        groups: Independent group of each row, shape (n,); no group is divided by an inner fold.
    """

    features: Floats
    targets: Targets
    groups: Integers
    seed: int
    threads: int

    def inner_folds(self, count: int = INNER_FOLDS) -> Iterator[tuple[Integers, Integers]]:
        """Row numbers to fit and to score, for each of at most `count` inner folds.

        With a single independent group, rows are divided instead of groups; `inner_unit` says so. A single row gives no
        inner fold.
        """
        units = self.groups if self.inner_unit == "groups" else np.arange(len(self.targets))
        fold = grouped_folds(units, count, derive_seed(self.seed, "classifier", "inner folds"))
        for number in range(int(fold.max()) + 1 if len(fold) > 1 else 0):
            yield np.flatnonzero(fold != number).astype(np.int64), np.flatnonzero(fold == number).astype(np.int64)

    @property
    def inner_unit(self) -> str:
        """Unit of the inner folds: `groups`, or `rows` if there is a single group."""
        return "groups" if len(np.unique(self.groups)) > 1 else "rows"
