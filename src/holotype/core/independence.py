"""Independent groups: the connected components of samples under group columns and duplicates.

Folds, bootstraps, cross-fitting, subset scores and comparisons all count these groups. They are a fact about the data:
`split.keep_together` may let a group cross the folds, and the group is resampled as one all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from holotype.types import ImageTable, Integers

__all__ = ["UNKNOWN_GROUP", "components", "few_groups_warning", "group_numbers", "independent_groups"]

UNKNOWN_GROUP = -1
"""The part of samples that tie nothing, and the number of a row that a column does not tie."""


def independent_groups(
    images: ImageTable, clusters: pl.DataFrame, *, columns: Sequence[str] | None = None, parts: Integers | None = None
) -> Integers:
    """Independent groups of samples: connected components under group columns and clusters of duplicates.

    Two samples of one plate are in one group, two copies of a picture are, and whoever shares a plate with one of the
    copies. An unknown group ties nothing.

    Args:
        images: The table.
        clusters: Clusters of duplicates: columns `cluster` and `row` (of an image), as in `AuditReport.clusters`.
        columns: Names of the group columns that count; all of them where none are given.
        parts: The part of each sample, shape (samples,): samples of two parts never tie each other, and those of
            `NOTHING` are groups of their own. One part holds all samples where none is given.

    Returns:
        The group of each sample, shape (samples,), numbered from 0.
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
    """The warning that a score of one or two independent groups needs; none for more.

    Args:
        samples: How many samples were scored.
        groups: How many independent groups they form.
    """
    if groups > 2:
        return None
    scored = f"The {samples:,} scored samples are" if samples > 1 else "The one scored sample is"
    if groups == 2:
        return (
            f"{scored} of two independent groups only: the interval rests on one difference between two groups, and "
            "how scores vary from group to group is hardly known. Score on more groups before you believe it."
        )
    return (
        f"{scored} of one independent group: nothing is known of how scores vary from group to group, and the interval "
        "holds everything that is possible. Score on more groups before you believe it."
    )


def group_numbers(column: pl.Series) -> Integers:
    """The values of a group column as numbers from 0; `NOTHING` where one is unknown.

    Args:
        column: One value a row.
    """
    return column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64) - 1


def components(samples: Integers, ties: Sequence[Integers]) -> Integers:
    """Connected components of samples, where rows of equal number in any of the ties are connected.

    Args:
        samples: The sample of each row, shape (rows,), numbered from 0.
        ties: For each way of belonging together the number of each row, shape (rows,); a negative one ties nothing.

    Returns:
        The component of each sample, shape (samples,), numbered from 0.
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
