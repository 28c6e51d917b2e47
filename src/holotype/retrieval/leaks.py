"""What must never lie in the index of a fold's model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.errors import HolotypeError, counted, listing
from holotype.types import Integers

__all__ = ["refuse_scored_fold"]

LISTED = 5


def refuse_scored_fold(
    samples: Integers, fold_of_sample: Integers, fold: int, names: Sequence[str] | None = None
) -> None:
    """Prove that the index of one fold's model holds training samples of that fold only.

    Args:
        samples: The sample of every key of the index, shape (keys,).
        fold_of_sample: The fold of every sample, -1 for test samples, shape (samples,).
        fold: The fold that is scored with the index; -1 for a model of all training samples.
        names: The samples' names, for the error; their numbers otherwise.

    Raises:
        HolotypeError: A key is of the scored fold, or of a test sample.
    """
    samples = np.asarray(samples)
    fold_of_key = np.asarray(fold_of_sample)[samples]
    if fold >= 0:
        _refuse(samples[fold_of_key == fold], fold, "of that very fold, which it scores", names)
    _refuse(samples[fold_of_key == -1], fold, "to be predicted, whose labels are unknown", names)


def _refuse(samples: Integers, fold: int, what: str, names: Sequence[str] | None) -> None:
    leaked = np.unique(samples)
    if len(leaked):
        named = leaked if names is None else [names[number] for number in leaked]
        raise HolotypeError(
            f"the index of fold {fold} holds {counted(len(leaked), 'sample')} {what}: {listing(named, LISTED)}",
            field="neighbours",
            remedy="build it from the training rows of that fold's model alone",
        )
