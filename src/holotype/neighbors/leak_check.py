"""What must never lie in the index of a fold's model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.core.errors import HolotypeError, join_names, pluralize
from holotype.types import Integers

__all__ = ["require_no_scored_fold"]

MAX_LISTED = 5


def require_no_scored_fold(
    samples: Integers, fold_of_sample: Integers, fold: int, names: Sequence[str] | None = None
) -> None:
    """Prove that the index of one fold's model holds no sample of the fold that is scored with it.

    Args:
        samples: The sample of every key of the index, shape (keys,).
        fold_of_sample: The fold of every sample; below 0 where it is scored with none, shape (samples,).
        fold: The fold that is scored with the index; below 0 for a model of all training samples.
        names: The samples' names, for the error; their numbers otherwise.

    Raises:
        HolotypeError: A key is of the scored fold.
    """
    keys = np.asarray(samples)
    leaked = np.unique(keys[np.asarray(fold_of_sample)[keys] == fold]) if fold >= 0 else keys[:0]
    if len(leaked):
        leaked_names = leaked if names is None else [names[number] for number in leaked]
        raise HolotypeError(
            f"the index of fold {fold} holds {pluralize(len(leaked), 'sample')} of that very fold, which it scores: "
            f"{join_names(leaked_names, MAX_LISTED)}",
            field="neighbors",
            remedy="build it from the training rows of that fold's model alone",
        )
