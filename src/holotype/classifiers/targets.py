"""Labels and weights of training rows, in the form that all classifiers share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names
from holotype.types import Floats, Integers, Kind, LabelMatrix

__all__ = ["Targets", "absent_log_odds", "make_targets", "row_losses"]

Doubles = NDArray[np.float64]
MAX_LISTED = 5


@dataclass(frozen=True, eq=False)
class Targets:
    """Labels and weights of rows.

    Args:
        kind: Multiclass rows have exactly one class.
        indicator: Sparse matrix of 0 and 1, float32, shape (n, classes).
        weights: Weight of each row, above 0, shape (n,).
    """

    kind: Kind
    indicator: sp.csr_array
    weights: Doubles

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.indicator.shape[1])

    @cached_property
    def numbers(self) -> Integers:
        """Class number of each row, shape (n,); multiclass only."""
        return np.asarray(self.indicator.indices, np.int64)

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())

    @cached_property
    def class_totals(self) -> Doubles:
        """Sum of the weights of each class's rows, shape (classes,)."""
        return np.asarray(self.indicator.T.astype(np.float64) @ self.weights)

    def dense(self) -> NDArray[np.bool_]:
        """Dense labels, shape (n, classes)."""
        return np.asarray(self.indicator.toarray() > 0)

    def rows(self, index: Integers) -> Targets:
        """Select rows by their numbers."""
        return Targets(self.kind, self.indicator[index], self.weights[index])

    def learnable_classes(self) -> Integers:
        """Numbers of the classes that can be learned: with a row (multiclass), or with and without (multilabel)."""
        counts = np.bincount(self.indicator.indices, minlength=self.classes)
        is_learnable = (counts > 0) if self.kind == "multiclass" else (counts > 0) & (counts < len(self))
        return np.flatnonzero(is_learnable).astype(np.int64)

    @property
    def is_constant(self) -> bool:
        """True if there is nothing to tell apart: fewer than two classes, or no label that some rows have only."""
        return len(self.learnable_classes()) < (2 if self.kind == "multiclass" else 1)

    def of_classes(self, numbers: Integers) -> Targets:
        """Select classes by their numbers."""
        return replace(self, indicator=self.indicator[:, numbers])

    def balanced(self) -> Targets:
        """Multiply multiclass weights so that all classes have the same total, and the sum of all is unchanged."""
        factors = self.total / (self.classes * self.class_totals)
        return replace(self, weights=self.weights * factors[self.numbers])


def make_targets(
    truth: NDArray[np.bool_] | Integers | LabelMatrix,
    *,
    kind: Kind,
    classes: int,
    rows: int,
    sample_weight: Floats | None,
) -> Targets:
    """Check labels and weights, and convert them.

    Args:
        truth: Class numbers, shape (n,) (multiclass), or a mask of shape (n, classes).
        rows: Number of rows of the features.
        sample_weight: At least 0, shape (n,); all 1 by default.

    Raises:
        DataError: Shapes do not match, a class number is out of range, a multiclass row does not have exactly one
            label, or a weight is negative or not finite.
    """
    weights = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if weights.shape != (rows,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError(
            f"{rows:,} rows need one finite weight of at least 0 each, got shape {weights.shape}",
            field="sample_weight",
            remedy="pass one weight per row of the features, or None",
        )
    if kind not in {"multiclass", "multilabel"}:
        raise DataError("unknown kind of labels", field="kind", value=kind, allowed=("multiclass", "multilabel"))
    matrix, bad_rows = None, np.empty(0, np.int64)
    if isinstance(truth, LabelMatrix) or truth.ndim == 2:
        matrix = LabelMatrix.from_dense(truth if isinstance(truth, LabelMatrix) else truth.astype(bool))
        bad_rows = np.flatnonzero(matrix.label_counts != 1) if kind == "multiclass" else bad_rows
    elif kind == "multiclass" and truth.ndim == 1:
        numbers, shape = truth.astype(np.int64), (len(truth), classes)
        bad_rows = np.flatnonzero((numbers < 0) | (numbers >= classes))
        matrix = None if len(bad_rows) else LabelMatrix.from_pairs(np.arange(len(truth)), numbers, shape)
    if len(bad_rows):
        raise DataError(
            f"multiclass rows need exactly one of {classes:,} classes: {len(bad_rows):,} rows have none or another, "
            f"for example rows {join_names(bad_rows, MAX_LISTED)}",
            field="truth",
            remedy="pass class numbers from 0, and leave unlabeled rows out",
        )
    if matrix is None or matrix.shape != (rows, classes):
        raise DataError(
            f"labels of shape {truth.shape} do not match {rows:,} rows and {classes:,} classes",
            field="truth",
            remedy="pass class numbers of shape (rows,), or a mask of shape (rows, classes)",
        )
    values = np.ones(len(matrix.numbers), np.float32)
    return Targets(kind, sp.csr_array((values, matrix.numbers, matrix.starts), shape=matrix.shape), weights)


def absent_log_odds(total: float) -> float:
    """Log-odds of a class that no training row has: half a row among all and that half.

    Args:
        total: Sum of the weights of the training rows.
    """
    return float(np.log(0.5) - np.log(total + 0.5))


def row_losses(logits: Floats | Doubles, targets: Targets) -> Doubles:
    """Negative log-likelihood of each row, shape (n,); for multilabel the sum over classes."""
    if targets.kind == "multilabel":
        signed = np.where(targets.dense(), -logits, logits)
        return np.asarray(np.logaddexp(0, signed).sum(axis=1, dtype=np.float64))
    largest = logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(logits - largest).sum(axis=1, dtype=np.float64)) + largest[:, 0]
    return np.asarray(log_total - logits[np.arange(len(targets)), targets.numbers])
