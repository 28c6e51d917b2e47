"""Rules from scores to labels, on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from holotype.types import Floats, Kind

__all__ = ["above_thresholds", "decide_plainly", "likeliest", "probabilities"]


def probabilities(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    """What scores say as probabilities.

    Args:
        logits: Shape (n, classes).
        kind: `multiclass`: softmax, rows sum to 1; `multilabel`: sigmoid, every class by itself.

    Returns:
        Shape (n, classes), in 0 to 1.
    """
    wide = np.asarray(logits, dtype=np.float64)
    return np.asarray(softmax(wide, axis=1) if kind == "multiclass" else expit(wide))


def likeliest(logits: Floats) -> NDArray[np.bool_]:
    """The one class with the highest score; the first of equals.

    Args:
        logits: Shape (n, classes).

    Returns:
        Shape (n, classes), one True a row.
    """
    decided = np.zeros(logits.shape, dtype=bool)
    decided[np.arange(len(logits)), logits.argmax(axis=1) if len(logits) else np.empty(0, int)] = True
    return decided


def above_thresholds(logits: Floats, thresholds: NDArray[np.float64], fallback: str) -> NDArray[np.bool_]:
    """Every class whose probability lies strictly above its threshold.

    Args:
        logits: Shape (n, classes), log-odds.
        thresholds: Shape (classes,), probabilities.
        fallback: `argmax` gives the likeliest class to a sample that has none, `none` leaves it without.

    Returns:
        Shape (n, classes).
    """
    decided = probabilities(logits, "multilabel") > thresholds
    if fallback == "argmax":
        empty = ~decided.any(axis=1)
        decided[empty] = likeliest(logits[empty])
    return np.asarray(decided)


def decide_plainly(logits: Floats, kind: Kind) -> NDArray[np.bool_]:
    """The decision where nothing was fitted: the likeliest class, or all above one half and at least one.

    Args:
        logits: Shape (n, classes).
        kind: `multiclass` or `multilabel`.
    """
    half = np.full(logits.shape[1], 0.5)
    return likeliest(logits) if kind == "multiclass" else above_thresholds(logits, half, "argmax")
