"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from holotype.choosing import Chosen
from holotype.members import MemberPredictions
from holotype.score import NestedScore
from holotype.types import (
    AuditReport,
    Folds,
    ImageStatistics,
    ImageTable,
    OofPredictions,
    TestPredictions,
)

__all__ = ["Outcome", "Prepared"]


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


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        prepared: What was known before training.
        members: What each member's networks say.
        oof: Out-of-fold scores, one entry a member.
        test: Test scores, one entry a member; empty without a test table.
        chosen: How members become one and are decided, and what that makes of the samples.
        nested: The honest score, and what it was computed from; none without out-of-fold scores.
        suspects: Samples whose labels are likely wrong, from `holotype.audit.find_suspects`.
        apart: The ensemble's scores of the validation set of its own, where there is one.
    """

    prepared: Prepared
    members: list[MemberPredictions]
    oof: list[OofPredictions]
    test: list[TestPredictions]
    chosen: Chosen
    nested: NestedScore | None
    suspects: pl.DataFrame
    apart: TestPredictions | None = None
