"""Types of images and samples: table, labels, statistics, audit and folds."""

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

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Kind = Literal["multiclass", "multilabel"]


@dataclass(frozen=True)
class ImageTable:
    """Table of images.

    Args:
        frame: One row per image: `id`, `sample`, `role` (train, external or test), `files` (list of paths), `labels`
            (list of class numbers, null if unknown), `domain` (null without one), and `group.<name>` for every group
            column.
        taxonomy: One row per class, in order: `class`, and a column per rank; None without a taxonomy.
        projection: Projection of planes or times to one image (`data.projection`); None refuses files of several.
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
        """Names of the group columns."""
        return tuple(name.removeprefix("group.") for name in self.frame.columns if name.startswith("group."))

    @cached_property
    def sample_numbers(self) -> Integers:
        """Sample number of each row, shape (rows,); samples are numbered by first appearance."""
        return self._sample_codes[0]

    @cached_property
    def ranks(self) -> Ranks:
        """Ranks of the taxonomy."""
        return taxonomy_ranks(self.taxonomy)

    @cached_property
    def samples(self) -> SampleTable:
        """Table of samples."""
        _, first = self._sample_codes
        frame = self.frame[first]
        return SampleTable(frame.drop("files"), first, self.classes, self.kind, self.ranks)

    @cached_property
    def _sample_codes(self) -> tuple[Integers, Integers]:
        ids = self.frame["sample"].to_numpy()
        _, first, inverse = np.unique(ids.astype(str), return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return rank[inverse].astype(np.int64), first[order].astype(np.int64)

    def rows_of_role(self, *roles: str) -> Integers:
        """Numbers of the rows with some roles: `train`, `external` or `test`."""
        return np.flatnonzero(self.frame["role"].is_in(list(roles)).to_numpy()).astype(np.int64)

    @property
    def has_files(self) -> bool:
        """True if there are image files, and not only rows."""
        return bool(self.frame["files"].list.len().max())

    def files_of_row(self, row: int) -> list[str]:
        """Paths or URIs of one image, in the order of the channels."""
        return list(self.frame["files"][int(row)])


@dataclass(frozen=True)
class SampleTable:
    """Table of samples: id, role, labels, groups and domain.

    Args:
        frame: One row per sample, with the columns of the image table except `files`.
        first_rows: First image row of each sample, shape (samples,).
    """

    frame: pl.DataFrame
    first_rows: Integers
    classes: tuple[str, ...]
    kind: Kind
    ranks: Ranks = NO_RANKS

    def __len__(self) -> int:
        return self.frame.height

    def of_role(self, *roles: str) -> Integers:
        """Numbers of the samples with some roles: `train`, `external` or `test`."""
        return np.flatnonzero(self.frame["role"].is_in(list(roles)).to_numpy()).astype(np.int64)

    def matrix(self, samples: Integers) -> NDArray[np.bool_]:
        """Dense label matrix of some samples, shape (n, classes); a row of False for unknown labels."""
        return self.label_matrix(samples)[:]

    def label_matrix(self, samples: Integers) -> LabelMatrix:
        """Sparse label matrix of some samples, shape (n, classes); an empty row for unknown labels."""
        lists = self.frame["labels"].gather(samples)
        lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
        flat = lists.drop_nulls().explode(empty_as_null=False).to_numpy() if lengths.sum() else np.empty(0, np.int64)
        rows = np.repeat(np.arange(len(samples)), lengths)
        return LabelMatrix.from_pairs(rows, flat.astype(np.int64), (len(samples), len(self.classes)))

    def truth(self, samples: Integers) -> AnyLabels:
        """Labels of some samples, shape (n, classes): dense, or a `LabelMatrix` above 2,000 classes."""
        return self.label_matrix(samples) if len(self.classes) > MANY_CLASSES else self.matrix(samples)


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel over the labeled images, in the files' units.

    Args:
        low: Lower limit that a channel is clipped to; None without clipping.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    def as_facts(self) -> dict[str, tuple[float, ...]]:
        """Mapping for a network's card."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Sequence[float]]) -> Normalization:
        """Read the mapping of a network's card."""
        return cls(**{name: tuple(facts[name]) for name in ("mean", "deviation", "low", "high") if name in facts})


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of one pass over the pixels.

    Args:
        frame: One row per image: `id`, `height`, `width`, `channels`, `depth` (pixel type), `digest` (of the pixels),
            `fingerprint` (thumbnail for the search of similar images), `error` (null, or why the image cannot be read),
            and the columns of `holotype.data.channel_statistics`.
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
    """Findings of the audit.

    Args:
        clusters: One row per duplicate image: `cluster`, `row`, `id`, `role`, `action` (what was done about it).
        conflicts: One row per cluster whose samples have different labels: `cluster`, `ids`, `labels`.
        duplicate_pairs: One row per confirmed pair of duplicates: `cluster`, `row`, `other` (image rows, row < other),
            `kind` (`exact` or `near`), `bits` (Hamming distance of the hashes) and `similarity` (of the pixels, at most
            1).
        image_problems: One row per problem of an image: `row`, `id`, `role`, `problem` (unreadable, empty, saturated,
            range, no data, size, depth or channels), `detail` (in words), `action` (`skipped` or `reported`).
        label_cooccurrence: One row per ordered pair of classes that occur together: `class`, `other`, `samples` (with
            the class), `samples_with_both`, `share` (samples_with_both / samples) and `lift` (share over the other's
            frequency).
        unreadable: Image rows of any role that are not read; empty unless they are skipped.
        validation: External image rows that duplicate a test row and form a separate validation set.
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
    """Assignment of samples to folds.

    Args:
        frame: One row per image: `id`, `sample`, `fold` (null for test rows), `role`.
        fold_of_sample: Shape (samples,); -1 for test samples. An external sample's fold is the one whose model it does
            not train, so that its duplicates and groups never cross.
        left_out: Samples that never train, shape (n,).
        validation: External samples that duplicate test samples, a part of `left_out`: every network predicts them, and
            they are scored separately.
        unreadable: Image rows that cannot be read: neither trained on nor predicted.
        train_test_similarity: For a test-like holdout, one row per training sample: `sample`, `test_probability`
            (out-of-fold probability of being a test row), `in_holdout`.
        train_test_features: Features that distinguish training from test images, strongest first: `feature`,
            `importance`, `auc`.
        component: Component that the split keeps together (`split.keep_together`), shape (samples,).
        independent_groups: Independent group of each sample, shape (samples,): its component under group columns and
            duplicates, whatever the split keeps together. Bootstraps and cross-fitting resample these.
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
        """Independent groups of some samples, shape (n,)."""
        if not len(self.independent_groups):
            raise HolotypeError(
                "these folds do not know the independent groups of their samples",
                remedy="make them with holotype.split.make_folds",
            )
        return self.independent_groups[samples]
