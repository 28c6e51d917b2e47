"""What is known of the images: the table, the statistics, the audit and the folds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = [
    "AuditReport",
    "Floats",
    "Folds",
    "ImageStatistics",
    "ImageTable",
    "Integers",
    "Kind",
    "Labels",
    "Normalisation",
]

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Kind = Literal["multiclass", "multilabel"]


@dataclass(frozen=True)
class ImageTable:
    """One row an image.

    Args:
        frame: Columns `id`, `sample`, `role` (train, external or test), `files` (list of paths), `labels` (list of
            class numbers, null where unknown), `domain` (null without one), and `group.<name>` for every group column.
        classes: The class names in order.
        kind: One label a sample, or many.
        channels: The channels' names, where the recipe gives them.
        taxonomy: Columns of ranks by class, where there is one.
    """

    frame: pl.DataFrame
    classes: tuple[str, ...]
    kind: Kind
    channels: tuple[str, ...] | None = None
    taxonomy: pl.DataFrame | None = None

    def __len__(self) -> int:
        return self.frame.height

    @property
    def group_names(self) -> tuple[str, ...]:
        """The group columns' names."""
        return tuple(name.removeprefix("group.") for name in self.frame.columns if name.startswith("group."))

    @cached_property
    def sample_numbers(self) -> Integers:
        """The number of each row's sample, shape (rows,); samples are numbered by first appearance."""
        return self._sample_codes[0]

    @cached_property
    def samples(self) -> Labels:
        """The samples with what is known of them, one row a sample."""
        _, first = self._sample_codes
        frame = self.frame[first]
        return Labels(frame.drop("files"), first, self.classes, self.kind)

    @cached_property
    def _sample_codes(self) -> tuple[Integers, Integers]:
        ids = self.frame["sample"].to_numpy()
        _, first, inverse = np.unique(ids.astype(str), return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return rank[inverse].astype(np.int64), first[order].astype(np.int64)

    def rows_of_role(self, *roles: str) -> Integers:
        """The rows that have one of some roles.

        Args:
            *roles: `train`, `external` or `test`.
        """
        return np.flatnonzero(self.frame["role"].is_in(list(roles)).to_numpy()).astype(np.int64)

    def files_of_row(self, row: int) -> list[Path]:
        """The files of one image, in the order of the channels.

        Args:
            row: The row.
        """
        return [Path(name) for name in self.frame["files"][int(row)]]


@dataclass(frozen=True)
class Labels:
    """The samples: id, role, labels, groups and domain; one row a sample.

    Args:
        frame: The columns of the image table without `files`.
        first_rows: The image row each sample appears in first, shape (samples,).
        classes: The class names in order.
        kind: One label a sample, or many.
    """

    frame: pl.DataFrame
    first_rows: Integers
    classes: tuple[str, ...]
    kind: Kind

    def __len__(self) -> int:
        return self.frame.height

    def of_role(self, *roles: str) -> Integers:
        """The numbers of the samples that have one of some roles.

        Args:
            *roles: `train`, `external` or `test`.
        """
        return np.flatnonzero(self.frame["role"].is_in(list(roles)).to_numpy()).astype(np.int64)

    def matrix(self, samples: Integers) -> NDArray[np.bool_]:
        """Which classes some samples have.

        Args:
            samples: Sample numbers, shape (n,).

        Returns:
            Shape (n, classes); a row of False where the labels are unknown.
        """
        known = np.zeros((len(samples), len(self.classes)), dtype=bool)
        lists = self.frame["labels"].gather(samples)
        lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = lists.drop_nulls().explode(empty_as_null=False).to_numpy() if lengths.sum() else np.empty(0, np.int64)
        known[np.repeat(np.arange(len(samples)), lengths), flat.astype(np.int64)] = True
        return known


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel over the labelled images, in the files' own units.

    Args:
        mean: One a channel.
        deviation: One a channel, above zero.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True)
class ImageStatistics:
    """What one pass over the pixels found.

    Args:
        frame: One row an image: `id`, `height`, `width`, `channels`, `depth` (the pixels' type), `digest` (of the
            pixels), `mean`, `deviation`, `low`, `high`, `nonzero` (lists, one a channel), `error` (null, or why the
            image cannot be read).
        normalisation: Over the labelled images that could be read.
    """

    frame: pl.DataFrame
    normalisation: Normalisation


@dataclass(frozen=True)
class AuditReport:
    """What the audit found.

    Args:
        clusters: One row a duplicate image: `cluster`, `row`, `id`, `role`, `action` (what was done about it).
        conflicts: One row a cluster whose samples have different labels: `cluster`, `ids`, `labels`.
        left_out: Numbers of the image rows that never train.
        warnings: Sentences for people.
    """

    clusters: pl.DataFrame
    conflicts: pl.DataFrame
    left_out: Integers
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folds:
    """Which fold each sample belongs to.

    Args:
        frame: `id`, `sample`, `fold` (null for test rows), `role`; one row an image.
        fold_of_sample: Shape (samples,); -1 for test samples. External samples have a fold too: it is the one whose
            model they do not train, so that their duplicates and groups never cross.
        count: How many folds there are.
        used: The folds that are trained and scored.
        left_out: Samples that never train, shape (n,).
        warnings: Sentences for people.
    """

    frame: pl.DataFrame
    fold_of_sample: Integers
    count: int
    used: tuple[int, ...]
    left_out: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    warnings: tuple[str, ...] = ()
