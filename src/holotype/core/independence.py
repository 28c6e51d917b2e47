"""Independent groups: the connected components of samples under group columns and duplicates.

Folds, bootstraps, cross-fitting, subset scores and comparisons all resample these groups. They are a property of the
data: `split.keep_together` may let a group cross the folds, and bootstraps still resample it as one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from holotype.types import ImageTable, Integers

UNKNOWN_GROUP = -1
"""Group number of a row whose group is unknown, and the part of samples that are groups of their own."""


def independent_groups(
    images: ImageTable, clusters: pl.DataFrame, *, columns: Sequence[str] | None = None, parts: Integers | None = None
) -> Integers:
    """Independent groups of samples: connected components under group columns and clusters of duplicates.

    Samples are connected by a shared plate, by being duplicates, or through other samples. An unknown group connects
    nothing. `clusters`: clusters of duplicates: columns `cluster` and `row` (image row), as in `AuditReport.clusters`;
    `parts`: part of each sample, shape (samples,). Samples of different parts are never connected, and samples of the
    part `UNKNOWN_GROUP` are groups of their own. All samples are in one part by default. Returns group of each sample,
    shape (samples,), numbered from 0.
    """
    cluster = np.full(len(images), UNKNOWN_GROUP, np.int64)
    cluster[clusters["row"].to_numpy()] = clusters["cluster"].to_numpy()
    names = images.group_names if columns is None else columns
    ties = [*(group_numbers(images.frame[f"group.{name}"]) for name in names), cluster]
    if parts is not None:
        part = parts[images.sample_numbers]
        ties = [np.where(part < 0, UNKNOWN_GROUP, tie) for tie in ties]
        ties = [np.where(tie < 0, UNKNOWN_GROUP, tie * (int(parts.max()) + 1) + part) for tie in ties]
    return components(images.sample_numbers, ties)


def few_groups_warning(samples: int, groups: int) -> str | None:
    """Warning for a score of one or two independent groups; none for more."""
    if groups > 2:
        return None
    scored = f"The {samples:,} scored samples are" if samples > 1 else "The only scored sample is"
    if groups == 2:
        return (
            f"{scored} of two independent groups only: the interval rests on a single difference between groups, so "
            "the variation between groups is hardly known. Score on more groups before you rely on it."
        )
    return (
        f"{scored} of one independent group: the variation between groups is unknown, and the interval covers all "
        "possible scores. Score on more groups before you rely on it."
    )


def group_numbers(column: pl.Series) -> Integers:
    """Group column as numbers from 0; unknown values are `UNKNOWN_GROUP`."""
    return column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64) - 1


def components(samples: Integers, ties: Sequence[Integers]) -> Integers:
    """Connected components of samples; rows with equal numbers in any of the ties are connected.

    `samples`: sample of each row, shape (rows,), numbered from 0; `ties`: arrays of group numbers, each of shape
    (rows,); negative numbers connect nothing. Returns component of each sample, shape (samples,), numbered from 0.
    """
    count = int(samples.max()) + 1 if len(samples) else 0
    tails, heads, nodes = [], [], count
    for tie in ties:
        rows = np.flatnonzero(tie >= 0)
        if len(rows):
            codes = np.unique(tie[rows], return_inverse=True)[1]
            tails.append(samples[rows])
            heads.append(codes + nodes)
            nodes += int(codes.max()) + 1
    if not tails:
        return np.arange(count, dtype=np.int64)
    tail, head = np.concatenate(tails), np.concatenate(heads)
    graph = sp.coo_array((np.ones(len(tail), np.int8), (tail, head)), shape=(nodes, nodes)).tocsr()
    _, component = connected_components(graph, directed=False)
    return np.unique(component[:count], return_inverse=True)[1].astype(np.int64)
