"""Sparse scores of very many classes: the top k of each row, and the sum of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from holotype.core.errors import HolotypeError
from holotype.types.labels import LabelMatrix

MANY_CLASSES = 2_000
"""Number of classes above which scores are kept as `TopKScores`, and labels as a `LabelMatrix`."""
TOP_K = 100
"""Number of classes kept per row."""
BATCH_CODES = 2_000_000
MIN_PROBABILITY = 1e-300

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TopKScores:
    """Sparse arguments of a softmax over very many classes.

    Args:
        top_classes: Most likely classes of each row, in descending order, int32, shape (n, k).
        top_logits: Their scores, float32, shape (n, k).
        rest_logsumexp: Logarithm of the sum of the other classes' exponentials, float32, shape (n,).
    """

    classes: int
    top_classes: NDArray[np.int32]
    top_logits: NDArray[np.float32]
    rest_logsumexp: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rest_logsumexp)

    def __getitem__(self, rows: Any) -> TopKScores:
        return TopKScores(self.classes, self.top_classes[rows], self.top_logits[rows], self.rest_logsumexp[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and classes, as of a dense array."""
        return len(self), self.classes

    @property
    def total(self) -> Doubles:
        """Logarithm of the softmax's denominator, shape (n,)."""
        return np.asarray(np.logaddexp(logsumexp(self.top_logits.astype(np.float64), axis=1), self.rest_logsumexp))

    @property
    def floor(self) -> Doubles:
        """Score of a class that is not among the top k, if all of those are equal, shape (n,)."""
        others = self.classes - self.top_classes.shape[1]
        return np.asarray(self.rest_logsumexp.astype(np.float64) - np.log(others)) if others else np.zeros(len(self))

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Mask of the rows whose scores are all finite, shape (n,)."""
        is_finite_rest = (
            np.isfinite(self.rest_logsumexp) if self.classes > self.top_classes.shape[1] else np.ones(len(self), bool)
        )
        return np.asarray(np.isfinite(self.top_logits).all(axis=1) & is_finite_rest)

    def log_probability(self, numbers: Integers) -> Doubles:
        """Log-probability of one class per row, shape (n,)."""
        is_class = self.top_classes == np.asarray(numbers)[:, None]
        logits = np.where(is_class, self.top_logits, 0).sum(axis=1, dtype=np.float64)
        return np.where(is_class.any(axis=1), logits, self.floor) - self.total

    def scaled(self, factor: float) -> TopKScores:
        """Multiply all scores by a positive factor; classes outside of the top k count as equal."""
        others = self.classes - self.top_classes.shape[1]
        rest = self.floor * factor + np.log(others) if others else self.rest_logsumexp
        return TopKScores(
            self.classes, self.top_classes, self.top_logits * np.float32(factor), np.asarray(rest, np.float32)
        )


AnyScores = NDArray[np.float32] | TopKScores
"""Scores, shape (n, classes): dense, or sparse for very many classes."""
AnyLabels = NDArray[np.bool_] | LabelMatrix
"""Labels, shape (n, classes): dense, or sparse for very many classes."""
Rows = TypeVar("Rows")


def keep_top_k(logits: NDArray[np.floating], k: int = TOP_K) -> TopKScores:
    """Keep the k most likely classes of each row of logits, shape (n, classes), and the sum of the others."""
    count, classes = logits.shape
    k = min(k, classes)
    if k < classes:
        top_indices = np.sort(np.argpartition(-logits, k - 1, axis=1)[:, :k], axis=1)
    else:
        top_indices = np.tile(np.arange(classes), (count, 1))
    top_values = np.take_along_axis(logits, top_indices, axis=1)
    order = np.argsort(-top_values, axis=1, kind="stable")
    top, logit = np.take_along_axis(top_indices, order, axis=1), np.take_along_axis(top_values, order, axis=1)
    rest = np.full(count, -np.inf)
    if k < classes and count:
        others = logits.copy()
        np.put_along_axis(others, top_indices, -np.inf, axis=1)
        largest = np.maximum(others.max(axis=1, keepdims=True), np.finfo(np.float32).min)
        np.exp(np.subtract(others, largest, out=others), out=others)
        with np.errstate(divide="ignore"):
            rest = np.log(others.sum(axis=1, dtype=np.float64)) + largest[:, 0]
    return TopKScores(classes, top.astype(np.int32), logit.astype(np.float32), np.asarray(rest, np.float32))


def average_rows(
    scores: TopKScores, owners: Integers, count: int, weights: Doubles, rule: str = "mean-logit"
) -> TopKScores:
    """Average the rows of each owner; a class missing in a row has its `floor` there.

    Args:
        owners: Owner of each row, shape (n,), from 0 to count - 1, each at least once.
        weights: Weight of each row, shape (n,), summing to 1 for every owner.
        rule: `mean-logit` or `geometric` (of log-probabilities), `mean-probability`, or `max` (of log-probabilities).

    Returns:
        Log-probabilities up to a constant per row, shape (count, classes).
    """
    order = np.argsort(owners, kind="stable")
    begins = np.searchsorted(owners[order], np.arange(count + 1))
    step = max(1, BATCH_CODES // max(1, scores.top_classes.shape[1] * -(-len(scores) // max(count, 1))))
    parts = []
    for start in range(0, count, step):
        end = min(start + step, count)
        rows = order[begins[start] : begins[end]]
        parts.append(_average_batch(scores[rows], owners[rows] - start, end - start, weights[rows], rule))
    return concatenate(parts) if parts else scores[:0]


def _average_batch(scores: TopKScores, owners: Integers, count: int, weights: Doubles, rule: str) -> TopKScores:
    classes, k = scores.classes, scores.top_classes.shape[1]
    terms, floor = scores.top_logits - scores.total[:, None], scores.floor - scores.total
    if rule == "mean-probability":
        terms, floor = np.exp(terms), np.exp(floor)
    codes, slot = np.unique(owners[:, None] * classes + scores.top_classes, return_inverse=True)
    owner, slot = codes // classes, slot.reshape(-1)
    if rule == "max":
        base = np.full(count, -np.inf)
        np.maximum.at(base, owners, floor)
        value = np.full(len(codes), -np.inf)
        np.maximum.at(value, slot, terms.reshape(-1))
        value = np.maximum(value, base[owner]) if k < classes else value
    else:
        base = np.bincount(owners, weights * floor, count)
        value = base[owner] + np.bincount(slot, (weights[:, None] * (terms - floor[:, None])).reshape(-1))
    if rule == "mean-probability":
        base, value = (np.log(np.maximum(part, MIN_PROBABILITY)) for part in (base, value))
    order = np.lexsort((codes, -value, owner))
    owner, value, codes = owner[order], value[order], codes[order]
    counts = np.bincount(owner, minlength=count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    best = rank < k
    logit = value[best].reshape(count, k)
    left = np.bincount(owner[~best], np.exp(value - logit[owner, 0])[~best], count).astype(np.float64)
    left += (classes - counts) * np.exp(base - logit[:, 0])
    with np.errstate(divide="ignore"):
        rest = np.log(left) + logit[:, 0]
    top = (codes[best] % classes).reshape(count, k)
    return TopKScores(classes, top.astype(np.int32), logit.astype(np.float32), rest.astype(np.float32))


def to_dense(scores: AnyScores, what: str) -> NDArray[np.float32]:
    """Require dense scores.

    Raises HolotypeError if only the top k classes are known; `what` is the subject of the message.
    """
    if isinstance(scores, TopKScores):
        raise HolotypeError(
            f"{what} looks at the scores of all classes; above {MANY_CLASSES:,} only the likeliest are kept"
        )
    return scores


def replace_rows(scores: AnyScores, rows: NDArray[Any], others: AnyScores) -> AnyScores:
    """Replace the scores of some rows by scores of the same kind, shape (m, classes)."""
    if isinstance(scores, TopKScores):
        replacement = to_top_k(others, scores.top_classes.shape[1])
        top, logit, rest = scores.top_classes.copy(), scores.top_logits.copy(), scores.rest_logsumexp.copy()
        top[rows], logit[rows], rest[rows] = replacement.top_classes, replacement.top_logits, replacement.rest_logsumexp
        return TopKScores(scores.classes, top, logit, rest)
    replaced = scores.copy()
    replaced[rows] = to_dense(others, "a row of scores")
    return replaced


def to_top_k(scores: AnyScores, k: int) -> TopKScores:
    """Convert scores to `TopKScores`; those that are stay as they are."""
    return scores if isinstance(scores, TopKScores) else keep_top_k(scores, k)


def as_scores(scores: Any) -> AnyScores:
    """Convert scores to float32, or keep `TopKScores`."""
    return scores if isinstance(scores, TopKScores) else np.asarray(scores, np.float32)


def same_labels(left: AnyLabels, right: AnyLabels) -> bool:
    """Compare two label matrices, dense or sparse."""
    if isinstance(left, LabelMatrix) or isinstance(right, LabelMatrix):
        return LabelMatrix.from_dense(left).equals(LabelMatrix.from_dense(right))
    return bool(np.array_equal(left, right))


def take_rows(values: Rows, rows: Any) -> Rows:
    """Take rows (numbers, a mask or a slice) of an array, a `TopKScores` or a `LabelMatrix`, keeping the type."""
    return values.rows(rows) if isinstance(values, LabelMatrix) else values[rows]  # type: ignore[index,no-any-return,return-value]


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Concatenate scores or labels of one type along the rows."""
    first: Any = parts[0]
    rest: Any = parts
    if isinstance(first, TopKScores):
        arrays = (
            np.concatenate([getattr(part, name) for part in rest])
            for name in ("top_classes", "top_logits", "rest_logsumexp")
        )
        return TopKScores(first.classes, *arrays)  # type: ignore[return-value]
    if isinstance(first, LabelMatrix):
        lengths = np.concatenate([part.label_counts for part in rest])
        numbers = np.concatenate([part.numbers for part in rest])
        return LabelMatrix(np.append(0, np.cumsum(lengths)), numbers, first.classes)  # type: ignore[return-value]
    return np.concatenate(rest)  # type: ignore[return-value]
