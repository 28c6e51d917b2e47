"""Scores of very many classes: of each row the likeliest ones, and the sum of all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from holotype.errors import HolotypeError
from holotype.types.labels import LabelMatrix

__all__ = [
    "MANY",
    "MOST",
    "AnyLabels",
    "AnyScores",
    "TopScores",
    "as_scores",
    "blend_rows",
    "condense",
    "dense",
    "joined",
    "same_labels",
    "some_rows",
]

MANY = 2_000
"""Classes above which scores are kept as `TopScores`, and labels as a `LabelMatrix`."""
MOST = 100
"""Classes of a row that are kept."""
CODES_AT_ONCE = 2_000_000
TINIEST = 1e-300

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TopScores:
    """Arguments of a softmax over very many classes.

    Args:
        classes: How many classes there are.
        top: The likeliest classes of each row, likeliest first, int32, shape (n, k).
        logit: Their scores, float32, shape (n, k).
        rest: The logarithm of the sum of the others' exponentials, float32, shape (n,).
    """

    classes: int
    top: NDArray[np.int32]
    logit: NDArray[np.float32]
    rest: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rest)

    def __getitem__(self, rows: Any) -> TopScores:
        return TopScores(self.classes, self.top[rows], self.logit[rows], self.rest[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and classes, as if all were there."""
        return len(self), self.classes

    @property
    def total(self) -> Doubles:
        """The logarithm of the softmax's denominator, shape (n,)."""
        return np.asarray(np.logaddexp(logsumexp(self.logit.astype(np.float64), axis=1), self.rest))

    @property
    def floor(self) -> Doubles:
        """The score of a class that is not among the likeliest, all of them taken as alike, shape (n,)."""
        others = self.classes - self.top.shape[1]
        return np.asarray(self.rest.astype(np.float64) - np.log(others)) if others else np.zeros(len(self))

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Whether all scores of a row are numbers, shape (n,)."""
        known = np.isfinite(self.rest) if self.classes > self.top.shape[1] else np.ones(len(self), bool)
        return np.asarray(np.isfinite(self.logit).all(axis=1) & known)

    def log_probability(self, numbers: Integers) -> Doubles:
        """The log-probability of one class a row.

        Args:
            numbers: Classes, shape (n,).

        Returns:
            Shape (n,).
        """
        found = self.top == np.asarray(numbers)[:, None]
        held = np.where(found, self.logit, 0).sum(axis=1, dtype=np.float64)
        return np.where(found.any(axis=1), held, self.floor) - self.total

    def scaled(self, factor: float) -> TopScores:
        """All scores times a factor above zero; the sum of the others as if they were alike.

        Args:
            factor: The inverse of a temperature.
        """
        others = self.classes - self.top.shape[1]
        rest = self.floor * factor + np.log(others) if others else self.rest
        return TopScores(self.classes, self.top, self.logit * np.float32(factor), np.asarray(rest, np.float32))


AnyScores = NDArray[np.float32] | TopScores
"""Scores of few classes, shape (n, classes), or of very many."""
AnyLabels = NDArray[np.bool_] | LabelMatrix
"""Labels of few classes, shape (n, classes), or of very many."""
Held = TypeVar("Held")


def condense(logits: NDArray[np.floating], most: int = MOST) -> TopScores:
    """The likeliest classes of each row, and the sum of the others.

    Args:
        logits: Arguments of a softmax, shape (n, classes).
        most: How many classes are kept.

    Returns:
        With `most` classes a row, or all where there are fewer.
    """
    count, classes = logits.shape
    most = min(most, classes)
    if most < classes:
        chosen = np.sort(np.argpartition(-logits, most - 1, axis=1)[:, :most], axis=1)
    else:
        chosen = np.tile(np.arange(classes), (count, 1))
    held = np.take_along_axis(logits, chosen, axis=1)
    order = np.argsort(-held, axis=1, kind="stable")
    top, logit = np.take_along_axis(chosen, order, axis=1), np.take_along_axis(held, order, axis=1)
    rest = np.full(count, -np.inf)
    if most < classes and count:
        others = logits.copy()
        np.put_along_axis(others, chosen, -np.inf, axis=1)
        largest = np.maximum(others.max(axis=1, keepdims=True), np.finfo(np.float32).min)
        np.exp(np.subtract(others, largest, out=others), out=others)
        with np.errstate(divide="ignore"):
            rest = np.log(others.sum(axis=1, dtype=np.float64)) + largest[:, 0]
    return TopScores(classes, top.astype(np.int32), logit.astype(np.float32), np.asarray(rest, np.float32))


def blend_rows(
    scores: TopScores, owners: Integers, count: int, weights: Doubles, rule: str = "mean-logit"
) -> TopScores:
    """Rows that speak of the same become one; a class missing in a row has its `floor` there.

    Args:
        scores: Shape (n, classes).
        owners: What each row speaks of, shape (n,), from 0 to count - 1, each at least once.
        count: How many rows come out.
        weights: Of each row, shape (n,), summing to 1 for every owner.
        rule: `mean-logit` or `geometric` (of log-probabilities), `mean-probability`, or `max` (of log-probabilities).

    Returns:
        Log-probabilities up to a constant a row, shape (count, classes).
    """
    order = np.argsort(owners, kind="stable")
    begins = np.searchsorted(owners[order], np.arange(count + 1))
    step = max(1, CODES_AT_ONCE // max(1, scores.top.shape[1] * -(-len(scores) // max(count, 1))))
    parts = []
    for start in range(0, count, step):
        end = min(start + step, count)
        rows = order[begins[start] : begins[end]]
        parts.append(_blended(scores[rows], owners[rows] - start, end - start, weights[rows], rule))
    return joined(parts) if parts else scores[:0]


def _blended(scores: TopScores, owners: Integers, count: int, weights: Doubles, rule: str) -> TopScores:
    classes, kept = scores.classes, scores.top.shape[1]
    known, floor = scores.logit - scores.total[:, None], scores.floor - scores.total
    if rule == "mean-probability":
        known, floor = np.exp(known), np.exp(floor)
    codes, place = np.unique(owners[:, None] * classes + scores.top, return_inverse=True)
    owner, place = codes // classes, place.reshape(-1)
    if rule == "max":
        base = np.full(count, -np.inf)
        np.maximum.at(base, owners, floor)
        value = np.full(len(codes), -np.inf)
        np.maximum.at(value, place, known.reshape(-1))
        value = np.maximum(value, base[owner]) if kept < classes else value
    else:
        base = np.bincount(owners, weights * floor, count)
        value = base[owner] + np.bincount(place, (weights[:, None] * (known - floor[:, None])).reshape(-1))
    if rule == "mean-probability":
        base, value = (np.log(np.maximum(part, TINIEST)) for part in (base, value))
    order = np.lexsort((codes, -value, owner))
    owner, value, codes = owner[order], value[order], codes[order]
    found = np.bincount(owner, minlength=count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(found) - found, found)
    best = rank < kept
    logit = value[best].reshape(count, kept)
    left = np.bincount(owner[~best], np.exp(value - logit[owner, 0])[~best], count).astype(np.float64)
    left += (classes - found) * np.exp(base - logit[:, 0])
    with np.errstate(divide="ignore"):
        rest = np.log(left) + logit[:, 0]
    top = (codes[best] % classes).reshape(count, kept)
    return TopScores(classes, top.astype(np.int32), logit.astype(np.float32), rest.astype(np.float32))


def dense(scores: AnyScores, what: str) -> NDArray[np.float32]:
    """Scores of all classes, for what cannot do with less.

    Args:
        scores: Shape (n, classes).
        what: What looks at them, for the message.

    Raises:
        HolotypeError: Only the likeliest classes are known.
    """
    if isinstance(scores, TopScores):
        raise HolotypeError(f"{what} looks at the scores of all classes; above {MANY:,} only the likeliest are kept")
    return scores


def as_scores(made: Any) -> AnyScores:
    """Scores in the type in which they are kept.

    Args:
        made: `TopScores`, or numbers of shape (n, classes).
    """
    return made if isinstance(made, TopScores) else np.asarray(made, np.float32)


def same_labels(one: AnyLabels, other: AnyLabels) -> bool:
    """Whether two matrices of labels are the same.

    Args:
        one: Shape (n, classes).
        other: In the same form.
    """
    if isinstance(one, LabelMatrix) or isinstance(other, LabelMatrix):
        return LabelMatrix.of(one).equals(LabelMatrix.of(other))
    return bool(np.array_equal(one, other))


def some_rows(held: Held, rows: Any) -> Held:
    """Some rows of scores or labels in the form that they have.

    Args:
        held: An array, a `TopScores` or a `LabelMatrix`.
        rows: Numbers of rows, a mask or a slice.
    """
    return held.rows(rows) if isinstance(held, LabelMatrix) else held[rows]  # type: ignore[index,no-any-return,return-value]


def joined(parts: Sequence[Held]) -> Held:
    """Scores or labels one below the other.

    Args:
        parts: At least one, all of one form and of the same classes.
    """
    first: Any = parts[0]
    rest: Any = parts
    if isinstance(first, TopScores):
        arrays = (np.concatenate([getattr(part, name) for part in rest]) for name in ("top", "logit", "rest"))
        return TopScores(first.classes, *arrays)  # type: ignore[return-value]
    if isinstance(first, LabelMatrix):
        lengths = np.concatenate([part.lengths for part in rest])
        numbers = np.concatenate([part.numbers for part in rest])
        return LabelMatrix(np.append(0, np.cumsum(lengths)), numbers, first.classes)  # type: ignore[return-value]
    return np.concatenate(rest)  # type: ignore[return-value]
