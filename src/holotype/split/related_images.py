"""Related images: images of the same independent group, and samples that share an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holotype.core.independence import independent_groups
from holotype.types import AuditReport, ImageTable, Integers


def related_images(images: ImageTable, report: AuditReport, rows: Integers) -> NDArray[np.bool_]:
    """Mask of the images in the same independent groups as some images, over all roles, shape (image rows,).

    `rows`: image rows, shape (n,); they are in the mask too.
    """
    groups = independent_groups(images, report.clusters)[images.sample_numbers]
    return np.isin(groups, groups[rows])


def duplicate_components(images: ImageTable, report: AuditReport) -> Integers:
    """Components of samples that are connected by duplicates, whatever the action on them, shape (samples,)."""
    return independent_groups(images, report.clusters, columns=())
