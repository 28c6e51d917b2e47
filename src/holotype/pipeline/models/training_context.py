"""What every network of a run is made from, handed down as one; and the rows that networks are asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holotype.cache import Stages
from holotype.core.runtime import Runtime
from holotype.pipeline.prepared import PreparedData
from holotype.types import ImageTable, Integers

__all__ = ["TrainingContext", "test_rows", "validation_rows"]


@dataclass(frozen=True)
class TrainingContext:
    """What every network of a run is made from.

    Args:
        data: Images, statistics, audit and folds.
        seed: The recipe's seed.
        stages: Takes from the store what is there.
        runtime: Device, threads and progress.
        cache: How pixels are kept: `auto` in the store, `none` in memory.
        final_model: Whether the test rows are predicted by the `folds`, or by one more network trained on all rows
            (`refit`).
    """

    data: PreparedData
    seed: int
    stages: Stages
    runtime: Runtime
    cache: str = "auto"
    final_model: str = "folds"

    @property
    def images(self) -> ImageTable:
        """The table."""
        return self.data.images

    def prediction_rows(self) -> dict[str, Integers]:
        """The image rows that every network is asked about, by name, in this order."""
        return {"test": test_rows(self.data), "validation": validation_rows(self.data)}


def test_rows(data: PreparedData) -> Integers:
    """The test images that can be read.

    Args:
        data: Images and folds.
    """
    return np.setdiff1d(data.images.rows_of_role("test"), data.folds.unreadable).astype(np.int64)


def validation_rows(data: PreparedData) -> Integers:
    """The images of a validation set of its own: external ones that no network is trained on.

    Args:
        data: Images and folds.
    """
    rows = np.flatnonzero(np.isin(data.images.sample_numbers, data.folds.validation))
    return np.setdiff1d(rows, data.folds.unreadable).astype(np.int64)
