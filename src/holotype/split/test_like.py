"""Test-like folds: the first fold is a holdout that resembles the test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.recipe.sections import SplitSpec
from holotype.split.adversarial import adversarial_auc, describe_test_likeness, discriminate
from holotype.split.holdout import choose_like_test, matching_features
from holotype.split.stratify import stratified_folds
from holotype.types import TRAIN_TEST_SIMILARITY, Floats, ImageTable, Integers

MAX_JUDGED = 20_000  # samples for the final check of the holdout

Features = tuple[Sequence[str], Floats]


@dataclass(frozen=True)
class TestLikeFolds:
    """Folds of which the first resembles the test set.

    Args:
        fold: Fold of each scored sample, shape (n,).
        train_test_similarity: One row a scored sample, with the columns of `holotype.types.TRAIN_TEST_SIMILARITY`.
        train_test_features: The features that separate train from test, with the columns of
            `holotype.types.TRAIN_TEST_FEATURES`.
    """

    fold: Integers
    train_test_similarity: pl.DataFrame
    train_test_features: pl.DataFrame
    warnings: tuple[str, ...]


def test_like_folds(
    images: ImageTable,
    features: Features | None,
    scored: Integers,
    units: Integers,
    columns: Any,
    spec: SplitSpec,
    seed: int,
) -> TestLikeFolds:
    """Choose the holdout, and divide the other samples as usual.

    `features`: column names, and values of shape (image rows, columns); a sample has the mean of its images; `scored`:
    training samples, shape (n,); `units`: group of each of them, shape (n,); `columns`: indicator matrix of what is
    kept in proportion, shape (n, columns), sparse.
    """
    test = images.samples.of_role("test")
    if spec.folds == "leave-group-out" or not len(test) or features is None:
        what = (
            "leave-group-out leaves no fold to choose" if spec.folds == "leave-group-out" else "there are no test rows"
        )
        raise DataError(f"like_test: {what}", field="split.like_test", remedy="remove the key")
    names, values = features[0], _average_by_sample(features[1], images)
    both = np.concatenate([scored, test])
    is_test = np.arange(len(both)) >= len(scored)
    groups = np.concatenate([units, units.max() + 1 + np.arange(len(test))])
    test_likeness = discriminate(values[both], is_test, groups, seed, names)
    matching = matching_features(
        _most_separating_columns(values[both], names, test_likeness.train_test_features),
        test_likeness.probability,
        is_test,
        seed,
    )
    rows = len(scored) // spec.folds if spec.like_test is True else int(spec.like_test)
    if not 0 < rows < len(scored):
        raise DataError(
            f"like_test: {rows:,} of {len(scored):,} samples",
            field="split.like_test",
            remedy="write fewer samples than there are, or true",
        )
    is_holdout = choose_like_test(matching[~is_test], matching[is_test].mean(axis=0), columns, units, rows, seed)
    fold = np.zeros(len(scored), np.int64)
    rest = np.flatnonzero(~is_holdout)
    fold[rest] = 1
    if spec.folds > 2:
        fold[rest] = 1 + stratified_folds(columns[rest], units[rest], spec.folds - 1, seed)
    judged = np.concatenate([np.flatnonzero(is_holdout), np.flatnonzero(is_test)])[:MAX_JUDGED]
    after = adversarial_auc(values[both][judged], is_test[judged], groups[judged], seed)
    facts = (images.samples.frame["sample"].gather(scored), test_likeness.probability[~is_test], is_holdout)
    similarity = pl.DataFrame(dict(zip(TRAIN_TEST_SIMILARITY, facts, strict=True)), schema=TRAIN_TEST_SIMILARITY)
    return TestLikeFolds(
        fold, similarity, test_likeness.train_test_features, describe_test_likeness(test_likeness, after)
    )


def _most_separating_columns(
    values: Floats, names: Sequence[str], train_test_features: pl.DataFrame, max_columns: int = 24
) -> Floats:
    index_of_name = {name: number for number, name in enumerate(names)}
    columns = [index_of_name[name] for name in train_test_features["feature"].to_list() if name in index_of_name]
    return values[:, columns[:max_columns]]


def _average_by_sample(values: Floats, images: ImageTable) -> Floats:
    count, numbers = len(images.samples), images.sample_numbers
    if count == len(images):
        return values[images.samples.first_rows]
    present: NDArray[np.bool_] = ~np.isnan(values)
    sums, rows = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(sums, numbers, np.where(present, values, 0))
    np.add.at(rows, numbers, present)
    return np.where(rows > 0, sums / np.maximum(rows, 1), np.nan).astype(np.float32)
