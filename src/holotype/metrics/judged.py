"""Samples with what is true of them and what was decided: what every metric looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holotype.types import AnyLabels, AnyScores, Kind, some_rows

__all__ = ["Judged"]


@dataclass(frozen=True)
class Judged:
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

    def rows(self, chosen: Any) -> Judged:
        """Some of the samples.

        Args:
            chosen: Numbers of rows, or a mask.
        """
        truth, decided = some_rows(self.truth, chosen), some_rows(self.decided, chosen)
        return Judged(truth, decided, some_rows(self.logits, chosen), self.kind)
