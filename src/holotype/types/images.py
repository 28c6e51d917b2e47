"""What is known of the images: the table, the statistics, the audit and the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import HolotypeError
from holotype.types.labels import LabelMatrix
from holotype.types.taxonomy import NO_RANKS, Ranks, taxonomy_ranks
from holotype.types.topk_scores import MANY_CLASSES, AnyLabels

__all__ = [
    "DUPLICATE_PAIRS",
    "IMAGE_PROBLEMS",
    "LABEL_COOCCURRENCE",
    "TRAIN_TEST_FEATURES",
    "TRAIN_TEST_SIMILARITY",
    "AuditReport",
    "Floats",
    "Folds",
    "ImageStatistics",
    "ImageTable",
    "Integers",
    "Kind",
    "Labels",
    "Normalization",
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
        taxonomy: Where there is one, a row a class in their order: `class`, and a column a rank.
        projection: How planes or times of a file become one (`data.projection`); None refuses files of several.
        notes: What was guessed or passed over when the tables were read, in sentences.
    """

    frame: pl.DataFrame
    classes: tuple[str, ...]
    kind: Kind
    channels: tuple[str, ...] | None = None
    taxonomy: pl.DataFrame | None = None
    projection: str | None = None
    notes: tuple[str, ...] = ()

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
    def ranks(self) -> Ranks:
        """The ranks of the taxonomy; none where there is none."""
        return taxonomy_ranks(self.taxonomy)

    @cached_property
    def samples(self) -> Labels:
        """The samples with what is known of them, one row a sample."""
        _, first = self._sample_codes
        frame = self.frame[first]
        return Labels(frame.drop("files"), first, self.classes, self.kind, self.ranks)

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

    @property
    def has_files(self) -> bool:
        """Whether there are images at all, and not only rows."""
        return bool(self.frame["files"].list.len().max())

    def files_of_row(self, row: int) -> list[str]:
        """The files of one image, in the order of the channels: paths or addresses.

        Args:
            row: The row.
        """
        return list(self.frame["files"][int(row)])


