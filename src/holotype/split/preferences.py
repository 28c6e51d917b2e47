"""Preferences of independent groups for folds, by keys of their samples: a changed sample leaves the others in place.

A fold that a group prefers is a hash of the group's key and the seed (rendezvous hashing, Thaler & Ravishankar 1998);
groups that look the same are dealt out by deferred acceptance (Gale & Shapley 1962), so that every fold gets its number
of them and one group more or less moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.core.seeds import derive_seed, keyed_uniforms
from holotype.types import Integers

__all__ = ["Preferences", "deal_by_preference", "draw_preferences", "sample_keys"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Preferences:
    """What each unit prefers, by its key and the seed alone.

    Args:
        folds: Small for a fold that a unit prefers, shape (units, folds).
        priority: Small for a unit that comes first where many prefer one fold, shape (units,).
        jitter: From 0 to 1, shape (units,).
    """

    folds: Doubles
    priority: Doubles
    jitter: Doubles

    def select(self, rows: Integers) -> Preferences:
        """Those of some units.

        Args:
            rows: Unit numbers.
        """
        return Preferences(self.folds[rows], self.priority[rows], self.jitter[rows])


def sample_keys(ids: Sequence[str]) -> Integers:
    """Keys of samples: a hash of their names, which stays whatever else is in the table.

    Args:
        ids: The names, shape (n,).

    Returns:
        Shape (n,), from 0.
    """
    digests = b"".join(hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).view(np.int64) & np.int64(2**63 - 1)


def draw_preferences(keys: Integers, units: Integers, folds: int, seed: int) -> Preferences:
    """The preferences of units, whose key is the least of their samples' keys.

    Args:
        keys: One a sample, shape (n,).
        units: The unit of each sample, shape (n,), from 0 without gaps.
        folds: How many folds.
        seed: The recipe's seed.
    """
    lowest = np.full(int(units.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, units, keys)
    drawn = keyed_uniforms(derive_seed(seed, "split", "preferences"), lowest, folds + 2)
    return Preferences(drawn[:, :folds], drawn[:, folds], drawn[:, folds + 1])


def deal_by_preference(pattern: Integers, rounds: Integers, preferences: Preferences) -> Integers:
    """Give every fold its number of the units of each pattern; -1 for those that are left over.

    Args:
        pattern: What each unit looks like, shape (units,), from 0.
        rounds: How many units of its pattern every fold gets, by pattern.
        preferences: Of the units.

    Returns:
        The fold of each unit, shape (units,).
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
