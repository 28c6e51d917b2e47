"""Images of the same independent group, whatever their role, and images that are one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holotype.core.independence import independent_groups
from holotype.types import AuditReport, ImageTable, Integers

__all__ = ["duplicate_components", "related_images"]


def related_images(images: ImageTable, report: AuditReport, rows: Integers) -> NDArray[np.bool_]:
    """The images that lie in the independent group of any of some images, images of all roles counted.

    Args:
        images: The table.
        report: Knows the clusters of duplicates.
        rows: Image rows, shape (n,).

    Returns:
        Shape (image rows,); the images themselves are among them.
    """
    groups = independent_groups(images, report.clusters)[images.sample_numbers]
    return np.isin(groups, groups[rows])


def duplicate_components(images: ImageTable, report: AuditReport) -> Integers:
    """Which samples are one picture under several names, whatever was done about it.

    Args:
        images: The table.
        report: Knows the clusters.

    Returns:
        A number a sample, shape (samples,).
    """
    return independent_groups(images, report.clusters, columns=())
