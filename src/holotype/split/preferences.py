"""Fold preferences of independent groups, by keys of their samples: a changed sample leaves the others in place.

The preferred fold is a hash of the group's key and the seed (rendezvous hashing, Thaler & Ravishankar 1998). Groups
with equal features are assigned by deferred acceptance (Gale & Shapley 1962), so that every fold gets its number of
them and one group more or less moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holotype.core.seeds import derive_seed, keyed_uniforms
from holotype.types import Doubles, Integers


@dataclass(frozen=True)
class Preferences:
    """Fold preferences of each unit, from its key and the seed alone.

    Args:
        folds: Rank of each fold, smaller is preferred, shape (units, folds).
        priority: Order among units that prefer one fold, smaller comes first, shape (units,).
        jitter: Uniform random numbers from 0 to 1, shape (units,).
    """

    folds: Doubles
    priority: Doubles
    jitter: Doubles

    def select(self, rows: Integers) -> Preferences:
        """Preferences of some units."""
        return Preferences(self.folds[rows], self.priority[rows], self.jitter[rows])


def sample_keys(ids: Sequence[str]) -> Integers:
    """Sample keys: hashes of the sample names, independent of the rest of the table.

    `ids`: sample names, shape (n,). Returns non-negative integers, shape (n,).
    """
    digests = b"".join(hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).view(np.int64) & np.int64(2**63 - 1)


def draw_preferences(keys: Integers, units: Integers, folds: int, seed: int) -> Preferences:
    """Draw the preferences of units; a unit's key is the smallest of its samples' keys.

    `keys`: key of each sample, shape (n,); `units`: unit of each sample, shape (n,), from 0 without gaps.
    """
    lowest = np.full(int(units.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, units, keys)
    drawn = keyed_uniforms(derive_seed(seed, "split", "preferences"), lowest, folds + 2)
    return Preferences(drawn[:, :folds], drawn[:, folds], drawn[:, folds + 1])


def deal_by_preference(pattern: Integers, rounds: Integers, preferences: Preferences) -> Integers:
    """Assign units with equal features evenly to the folds by deferred acceptance.

    Returns fold of each unit, shape (units,); -1 for units that are left over.
    """
    folds = preferences.folds.shape[1]
    order = np.argsort(preferences.folds, axis=1, kind="stable")
    room = rounds[pattern]
    fold, attempts = np.full(len(pattern), -1, np.int64), np.zeros(len(pattern), np.int64)
    active = np.flatnonzero(room > 0)
    while len(active):
        fold[active] = order[active, attempts[active]]
        inside = np.flatnonzero(fold >= 0)
        queue = pattern[inside] * folds + fold[inside]
        ranked = np.lexsort((preferences.priority[inside], queue))
        starts = np.flatnonzero(np.diff(queue[ranked], prepend=-1))
        lengths = np.diff(starts, append=len(ranked))
        turn = np.arange(len(ranked)) - np.repeat(starts, lengths)
        rejected = inside[ranked[turn >= room[inside[ranked]]]]
        fold[rejected] = -1
        attempts[rejected] += 1
        active = rejected[attempts[rejected] < folds]
    return fold
