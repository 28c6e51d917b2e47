"""Inner validation rows: the part of the training folds used for model selection, such as early stopping."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.core.errors import DataError, pluralize
from holotype.core.seeds import derive_seed
from holotype.split.preferences import sample_keys
from holotype.split.stratify import label_matrix, stratified_folds
from holotype.types import Folds, ImageTable, Integers

INNER_SHARE = 10  # one in this many samples


def inner_samples(images: ImageTable, folds: Folds, fold: int | None, seed: int) -> Integers:
    """Draw a tenth of the training folds' samples, grouped and stratified.

    Training must leave out every sample of these samples' components (`folds.component`), external ones included.

    `fold`: the held-out fold; None if all samples train. Returns sample numbers of the role `train`. Raises DataError
    if the training folds hold fewer than two independent groups.
    """
    candidates = np.setdiff1d(images.samples.of_role("train"), folds.left_out)
    if fold is not None:
        candidates = candidates[folds.fold_of_sample[candidates] != fold]
    units = folds.component[candidates]
    parts = min(INNER_SHARE, len(np.unique(units)))
    if parts < 2:
        raise DataError(
            f"groups and duplicates leave {pluralize(parts, 'independent group')} of "
            f"{pluralize(len(candidates), 'training sample')}, but selecting a checkpoint needs two",
            field="models.checkpoints",
            remedy="keep the last checkpoint, or name fewer columns in data.groups",
        )
    labels = label_matrix(images.samples.frame["labels"].gather(candidates), len(images.classes))
    keys = sample_keys(images.samples.frame["sample"].gather(candidates).cast(pl.String).to_list())
    drawn = stratified_folds(labels, units, parts, derive_seed(seed, "inner", -1 if fold is None else fold), keys)
    return candidates[drawn == 0].astype(np.int64)
