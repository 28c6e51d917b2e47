"""The order of the training rows, drawn anew each epoch from a key."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from holotype.seeds import keyed_uniforms
from holotype.types import Integers

__all__ = ["batches", "shuffled"]


def shuffled(rows: Integers, key: int) -> Integers:
    """The rows in a random order.

    Args:
        rows: Image rows, shape (n,).
        key: From `holotype.seeds.derive_seed`; the same key gives the same order.
    """
    return rows[np.argsort(keyed_uniforms(key, rows, 1)[:, 0], kind="stable")]


def batches(rows: Integers, size: int, whole: bool) -> Iterator[Integers]:
    """Rows in batches.

    Args:
        rows: Shape (n,).
        size: Rows a batch.
        whole: Leave out a last batch that is not full (unless it is the only one), since batch statistics of one or
            two images are worse than none; another epoch draws another order.
    """
    end = len(rows) - len(rows) % size if whole and len(rows) >= size else len(rows)
    for start in range(0, end, size):
        yield rows[start : start + size]
