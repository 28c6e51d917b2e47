"""What is tied to what, directly: by sample, group or duplicate, whatever the role of the images."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.split.components import components
from holotype.types import AuditReport, ImageTable, Integers

__all__ = ["duplicate_components", "tied_images"]


def tied_images(images: ImageTable, report: AuditReport, rows: Integers) -> NDArray[np.bool_]:
    """The images that share a sample, a group or a cluster of duplicates with any of some images.

    Args:
        images: The table.
        report: Knows the clusters.
        rows: Image rows, shape (n,).

    Returns:
        Shape (image rows,); the images themselves are among them.
    """
    columns = [images.sample_numbers, _cluster_of_row(images, report)]
    for name in images.group_names:
        ranks = images.frame[f"group.{name}"].rank("dense").cast(pl.Int64).fill_null(0)
        columns.append(ranks.to_numpy().astype(np.int64) - 1)
    tied = np.zeros(len(images), bool)
    for numbers in columns:
        own = numbers[rows]
        tied |= np.isin(numbers, own[own >= 0])
    return tied


def duplicate_components(images: ImageTable, report: AuditReport) -> Integers:
    """Which samples are one picture under several names, whatever was done about it.

    Args:
        images: The table.
        report: Knows the clusters.

    Returns:
        A number a sample, shape (samples,).
    """
    return components(images.sample_numbers, [_cluster_of_row(images, report)])


def _cluster_of_row(images: ImageTable, report: AuditReport) -> Integers:
    cluster = np.full(len(images), -1, np.int64)
    cluster[report.clusters["row"].to_numpy()] = report.clusters["cluster"].to_numpy()
    return cluster
