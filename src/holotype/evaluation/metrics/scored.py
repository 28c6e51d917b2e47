"""Samples with their labels, decisions and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holotype.types import AnyLabels, AnyScores, Kind, take_rows


@dataclass(frozen=True)
class ScoredSamples:
    """Samples with their labels, decisions and scores, shape (n, classes) each."""

    truth: AnyLabels
    decided: AnyLabels
    logits: AnyScores
    kind: Kind

    def rows(self, index: Any) -> ScoredSamples:
        """Select samples by indices or a mask."""
        truth, decided = take_rows(self.truth, index), take_rows(self.decided, index)
        return ScoredSamples(truth, decided, take_rows(self.logits, index), self.kind)
