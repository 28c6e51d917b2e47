"""What is known before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from holotype.review import Reviewed
from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable

__all__ = ["PreparedData"]


@dataclass(frozen=True)
class PreparedData:
    """Everything that is known before anything is trained.

    Args:
        images: The table.
        statistics: Of every image.
        audit: What was found in them.
        folds: How they are divided.
        warnings: Sentences for people, of all these stages.
        review: What a person decided about the data, where the recipe names it.
    """

    images: ImageTable
    statistics: ImageStatistics
    audit: AuditReport
    folds: Folds
    warnings: tuple[str, ...]
    review: Reviewed | None = None
