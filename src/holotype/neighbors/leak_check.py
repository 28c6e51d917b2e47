"""Leak check: the index of a fold's model must not hold samples of the scored fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.core.errors import HolotypeError, join_names, pluralize
from holotype.types import Integers

MAX_LISTED = 5


def require_no_scored_fold(
    samples: Integers, fold_of_sample: Integers, fold: int, names: Sequence[str] | None = None
) -> None:
    """Refuse an index that holds samples of the fold that is scored with it.

    Args:
        samples: Sample of each key, shape (keys,).
        fold_of_sample: Fold of each sample, shape (samples,); below 0 if it is in none.
        fold: Below 0 for a model of all training samples.

    Raises:
        HolotypeError: A key belongs to the scored fold.
    """
    keys = np.asarray(samples)
    leaked = np.unique(keys[np.asarray(fold_of_sample)[keys] == fold]) if fold >= 0 else keys[:0]
    if len(leaked):
        leaked_names = leaked if names is None else [names[number] for number in leaked]
        raise HolotypeError(
            f"the index of fold {fold} holds {pluralize(len(leaked), 'sample')} of the fold that it scores: "
            f"{join_names(leaked_names, MAX_LISTED)}",
            field="neighbors",
            remedy="build it from the training rows of that fold's model only",
        )
