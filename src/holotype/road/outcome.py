"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from holotype.members import MemberPredictions
from holotype.prepared import Prepared
from holotype.road.choosing import Chosen
from holotype.road.difference import ReviewOutcome
from holotype.road.gathering import Gathered
from holotype.score import NestedScore
from holotype.types import OofPredictions, TestPredictions

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        prepared: What was known before training.
        gathered: What each member says.
        chosen: How members become one and are decided, and what that makes of the samples.
        nested: The honest score, and what it was computed from; none without out-of-fold scores.
        suspects: Samples whose labels are likely wrong, from `holotype.audit.find_suspects`.
        apart: The ensemble's scores of the validation set of its own, where there is one.
        review: What a review of the labels changed, where there was one.
    """

    prepared: Prepared
    gathered: Gathered
    chosen: Chosen
    nested: NestedScore | None
    suspects: pl.DataFrame
    apart: TestPredictions | None = None
    review: ReviewOutcome | None = None

    @property
    def members(self) -> list[MemberPredictions]:
        """The members and their networks."""
        return self.gathered.members

    @property
    def oof(self) -> list[OofPredictions]:
        """Out-of-fold scores of each member, pooled as was chosen; empty where there are none."""
        return self.chosen.read(self.gathered.oof) if self.gathered.oof else []

    @property
    def test(self) -> list[TestPredictions]:
        """Test scores of each member, pooled as was chosen; empty without a test table."""
        return self.chosen.read(self.gathered.test) if self.gathered.test else []
