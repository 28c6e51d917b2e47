"""Prepared data: all that is known before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holotype.review import Reviewed
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable


@dataclass(frozen=True)
class PreparedData:
    """Prepared data: images, statistics, audit and folds.

    Args:
        statistics: One row per image.
        warnings: Sentences of all these steps, for the user.
        review: Applied review decisions, if the recipe names a file of them.
        digests: Digests of the content of `images`, `statistics` and `audit`, and of the decisions of a `review`.
    """

    images: ImageTable
    statistics: ImageStatistics
    audit: AuditReport
    folds: Folds
    warnings: tuple[str, ...]
    review: Reviewed | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
