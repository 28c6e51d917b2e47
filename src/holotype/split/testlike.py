"""A fold that is the holdout most like the test set, the other folds drawn from what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.errors import DataError
from holotype.spec import SplitSpec
from holotype.split.adversarial import adversarial_auc, describe_likeness, discriminate
from holotype.split.holdout import choose_like_test, matching_features
from holotype.split.stratify import stratified_folds
from holotype.types import LIKENESS, Floats, ImageTable, Integers

__all__ = ["Features", "TestLikeFolds", "test_like_folds"]

JUDGED = 20_000  # samples that the last look at the holdout is taken on

Features = tuple[Sequence[str], Floats]


@dataclass(frozen=True)
class TestLikeFolds:
    """Folds of which the first resembles the test set.

    Args:
        fold: Of each scored sample, shape (n,).
        likeness: One row a scored sample, with the columns of `holotype.types.LIKENESS`.
        separating: What tells train from test, with the columns of `holotype.types.SEPARATING`.
        warnings: Sentences for people.
    """

    fold: Integers
    likeness: pl.DataFrame
    separating: pl.DataFrame
    warnings: tuple[str, ...]


def test_like_folds(
    images: ImageTable, features: Features | None, scored: Integers, units: Integers, columns: Any, spec: SplitSpec,
    seed: int,
) -> TestLikeFolds:  # fmt: skip
    """Choose the holdout, and divide the other samples as usual.

    Args:
        images: The table.
        features: Names, and values of shape (image rows, columns); a sample has the mean of its images.
        scored: The training samples, shape (n,).
        units: What stays whole, shape (n,).
        columns: What is kept in proportion, shape (n, columns), sparse.
        spec: The recipe's `split` section.
        seed: The recipe's seed.

    Raises:
        DataError: There are no test rows to resemble, or no features to see it by.
    """
    test = images.samples.of_role("test")
    if spec.folds == "leave-group-out" or not len(test) or features is None:
        what = (
            "a group a fold leaves no fold to choose" if spec.folds == "leave-group-out" else "there are no test rows"
        )
        raise DataError(f"like_test: {what}", field="split.like_test", remedy="leave the key out")
    names, values = features[0], _by_sample(features[1], images)
    both = np.concatenate([scored, test])
    is_test = np.arange(len(both)) >= len(scored)
    together = np.concatenate([units, units.max() + 1 + np.arange(len(test))])
    found = discriminate(values[both], is_test, together, seed, names)
    matching = matching_features(_leading(values[both], names, found.separating), found.probability, is_test, seed)
    rows = len(scored) // spec.folds if spec.like_test is True else int(spec.like_test)
    if not 0 < rows < len(scored):
        raise DataError(f"like_test: {rows:,} of {len(scored):,} samples", field="split.like_test",
                        remedy="write fewer samples than there are, or true")  # fmt: skip
    chosen = choose_like_test(matching[~is_test], matching[is_test].mean(axis=0), columns, units, rows, seed)
    fold = np.zeros(len(scored), np.int64)
    rest = np.flatnonzero(~chosen)
    fold[rest] = 1
    if spec.folds > 2:
        fold[rest] = 1 + stratified_folds(columns[rest], units[rest], spec.folds - 1, seed)
    judged = np.concatenate([np.flatnonzero(chosen), np.flatnonzero(is_test)])[:JUDGED]
    after = adversarial_auc(values[both][judged], is_test[judged], together[judged], seed)
    facts = (images.samples.frame["sample"].gather(scored), found.probability[~is_test], chosen)
    likeness = pl.DataFrame(dict(zip(LIKENESS, facts, strict=True)), schema=LIKENESS)
    return TestLikeFolds(fold, likeness, found.separating, describe_likeness(found, after))


def _leading(values: Floats, names: Sequence[str], separating: pl.DataFrame, most: int = 24) -> Floats:
    """The columns that separate most; the likeness itself stands for the others."""
    place = {name: number for number, name in enumerate(names)}
    known = [place[name] for name in separating["feature"].to_list() if name in place]
    return values[:, known[:most]]


def _by_sample(values: Floats, images: ImageTable) -> Floats:
    """The mean over a sample's images that could be read."""
    count, numbers = len(images.samples), images.sample_numbers
    if count == len(images):
        return values[images.samples.first_rows]
    known: NDArray[np.bool_] = ~np.isnan(values)
    sums, rows = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, numbers, np.where(known, values, 0))
    np.add.at(rows, numbers, known)
    return np.where(rows > 0, sums / np.maximum(rows, 1), np.nan).astype(np.float32)
