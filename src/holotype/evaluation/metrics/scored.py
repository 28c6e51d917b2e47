"""Samples with what is true of them and what was decided: what every metric looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holotype.types import AnyLabels, AnyScores, Kind, take_rows

__all__ = ["ScoredSamples"]


@dataclass(frozen=True)
class ScoredSamples:
    """Samples with what is true of them and what was decided.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        logits: Shape (n, classes).
        kind: One label a sample, or many.
    """

    truth: AnyLabels
    decided: AnyLabels
    logits: AnyScores
    kind: Kind

    def rows(self, index: Any) -> ScoredSamples:
        """Some of the samples.

        Args:
            index: Numbers of rows, or a mask.
        """
        truth, decided = take_rows(self.truth, index), take_rows(self.decided, index)
        return ScoredSamples(truth, decided, take_rows(self.logits, index), self.kind)
