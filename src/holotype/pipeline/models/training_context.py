"""Training context shared by all networks of a run, and the rows that they predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holotype.cache import Steps
from holotype.core.runtime import Runtime
from holotype.pipeline.prepared import PreparedData
from holotype.types import ImageTable, Integers


@dataclass(frozen=True)
class TrainingContext:
    """Training context shared by all networks of a run.

    Args:
        cache: `auto` caches pixels on disk, `none` keeps them in memory.
        final_model: `folds` predicts test rows by the mean of the folds, `refit` by a network trained on all rows.
    """

    data: PreparedData
    seed: int
    steps: Steps
    runtime: Runtime
    cache: str = "auto"
    final_model: str = "folds"

    @property
    def images(self) -> ImageTable:
        """Image table."""
        return self.data.images

    def prediction_rows(self) -> dict[str, Integers]:
        """Image rows that every network predicts, by part, in this order."""
        return {"test": test_rows(self.data), "validation": validation_rows(self.data)}


def test_rows(data: PreparedData) -> Integers:
    """Readable test image rows."""
    return np.setdiff1d(data.images.rows_of_role("test"), data.folds.unreadable).astype(np.int64)


def validation_rows(data: PreparedData) -> Integers:
    """Readable image rows of the external validation set, on which no network is trained."""
    rows = np.flatnonzero(np.isin(data.images.sample_numbers, data.folds.validation))
    return np.setdiff1d(rows, data.folds.unreadable).astype(np.int64)
