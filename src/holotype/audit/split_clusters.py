"""Split duplicate clusters where a reviewer decided that some images are not duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from holotype.audit.duplicates import Duplicates, renumber_clusters
from holotype.audit.hamming_search import connected
from holotype.types import AuditReport, Integers


def duplicates_of(report: AuditReport, images: int) -> Duplicates:
    """Duplicates of an audit report."""
    cluster = np.full(images, -1, np.int64)
    cluster[report.clusters["row"].to_numpy()] = report.clusters["cluster"].to_numpy()
    return Duplicates(cluster, report.duplicate_pairs)


def split_clusters(same: Duplicates, parts: Sequence[Integers]) -> tuple[Duplicates, list[bool]]:
    """Remove images from their clusters; removed images that are linked to each other stay clustered.

    Returns the remaining duplicates, and whether each part was removed; a part with the same pixels as the rest is not.
    """
    cluster, links = same.cluster.copy(), same.pairs
    left = []
    for part in parts:
        across = links.filter(pl.col("row").is_in(part.tolist()) != pl.col("other").is_in(part.tolist()))
        left.append(not (across["kind"] == "exact").any())
        if not left[-1]:
            continue
        links = links.join(across, on=["row", "other"], how="anti")
        inside = links.filter(pl.col("row").is_in(part.tolist()))
        ends = [np.searchsorted(part, inside[name].to_numpy()).astype(np.int64) for name in ("row", "other")]
        cluster[part] = cluster.max() + 1 + connected(len(part), *ends)
    if not any(left):
        return same, left
    number = renumber_clusters(cluster)
    tails, heads = (number[links[name].to_numpy()] for name in ("row", "other"))
    is_inside = pl.Series((tails == heads) & (tails >= 0), dtype=pl.Boolean)
    placed = links.with_columns(pl.Series("cluster", tails, dtype=pl.Int64))
    return Duplicates(number, placed.filter(is_inside).sort("cluster", "row", "other")), left