@dataclass(frozen=True)
class Labels:
    """The samples: id, role, labels, groups and domain; one row a sample.

    Args:
        frame: The columns of the image table without `files`.
        first_rows: The image row each sample appears in first, shape (samples,).
        classes: The class names in order.
        kind: One label a sample, or many.
        ranks: Above the classes, where there is a taxonomy.
    """

    frame: pl.DataFrame
    first_rows: Integers
    classes: tuple[str, ...]
    kind: Kind
    ranks: Ranks = NO_RANKS

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
        return self.label_matrix(samples)[:]

    def label_matrix(self, samples: Integers) -> LabelMatrix:
        """Which classes some samples have, without a column for every class.

        Args:
            samples: Sample numbers, shape (n,).

        Returns:
            Shape (n, classes); a row without a class where the labels are unknown.
        """
        lists = self.frame["labels"].gather(samples)
        lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = lists.drop_nulls().explode(empty_as_null=False).to_numpy() if lengths.sum() else np.empty(0, np.int64)
        rows = np.repeat(np.arange(len(samples)), lengths)
        return LabelMatrix.from_pairs(rows, flat.astype(np.int64), (len(samples), len(self.classes)))

    def truth(self, samples: Integers) -> AnyLabels:
        """Which classes some samples have, in the form in which their scores are kept.

        Args:
            samples: Sample numbers, shape (n,).

        Returns:
            Shape (n, classes); a `LabelMatrix` above 2,000 classes.
        """
        return self.label_matrix(samples) if len(self.classes) > MANY_CLASSES else self.matrix(samples)


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel over the labelled images, in the files' own units.

    Args:
        mean: One a channel.
        deviation: One a channel, above zero.
        low: The least value a channel that is taken as it is; none where every value is.
        high: The largest.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    def as_facts(self) -> dict[str, tuple[float, ...]]:
        """As a network's card has it."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Sequence[float]]) -> Normalization:
        """As a network's card gave it.

        Args:
            facts: From `as_facts`.
        """
        return cls(**{name: tuple(facts[name]) for name in ("mean", "deviation", "low", "high") if name in facts})


@dataclass(frozen=True)
class ImageStatistics:
    """What one pass over the pixels found.

    Args:
        frame: One row an image: `id`, `height`, `width`, `channels`, `depth` (the pixels' type), `digest` (of the
            pixels), `fingerprint` (bytes by which images that look alike are found), `error` (null, or why the image
            cannot be read), and what `holotype.data.channel_statistics` says of its channels and of them together.
        normalization: Over the labelled images that could be read.
    """

    frame: pl.DataFrame
    normalization: Normalization


DUPLICATE_PAIRS = {
    "cluster": pl.Int64,
    "row": pl.Int64,
    "other": pl.Int64,
    "kind": pl.String,
    "bits": pl.Int64,
    "similarity": pl.Float64,
}
IMAGE_PROBLEMS = {
    name: pl.Int64 if name == "row" else pl.String for name in ("row", "id", "role", "problem", "detail", "action")
}
LABEL_COOCCURRENCE = {
    "class": pl.String,
    "other": pl.String,
    "samples": pl.Int64,
    "samples_with_both": pl.Int64,
    "share": pl.Float64,
    "lift": pl.Float64,
}
TRAIN_TEST_SIMILARITY = {"sample": pl.String, "test_probability": pl.Float64, "in_holdout": pl.Boolean}
TRAIN_TEST_FEATURES = {"feature": pl.String, "importance": pl.Float64, "auc": pl.Float64}


@dataclass(frozen=True)
class AuditReport:
    """What the audit found.

    Args:
        clusters: One row a duplicate image: `cluster`, `row`, `id`, `role`, `action` (what was done about it).
        conflicts: One row a cluster whose samples have different labels: `cluster`, `ids`, `labels`.
        left_out: Numbers of the image rows that never train.
        warnings: Sentences for people.
        duplicate_pairs: One row a confirmed pair of duplicates: `cluster`, `row`, `other` (image rows, row < other),
            `kind` (`exact` or `near`), `bits` (by which the hashes differ) and `similarity` (of the pixels, at most 1).
        image_problems: One row a fault of an image: `row`, `id`, `role`, `problem` (unreadable, empty, saturated,
            range, no data, size, depth or channels), `detail` (in words), `action` (`skipped` or `reported`).
        label_cooccurrence: One row an ordered pair of classes that stand together: `class`, `other`, `samples` (that
            have the class), `together` (that have both), `share` (together / samples) and `lift` (share over the
            other's own).
        unreadable: Numbers of the image rows that nobody reads, of any role; empty unless they are skipped.
        validation: Numbers of the external image rows that duplicate a test row and are a validation set of their own.
    """

    clusters: pl.DataFrame
    conflicts: pl.DataFrame
    left_out: Integers
    warnings: tuple[str, ...] = ()
    duplicate_pairs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DUPLICATE_PAIRS))
    image_problems: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=IMAGE_PROBLEMS))
    label_cooccurrence: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LABEL_COOCCURRENCE))
    unreadable: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    validation: Integers = field(default_factory=lambda: np.empty(0, np.int64))


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
        validation: External samples that duplicate test samples: they never train, every network predicts them, and
            they are scored apart; a part of `left_out`.
        unreadable: Image rows that nobody can read, of any role: never trained on, never predicted.
        train_test_similarity: Where folds were drawn by likeness to the test rows, one row a training sample: `sample`,
            `train_test_similarity` (out-of-fold probability of being a test row), `chosen`.
        train_test_features: What tells training rows from test rows, likeliest first: `feature`, `importance`, `auc`.
        component: What the split keeps together (`split.keep_together`), shape (samples,): no component crosses a fold.
        independent_groups: The independent group of each sample, shape (samples,): its component under group columns
            and duplicates, whatever the split keeps together. Bootstraps and cross-fitting count these.
    """

    frame: pl.DataFrame
    fold_of_sample: Integers
    count: int
    used: tuple[int, ...]
    left_out: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    warnings: tuple[str, ...] = ()
    validation: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    unreadable: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    train_test_similarity: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TRAIN_TEST_SIMILARITY))
    train_test_features: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TRAIN_TEST_FEATURES))
    component: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    independent_groups: Integers = field(default_factory=lambda: np.empty(0, np.int64))

    def groups_of(self, samples: Integers) -> Integers:
        """The independent groups of some samples, shape (n,).

        Args:
            samples: Sample numbers, shape (n,).

        Raises:
            HolotypeError: The folds were made without independent groups.
        """
        if not len(self.independent_groups):
            raise HolotypeError(
                "these folds do not know the independent groups of their samples",
                remedy="make them with holotype.split.make_folds",
            )
        return self.independent_groups[samples]
