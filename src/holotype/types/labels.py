"""Which classes rows have, without a column for every class that they do not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.digest import digest_array, digest_value

__all__ = ["LabelMatrix"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelMatrix:
    """A matrix of True and False by row and class, of which only the places of True are held.

    Args:
        starts: Where the classes of each row begin in `numbers`, shape (rows + 1,).
        numbers: The classes of the first row, of the second and so on, ascending within a row, each once.
        classes: How many classes there are.
    """

    starts: Integers
    numbers: Integers
    classes: int

    @classmethod
    def from_dense(cls, labels: NDArray[np.bool_] | LabelMatrix) -> LabelMatrix:
        """A matrix as one of these; one that is one already stays as it is.

        Args:
            labels: Shape (rows, classes).
        """
        if isinstance(labels, LabelMatrix):
            return labels
        rows, numbers = np.nonzero(labels)
        return cls.from_pairs(rows, numbers, (labels.shape[0], labels.shape[1]))

    @classmethod
    def from_pairs(cls, rows: Integers, numbers: Integers, shape: tuple[int, int]) -> LabelMatrix:
        """A matrix from its places of True.

        Args:
            rows: The row of each place, shape (k,), in any order.
            numbers: The class of each place, shape (k,).
            shape: Rows and classes.
        """
        flat = np.unique(np.asarray(rows, np.int64) * shape[1] + np.asarray(numbers, np.int64))
        lengths = np.bincount(flat // max(shape[1], 1), minlength=shape[0])
        return cls(np.append(0, np.cumsum(lengths)), flat % max(shape[1], 1), shape[1])

    @classmethod
    def empty(cls, rows: int, classes: int) -> LabelMatrix:
        """A matrix without a True.

        Args:
            rows: How many rows.
            classes: How many classes.
        """
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
        """How many classes each row has, shape (rows,)."""
        return np.diff(self.starts)

    @property
    def row_indices(self) -> Integers:
        """The row of each entry of `numbers`."""
        return np.repeat(np.arange(len(self)), self.label_counts)

    @property
    def flat_indices(self) -> Integers:
        """Every place of True as one number, row * classes + class, ascending."""
        return self.row_indices * self.classes + self.numbers

    def rows(self, rows: Any) -> LabelMatrix:
        """Some rows as a matrix of this kind; indexing gives the same as an array of True and False.

        Args:
            rows: Numbers of rows, a mask or a slice.
        """
        row_numbers = np.arange(len(self))[rows]
        lengths = self.label_counts[row_numbers]
        ends = np.cumsum(lengths)
        within = np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)
        return LabelMatrix(
            np.append(0, ends), self.numbers[np.repeat(self.starts[:-1][row_numbers], lengths) + within], self.classes
        )

    def with_rows(self, rows: Integers, labels: NDArray[np.bool_] | LabelMatrix) -> LabelMatrix:
        """The matrix with other labels in some rows.

        Args:
            rows: Numbers of rows, each once, shape (n,).
            labels: Their labels, shape (n, classes).
        """
        new, is_unchanged = LabelMatrix.from_dense(labels), ~np.isin(self.row_indices, rows)
        owners = np.concatenate([self.row_indices[is_unchanged], np.asarray(rows)[new.row_indices]])
        return LabelMatrix.from_pairs(owners, np.concatenate([self.numbers[is_unchanged], new.numbers]), self.shape)

    def counts(self) -> Integers:
        """How many rows have each class, shape (classes,)."""
        return np.bincount(self.numbers, minlength=self.classes).astype(np.int64)

    def rarest_class_count(self, counts: Integers, otherwise: int) -> Integers:
        """The smallest count among the classes of each row.

        Args:
            counts: Of each class, shape (classes,).
            otherwise: For a row without a class.

        Returns:
            Shape (rows,).
        """
        lowest = np.full(len(self), otherwise, np.int64)
        np.minimum.at(lowest, self.row_indices, counts[self.numbers])
        return lowest

    def lists(self) -> list[list[int]]:
        """The classes of each row, ascending."""
        return [part.tolist() for part in np.split(self.numbers, self.starts[1:-1])] if len(self) else []

    def any(self) -> bool:
        """Whether any row has a class."""
        return bool(len(self.numbers))

    def equals(self, other: LabelMatrix) -> bool:
        """Whether two matrices are the same.

        Args:
            other: Of any shape.
        """
        parts = ((self.starts, other.starts), (self.numbers, other.numbers))
        return self.shape == other.shape and all(np.array_equal(left, right) for left, right in parts)

    def digest(self) -> str:
        """The digest of shape and content."""
        return digest_value([*self.shape, digest_array(self.starts), digest_array(self.numbers)])
