"""Members that answer for some of the classes: for the others they say what the other members say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from holotype.types import Floats, Integers, Kind

__all__ = ["complete_scores"]

Doubles = NDArray[np.float64]


def complete_scores(
    own: Floats, served: Integers, others: Sequence[tuple[Floats, Integers | None]], classes: int, kind: Kind
) -> Floats:
    """Scores for all classes from those of a member that knows some of them.

    Of many labels a class that it does not know has the mean of the other members' log-odds. Of one label it also says
    how likely none of its classes is, and that share is divided among them as the other members would.

    Args:
        own: Its logits, shape (n, own classes), or (n, own classes + 1) with `none of these` last.
        served: Numbers of its classes.
        others: The other members' logits, and the numbers of their classes; none where they know all.
        classes: How many classes there are.
        kind: `multiclass` or `multilabel`.

    Returns:
        Logits, shape (n, classes); 0, or an even share, for a class that nobody knows.
    """
    missing = np.setdiff1d(np.arange(classes), served)
    said = [_known(logits, numbers, classes, kind) for logits, numbers in others]
    base = np.full((len(own), classes), np.nan) if not said else _mean_of_known(said)
    base = np.where(np.isnan(base), 0.0, base)
    whole = np.empty((len(own), classes))
    if kind == "multilabel":
        whole[:, served], whole[:, missing] = own, base[:, missing]
        return whole.astype(np.float32)
    known = log_softmax(np.asarray(own, np.float64), axis=1)
    whole[:, served] = known[:, : len(served)]
    shares = base[:, missing]
    whole[:, missing] = known[:, len(served) :] + shares - logsumexp(shares, axis=1, keepdims=True)
    return whole.astype(np.float32)


def _known(logits: Floats, served: Integers | None, classes: int, kind: Kind) -> Doubles:
    """What a member knows of every class; not a number where it knows nothing."""
    wide = np.asarray(logits, np.float64)
    wide = log_softmax(wide, axis=1) if kind == "multiclass" else wide
    if served is None:
        return np.asarray(wide)
    known = np.full((len(wide), classes), np.nan)
    known[:, served] = wide[:, : len(served)]
    return known


def _mean_of_known(said: Sequence[Doubles]) -> Doubles:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a class that nobody knows
        return np.asarray(np.nanmean(said, axis=0))
