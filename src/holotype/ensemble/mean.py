"""Means of members' scores: of logits, of probabilities, of ranks; and votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

from holotype.types import Floats, Kind

__all__ = ["mean_ranks", "mean_scores", "rank_ladder", "votes"]

SMALLEST = 1e-7
LADDER_STEPS = 201


def mean_scores(members: Sequence[Floats], weights: Sequence[float], space: str, kind: Kind) -> Floats:
    """The weighted mean of several arrays of logits.

    Args:
        members: One array a member, shape (n, classes) each.
        weights: One a member, summing to 1.
        space: `logit` averages as they are; `probability` averages what they say and turns it back.
        kind: `multiclass` (softmax) or `multilabel` (sigmoid).

    Returns:
        Logits, shape (n, classes).
    """
    if len(members) == 1:
        return members[0]
    if space == "logit":
        return np.asarray(sum(weight * one for weight, one in zip(weights, members, strict=True)), dtype=np.float32)
    said = [expit(one) if kind == "multilabel" else softmax(one, axis=1) for one in members]
    mean = np.clip(sum(weight * one for weight, one in zip(weights, said, strict=True)), SMALLEST, 1 - SMALLEST)
    return np.asarray(logit(mean) if kind == "multilabel" else np.log(mean), dtype=np.float32)


def rank_ladder(members: Sequence[Floats], kind: Kind) -> NDArray[np.float64]:
    """What ranks are read from: quantiles of each member's scores a class, and last of their mean.

    Args:
        members: Out-of-fold logits, one array a member, shape (n, classes) each.
        kind: `multiclass` or `multilabel`.

    Returns:
        Shape (members + 1, steps, classes).
    """
    known = [_comparable(one, kind) for one in members]
    mean = np.mean(known, axis=0)
    steps = np.linspace(0, 1, LADDER_STEPS)
    return np.stack([np.quantile(one, steps, axis=0) for one in [*known, mean]])


def mean_ranks(members: Sequence[Floats], ladder: NDArray[np.float64], kind: Kind) -> Floats:
    """The mean rank of each score among the out-of-fold scores, turned back into a logit of their mean.

    A member whose scores are too bold or too shy counts no more for it.

    Args:
        members: Logits, one array a member, shape (n, classes) each.
        ladder: From `rank_ladder`.
        kind: `multiclass` or `multilabel`.

    Returns:
        Shape (n, classes).
    """
    steps = np.linspace(0, 1, ladder.shape[1])
    known = [_comparable(one, kind) for one in members]
    made = np.empty(known[0].shape, np.float32)
    for number in range(known[0].shape[1]):
        ranks = [np.interp(one[:, number], ladder[place, :, number], steps) for place, one in enumerate(known)]
        made[:, number] = np.interp(np.mean(ranks, axis=0), steps, ladder[-1, :, number])
    return made


def votes(members: Sequence[Floats], kind: Kind) -> Floats:
    """How many members give a class, as a logit; their mean probability decides between equals.

    Args:
        members: Logits, one array a member, shape (n, classes) each.
        kind: `multiclass`: a member gives its likeliest class; `multilabel`: all above one half.

    Returns:
        Shape (n, classes); above nought where more than half of the members give the class.
    """
    said = [expit(one) if kind == "multilabel" else softmax(one, axis=1) for one in members]
    given = [one > 0.5 if kind == "multilabel" else one == one.max(axis=1, keepdims=True) for one in said]
    share, mean = np.mean(given, axis=0), np.mean(said, axis=0)
    blended = (len(members) * share + mean) / (len(members) + 1)
    blended = np.clip(blended, SMALLEST, 1 - SMALLEST)
    return np.asarray(logit(blended) if kind == "multilabel" else np.log(blended), dtype=np.float32)


def _comparable(logits: Floats, kind: Kind) -> NDArray[np.float64]:
    wide = np.asarray(logits, np.float64)
    return np.asarray(log_softmax(wide, axis=1) if kind == "multiclass" else wide)
