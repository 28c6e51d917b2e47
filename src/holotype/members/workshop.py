"""What every network of a run is made from, handed down as one; and the rows that networks are asked about."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from holotype.engine import LocalEngine
from holotype.prepared import Prepared
from holotype.runtime import Runtime
from holotype.store import Stages
from holotype.types import ImageTable, Integers

__all__ = ["Workshop", "apart_rows", "test_rows"]


@dataclass(frozen=True)
class Workshop:
    """What every network of a run is made from.

    Args:
        ready: Images, statistics, audit and folds.
        seed: The recipe's seed.
        stages: Takes from the store what is there.
        runtime: Device, threads and progress.
        pack: How pixels are kept: `auto` in the store, `none` in memory.
        final: Whether the test rows are predicted by the `folds`, or by one more network trained on all rows (`refit`).
        engine: Where the work is done.
    """

    ready: Prepared
    seed: int
    stages: Stages
    runtime: Runtime
    pack: str = "auto"
    final: str = "folds"
    engine: LocalEngine = field(default_factory=LocalEngine)

    @property
    def images(self) -> ImageTable:
        """The table."""
        return self.ready.images

    def asked(self) -> dict[str, Integers]:
        """The image rows that every network is asked about, by name, in this order."""
        return {"test": test_rows(self.ready), "apart": apart_rows(self.ready)}


def test_rows(ready: Prepared) -> Integers:
    """The test images that can be read.

    Args:
        ready: Images and folds.
    """
    return np.setdiff1d(ready.images.rows_of_role("test"), ready.folds.unreadable).astype(np.int64)


def apart_rows(ready: Prepared) -> Integers:
    """The images of a validation set of its own: external ones that no network is trained on.

    Args:
        ready: Images and folds.
    """
    rows = np.flatnonzero(np.isin(ready.images.sample_numbers, ready.folds.validation))
    return np.setdiff1d(rows, ready.folds.unreadable).astype(np.int64)
