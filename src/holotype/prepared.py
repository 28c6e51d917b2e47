"""What is known before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from holotype.types import AuditReport, Folds, ImageStatistics, ImageTable

__all__ = ["Prepared"]


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before anything is trained.

    Args:
        images: The table.
        statistics: Of every image.
        audit: What was found in them.
        folds: How they are divided.
        warnings: Sentences for people, of all these stages.
    """

    images: ImageTable
    statistics: ImageStatistics
    audit: AuditReport
    folds: Folds
    warnings: tuple[str, ...]
