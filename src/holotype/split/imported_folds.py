"""Imported folds: folds drawn elsewhere, named by imported scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.recipe.sections import SplitSpec
from holotype.split.components import crossing_components
from holotype.types import Folds, ImageTable, Integers


def use_imported_folds(
    images: ImageTable, folds: Folds, scored: Integers, names: NDArray[np.str_], spec: SplitSpec
) -> Folds:
    """Use the folds that imported scores name, unless a group or a cluster of duplicates crosses them.

    Imported scores are out-of-fold only for the folds of the networks that made them, so everything fitted on them has
    to use the same folds.

    Args:
        scored: Samples that take part, shape (n,).
        names: Imported fold name of each of them, shape (n,).
        spec: The recipe's `split` section; `folds_to_train` selects imported folds in the order of their names.

    Returns:
        The imported folds, numbered in the order of their names; ours with a warning if a component crosses theirs.
    """
    fold_names, fold = np.unique(names, return_inverse=True)
    fold = fold.astype(np.int64)
    crossing_count = len(crossing_components(fold, folds.component[scored]))
    if len(fold_names) < 2 or crossing_count:
        why = (
            f"{crossing_count:,} groups or clusters of duplicates cross them"
            if crossing_count
            else "they are all one fold"
        )
        return replace(folds, warnings=(*folds.warnings, f"the folds in the imported scores are not used: {why}"))
    fold_of_sample = np.full(len(folds.fold_of_sample), -1, np.int64)
    fold_of_sample[scored] = fold
    imported_fold = pl.Series("given", fold_of_sample[images.sample_numbers])
    frame = folds.frame.with_columns(pl.when(pl.col("fold").is_not_null()).then(imported_fold).alias("fold"))
    return replace(
        folds, frame=frame, fold_of_sample=fold_of_sample, count=len(fold_names), used=spec.folds_used(len(fold_names))
    )
