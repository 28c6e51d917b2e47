"""Members' scores of very many classes, of which only the likeliest are known, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holotype.ensemble.weights import fit_weights
from holotype.types import AnyLabels, Integers, LabelMatrix, TopScores, blend_rows, joined

__all__ = ["candidates", "mean_of_likeliest", "weights_of_likeliest"]

CANDIDATES = 50  # of each member, for weights: what lies below moves no loss


def mean_of_likeliest(members: Sequence[TopScores], weights: Sequence[float], space: str) -> TopScores:
    """The weighted mean of several members' log-probabilities or probabilities.

    A class that is not among a member's likeliest has there what its others have on average.

    Args:
        members: Of the same samples, shape (n, classes) each.
        weights: One a member, summing to 1.
        space: `logit` or `probability`.

    Returns:
        Shape (n, classes).
    """
    if len(members) == 1:
        return members[0]
    rows, rule = len(members[0]), "mean-probability" if space == "probability" else "mean-logit"
    owners = np.tile(np.arange(rows), len(members))
    return blend_rows(joined(members), owners, rows, np.repeat(np.asarray(weights, np.float64), rows), rule)


def weights_of_likeliest(members: Sequence[TopScores], truth: AnyLabels, space: str, even: float) -> tuple[float, ...]:
    """Weights on the simplex that make the log loss smallest.

    Args:
        members: Out of fold, of the same samples, shape (n, classes) each.
        truth: Which class each sample has, shape (n, classes).
        space: `logit` or `probability`: what is averaged.
        even: As in `fit_weights`.

    Returns:
        One a member, at least 0, summing to 1.
    """
    numbers, scores = candidates([_fewer(member, CANDIDATES) for member in members])
    held = numbers == LabelMatrix.of(truth).numbers[:, None]
    known = np.hstack([held, ~held.any(axis=1, keepdims=True)])  # a class beyond the candidates is one of the others
    return fit_weights(scores, known, space, "multiclass", even)


def candidates(members: Sequence[TopScores]) -> tuple[Integers, list[NDArray[np.float32]]]:
    """All classes that are among the likeliest of any member, and what every member says of them.

    Args:
        members: Of the same samples, shape (n, classes) each.

    Returns:
        Class numbers of each sample, -1 where it has fewer than another, shape (n, m); and of each member
        log-probabilities, the last those of all other classes together, shape (n, m + 1).
    """
    wide = np.sort(np.hstack([member.top for member in members]).astype(np.int64), axis=1)
    again = np.zeros(wide.shape, bool)
    again[:, 1:] = wide[:, 1:] == wide[:, :-1]
    numbers = np.where(again, -1, wide)
    others = members[0].classes - (~again).sum(axis=1)
    return numbers, [_said_of(member, numbers, others) for member in members]


def _said_of(member: TopScores, numbers: Integers, others: Integers) -> NDArray[np.float32]:
    """Log-probabilities of some classes a row and of all others together; next to nothing in an empty place."""
    rows = np.arange(len(member))[:, None] * member.classes
    order = np.argsort(member.top, axis=1)
    codes = (rows + np.take_along_axis(member.top, order, axis=1)).ravel()
    values = np.take_along_axis(member.logit, order, axis=1).ravel()
    wanted = rows + numbers
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    floor = member.floor[:, None]
    said = np.where(codes[place] == wanted, values[place], floor) - member.total[:, None]
    said[numbers < 0] = -1e4
    with np.errstate(divide="ignore"):
        left = np.maximum(member.floor - member.total + np.log(others), -1e4)
    return np.hstack([said, left[:, None]]).astype(np.float32)


def _fewer(member: TopScores, most: int) -> TopScores:
    """The same scores with fewer classes known."""
    if most >= member.top.shape[1]:
        return member
    more = np.logaddexp.reduce(member.logit[:, most:].astype(np.float64), axis=1)
    rest = np.logaddexp(member.rest, more).astype(np.float32)
    return TopScores(member.classes, member.top[:, :most], member.logit[:, :most], rest)
