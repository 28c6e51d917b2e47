"""Inner rows: the part of the training folds that everything which selects inside a model looks at."""

from __future__ import annotations

import numpy as np
import polars as pl

from holotype.core.errors import DataError, pluralize
from holotype.core.seeds import derive_seed
from holotype.split.preferences import sample_keys
from holotype.split.stratify import label_matrix, stratified_folds
from holotype.types import Folds, ImageTable, Integers

__all__ = ["INNER_SHARE", "inner_samples"]

INNER_SHARE = 10  # one in so many samples


def inner_samples(images: ImageTable, folds: Folds, fold: int | None, seed: int) -> Integers:
    """A tenth of the training folds' samples, safe by group and duplicate, with the classes in proportion.

    What belongs together stays together: whoever trains must leave out every sample of these samples' components
    (`folds.component`), the external ones too.

    Args:
        images: The table.
        folds: Which sample is in which fold, and what belongs together.
        fold: The fold left out; none where all samples train.
        seed: The recipe's seed.

    Returns:
        Numbers of samples of the role `train`.

    Raises:
        DataError: The training folds hold fewer than two independent parts.
    """
    candidates = np.setdiff1d(images.samples.of_role("train"), folds.left_out)
    if fold is not None:
        candidates = candidates[folds.fold_of_sample[candidates] != fold]
    units = folds.component[candidates]
    parts = min(INNER_SHARE, len(np.unique(units)))
    if parts < 2:
        raise DataError(
            f"groups and duplicates tie the {pluralize(len(candidates), 'training sample')} into {parts} part, and to "
            "select a checkpoint two are needed",
            field="models.checkpoints",
            remedy="keep the last checkpoint, or name fewer columns in data.groups",
        )
    labels = label_matrix(images.samples.frame["labels"].gather(candidates), len(images.classes))
    keys = sample_keys(images.samples.frame["sample"].gather(candidates).cast(pl.String).to_list())
    drawn = stratified_folds(labels, units, parts, derive_seed(seed, "inner", -1 if fold is None else fold), keys)
    return candidates[drawn == 0].astype(np.int64)
