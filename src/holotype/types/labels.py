"""Sparse label matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.digest import digest_array, digest_value

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """Sparse boolean matrix of rows and classes, in compressed sparse row form.

    Args:
        starts: Start of each row in `numbers`, shape (rows + 1,).
        numbers: Class numbers, row by row, ascending within a row, each once.
        classes: Number of classes.
    """

    starts: Integers
    numbers: Integers
    classes: int

    @classmethod
    def from_dense(cls, labels: NDArray[np.bool_] | LabelMatrix) -> LabelMatrix:
        """Convert a dense matrix, shape (rows, classes); a sparse one is returned as it is."""
        if isinstance(labels, LabelMatrix):
            return labels
        rows, numbers = np.nonzero(labels)
        return cls.from_pairs(rows, numbers, (labels.shape[0], labels.shape[1]))

    @classmethod
    def from_pairs(cls, rows: Integers, numbers: Integers, shape: tuple[int, int]) -> LabelMatrix:
        """Make a matrix of a shape (rows, classes) from the row and the class of each True entry, in any order."""
        flat = np.unique(np.asarray(rows, np.int64) * shape[1] + np.asarray(numbers, np.int64))
        lengths = np.bincount(flat // max(shape[1], 1), minlength=shape[0])
        return cls(np.append(0, np.cumsum(lengths)), flat % max(shape[1], 1), shape[1])

    @classmethod
    def empty(cls, rows: int, classes: int) -> LabelMatrix:
        """Make a matrix without True entries."""
        return cls(np.zeros(rows + 1, np.int64), np.empty(0, np.int64), classes)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: Any) -> NDArray[np.bool_]:
        part = self.rows(rows)
        dense = np.zeros(part.shape, bool)
        dense[part.row_indices, part.numbers] = True
        return dense

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and classes."""
        return len(self), self.classes

    @property
    def size(self) -> int:
        """Rows times classes."""
        return len(self) * self.classes

    @property
    def label_counts(self) -> Integers:
        """Number of classes of each row, shape (rows,)."""
        return np.diff(self.starts)

    @property
    def row_indices(self) -> Integers:
        """Row of each entry of `numbers`."""
        return np.repeat(np.arange(len(self)), self.label_counts)

    @property
    def flat_indices(self) -> Integers:
        """Flat index of each True entry, row * classes + class, ascending."""
        return self.row_indices * self.classes + self.numbers

    def rows(self, rows: Any) -> LabelMatrix:
        """Sparse matrix of some rows (numbers, a mask or a slice); indexing gives a dense one."""
        row_numbers = np.arange(len(self))[rows]
        lengths = self.label_counts[row_numbers]
        ends = np.cumsum(lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
        return LabelMatrix(
            np.append(0, ends), self.numbers[np.repeat(self.starts[:-1][row_numbers], lengths) + within], self.classes
        )

    def with_rows(self, rows: Integers, labels: NDArray[np.bool_] | LabelMatrix) -> LabelMatrix:
        """Replace the labels of some rows, each named once, by labels of shape (n, classes)."""
        new, is_unchanged = LabelMatrix.from_dense(labels), ~np.isin(self.row_indices, rows)
        owners = np.concatenate([self.row_indices[is_unchanged], np.asarray(rows)[new.row_indices]])
        return LabelMatrix.from_pairs(owners, np.concatenate([self.numbers[is_unchanged], new.numbers]), self.shape)

    def counts(self) -> Integers:
        """Number of rows of each class, shape (classes,)."""
        return np.bincount(self.numbers, minlength=self.classes).astype(np.int64)

    def rarest_class_count(self, counts: Integers, otherwise: int) -> Integers:
        """Smallest count among the classes of each row, shape (rows,).

        `counts`: count of each class, shape (classes,).
        """
        lowest = np.full(len(self), otherwise, np.int64)
        np.minimum.at(lowest, self.row_indices, counts[self.numbers])
        return lowest

    def lists(self) -> list[list[int]]:
        """Classes of each row, ascending."""
        return [part.tolist() for part in np.split(self.numbers, self.starts[1:-1])] if len(self) else []

    def any(self) -> bool:
        """Return True if any row has a class."""
        return bool(len(self.numbers))

    def equals(self, other: LabelMatrix) -> bool:
        """Compare two matrices, which may differ in shape."""
        parts = ((self.starts, other.starts), (self.numbers, other.numbers))
        return self.shape == other.shape and all(np.array_equal(left, right) for left, right in parts)

    def digest(self) -> str:
        """Digest of shape and content."""
        return digest_value([*self.shape, digest_array(self.starts), digest_array(self.numbers)])
