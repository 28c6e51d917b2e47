"""Rules from scores to labels, on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, log_softmax, softmax

from holotype.types import AnyLabels, AnyScores, Floats, Integers, Kind, LabelMatrix, TopScores, dense

__all__ = [
    "above_thresholds",
    "assigned",
    "at_most",
    "cascaded",
    "decide_plainly",
    "likeliest",
    "prior_thresholds",
    "prior_weights",
    "probabilities",
    "top_classes",
]

PRIOR_ROUNDS = 200
SMALLEST = 1e-12


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


def likeliest(logits: AnyScores) -> AnyLabels:
    """The one class with the highest score; the first of equals.

    Args:
        logits: Shape (n, classes).

    Returns:
        Shape (n, classes), one True a row.
    """
    if isinstance(logits, TopScores):
        return top_classes(logits, 1)
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
        decided[empty] = np.asarray(likeliest(logits[empty]))
    return np.asarray(decided)


def decide_plainly(logits: AnyScores, kind: Kind) -> AnyLabels:
    """The decision where nothing was fitted: the likeliest class, or all above one half and at least one.

    Args:
        logits: Shape (n, classes).
        kind: `multiclass` or `multilabel`.
    """
    half = np.full(logits.shape[1], 0.5)
    return likeliest(logits) if kind == "multiclass" else above_thresholds(dense(logits, "a threshold"), half, "argmax")


def cascaded(logits: Floats, levels: Sequence[float], fallback: str) -> NDArray[np.bool_]:
    """Falling thresholds: only samples without a label meet the next one.

    Args:
        logits: Shape (n, classes), log-odds.
        levels: Probabilities, falling.
        fallback: `argmax` gives the likeliest class to a sample that has none, `none` leaves it without.

    Returns:
        Shape (n, classes).
    """
    decided = np.zeros(logits.shape, dtype=bool)
    for number, level in enumerate(levels):
        empty = ~decided.any(axis=1)
        last = fallback if number == len(levels) - 1 else "none"
        decided[empty] = above_thresholds(logits[empty], np.full(logits.shape[1], level), last)
    return decided


def top_classes(logits: AnyScores, k: int) -> AnyLabels:
    """The k likeliest classes, the first of equals.

    Args:
        logits: Shape (n, classes).
        k: How many; all where there are fewer.

    Returns:
        Shape (n, classes).
    """
    if isinstance(logits, TopScores):
        few = logits.top[:, :k].astype(np.int64)
        return LabelMatrix.of_pairs(np.repeat(np.arange(len(few)), few.shape[1]), few.ravel(), logits.shape)
    decided = np.zeros(logits.shape, dtype=bool)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    np.put_along_axis(decided, order, True, axis=1)
    return decided


def at_most(decided: NDArray[np.bool_], logits: Floats, most: int | None) -> NDArray[np.bool_]:
    """The same labels, of each sample the likeliest few.

    Args:
        decided: Shape (n, classes).
        logits: Shape (n, classes).
        most: How many stay; all where none is given.
    """
    if most is None:
        return decided
    falling = np.where(decided, logits, -np.inf).astype(np.float32)
    return decided & LabelMatrix.of(top_classes(falling, most))[:]


def prior_thresholds(probability: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds that give every class as often as its share says, as nearly as ties allow.

    Args:
        probability: Of the samples that are decided, shape (n, classes).
        shares: Labels of each class a sample, shape (classes,).

    Returns:
        Shape (classes,).
    """
    falling = -np.sort(-probability, axis=0)
    count = np.clip(np.rint(shares * len(probability)).astype(int), 0, len(probability))
    padded = np.vstack([np.full(falling.shape[1], 1.0), falling, np.full(falling.shape[1], -1e-9)])
    column = np.arange(falling.shape[1])
    return np.asarray((padded[count, column] + padded[count + 1, column]) / 2)


def prior_weights(logits: Floats, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is added to the log-probabilities so that mean probabilities equal the shares, one label a sample.

    Saerens, Latinne & Decaestecker 2002, turned round: the shares are known and the offsets are sought.

    Args:
        logits: Shape (n, classes), arguments of a softmax.
        shares: Of each class, summing to 1, shape (classes,).

    Returns:
        Shape (classes,); minus infinity for a class whose share is nought.
    """
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    wanted = np.log(np.maximum(shares, SMALLEST))
    offset = np.zeros(len(shares))
    for _ in range(PRIOR_ROUNDS):
        mean = softmax(log_p + offset, axis=1).mean(axis=0)
        step = wanted - np.log(np.maximum(mean, SMALLEST))
        offset += step
        if np.abs(step[shares > 0]).max(initial=0) < 1e-6:
            break
    return np.where(shares > 0, offset, -np.inf)


def assigned(
    logits: Floats, places: Integers, sets: Sequence[Integers] | None = None, set_places: Integers | None = None
) -> NDArray[np.bool_]:
    """One class a sample, each class at most once a place: the assignment of the largest summed log-probability.

    Where a place has more samples than classes, each class may come once more for every such round. The structure is
    that of RxRx1, where a plate holds each perturbation once and one of four sets of them, and the four plates of an
    experiment hold different sets.

    Args:
        logits: Shape (n, classes), arguments of a softmax.
        places: The place of each sample, shape (n,); a negative one holds nothing together.
        sets: Classes that come together; each place gets the one that suits it best.
        set_places: What takes each set once, shape (n,): the places inside get different sets, those of the largest
            sum over all of them; a set comes once more for every round of places beyond the sets. A negative one holds
            nothing together, and without it every place chooses by itself.

    Returns:
        Shape (n, classes), one True a row.
    """
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    decided = np.asarray(likeliest(logits))
    every = [np.arange(logits.shape[1])] if sets is None else list(sets)
    known = np.unique(places[places >= 0])
    rows = [np.flatnonzero(places == place) for place in known]
    for inside in _taken_together(rows, set_places):
        offers = [[_assignment(log_p, rows[number], classes) for classes in every] for number in inside]
        totals = np.array([[total for total, _ in own] for own in offers])
        rounds = -(-len(inside) // len(every)) if len(inside) > 1 else 1
        chosen = linear_sum_assignment(np.tile(totals, (1, rounds)), maximize=True)[1] % len(every)
        for number, own, taken in zip(inside, offers, chosen, strict=True):
            decided[rows[number]] = False
            decided[rows[number], own[taken][1]] = True
    return decided


def _taken_together(rows: Sequence[Integers], set_places: Integers | None) -> list[list[int]]:
    """The numbers of the places that take different sets; a place by itself where nothing holds it together."""
    if set_places is None:
        return [[number] for number in range(len(rows))]
    held: dict[int, list[int]] = {}
    for number, own in enumerate(rows):
        place = int(set_places[own[0]])
        held.setdefault(place if place >= 0 else -1 - number, []).append(number)
    return list(held.values())


def _assignment(log_p: NDArray[np.float64], rows: Integers, classes: Integers) -> tuple[float, Integers]:
    """The best class of each row, each class once a round, and the summed log-probability."""
    offered = np.tile(classes, -(-len(rows) // len(classes)))
    value = log_p[np.ix_(rows, offered)]
    first, second = linear_sum_assignment(value, maximize=True)
    return float(value[first, second].sum()), offered[second]
