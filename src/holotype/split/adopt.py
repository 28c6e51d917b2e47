"""Folds that were drawn elsewhere, with the scores that were made on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.spec import SplitSpec
from holotype.split.components import crossing_components
from holotype.types import Folds, ImageTable, Integers

__all__ = ["adopt_folds"]


def adopt_folds(images: ImageTable, folds: Folds, scored: Integers, names: NDArray[np.str_], spec: SplitSpec) -> Folds:
    """The folds that scores name, instead of ours, if no group and no duplicates cross them.

    Scores are out of fold only by the folds of the networks that made them; whatever is chosen on them should be
    fitted without the same folds.

    Args:
        images: The table.
        folds: Ours, which know what is tied to what.
        scored: The samples that take part, shape (n,).
        names: The fold of each, as the scores name it, shape (n,).
        spec: The recipe's `split` section; its `use` chooses among the named folds, in the order of their names.

    Returns:
        Theirs, numbered in the order of their names; ours with a warning where something crosses theirs.
    """
    found, fold = np.unique(names, return_inverse=True)
    fold = fold.astype(np.int64)
    torn = len(crossing_components(fold, folds.component[scored]))
    if len(found) < 2 or torn:
        why = f"{torn:,} groups or sets of duplicates cross them" if torn else "they are all one fold"
        return replace(folds, warnings=(*folds.warnings, f"the folds that the scores name are not used: {why}"))
    own = np.full(len(folds.fold_of_sample), -1, np.int64)
    own[scored] = fold
    given = pl.Series("given", own[images.sample_numbers])
    frame = folds.frame.with_columns(pl.when(pl.col("fold").is_not_null()).then(given).alias("fold"))
    return replace(folds, frame=frame, fold_of_sample=own, count=len(found), used=spec.used(len(found)))
