"""Images that are the same, and what is done about them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.spec import OnLeakSpec
from holotype.types import ImageTable, Integers

__all__ = ["duplicate_actions", "duplicate_conflicts", "find_duplicates"]


def find_duplicates(digests: NDArray[np.str_]) -> Integers:
    """Clusters of equal digests.

    Args:
        digests: Digest of the pixels of each image, shape (n,); an empty one is like no other.

    Returns:
        The cluster of each image, shape (n,), numbered from 0 by first appearance; -1 for an image of its own.
    """
    values, first, inverse, counts = np.unique(
        np.asarray(digests, dtype=np.str_), return_index=True, return_inverse=True, return_counts=True
    )
    several = (counts > 1) & (values != "")
    number = np.full(len(values), -1, np.int64)
    by_first = np.flatnonzero(several)[np.argsort(first[several])]
    number[by_first] = np.arange(len(by_first))
    return number[inverse]


def duplicate_actions(clusters: Integers, roles: NDArray[np.str_], on_leak: OnLeakSpec) -> NDArray[np.str_]:
    """What is done about each duplicate.

    Args:
        clusters: The cluster of each image, shape (n,); -1 for none.
        roles: `train`, `external` or `test` for each image, shape (n,).
        on_leak: The recipe's `audit.on_leak` section.

    Returns:
        One word an image, shape (n,): `grouped` (shares a fold with the others that are grouped), `dropped` (never
        trains), `kept` (nothing is done), `reported` (a test image), or an empty string outside clusters.
    """
    actions = np.full(len(clusters), "", dtype="<U8")
    inside = clusters >= 0
    train, external, test = (inside & (roles == role) for role in ("train", "external", "test"))
    train_count, has_test = _count(clusters, train), _count(clusters, test) > 0

    dropped = np.zeros(len(clusters), bool)
    if on_leak.external_test == "drop":
        dropped |= external & has_test
    if on_leak.train_external == "drop":
        dropped |= external & (train_count > 0)
    if on_leak.within_train == "drop":
        rows = np.flatnonzero(train)
        dropped |= train
        dropped[rows[np.unique(clusters[rows], return_index=True)[1]]] = False

    grouped = np.zeros(len(clusters), bool)
    if on_leak.within_train == "group":
        grouped |= train & (train_count > 1)
    if on_leak.train_external == "group":
        external_count = _count(clusters, external & ~dropped)
        grouped |= (train & (external_count > 0)) | (external & (train_count > 0))

    actions[inside] = "kept"
    actions[test] = "reported"
    actions[grouped] = "grouped"
    actions[dropped] = "dropped"
    return actions


def duplicate_conflicts(images: ImageTable, clusters: Integers) -> pl.DataFrame:
    """The clusters whose labelled images carry different labels.

    Args:
        images: The table.
        clusters: The cluster of each image, shape (n,); -1 for none.

    Returns:
        `cluster`, `ids` and `labels` (class names joined by commas, one text an id).
    """
    rows = images.frame.select("id", "role", "labels").with_columns(pl.Series("cluster", clusters))
    labelled = rows.filter((pl.col("cluster") >= 0) & (pl.col("role") != "test") & pl.col("labels").is_not_null())
    as_text = pl.col("labels").list.sort().cast(pl.List(pl.String)).list.join(",")
    marked = labelled.with_columns(as_text.alias("set"))
    differing = marked.group_by("cluster").agg(pl.col("set").n_unique()).filter(pl.col("set") > 1)
    conflicts = marked.filter(pl.col("cluster").is_in(differing["cluster"].to_list()))
    names = [", ".join(images.classes[number] for number in sorted(numbers)) for numbers in conflicts["labels"]]
    named = conflicts.select("cluster", ids="id").with_columns(pl.Series("labels", names, dtype=pl.String))
    return named.group_by("cluster", maintain_order=True).agg("ids", "labels").sort("cluster")


def _count(clusters: Integers, chosen: NDArray[np.bool_]) -> Integers:
    """How many chosen images each image's cluster has; 0 outside clusters."""
    counts = np.bincount(clusters[chosen], minlength=int(clusters.max(initial=-1)) + 2)  # the last, -1, stays 0
    return counts[clusters]
