"""Local search: swap units between folds to even them out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.types import Integers

SWEEPS = 12  # over pairs of folds
PAIRS = 60  # of folds in a sweep
CANDIDATES = 200  # units of a fold considered in one exchange
EXCHANGES = 60  # between two folds in one sweep
BATCH_UNITS = 1000  # up to which the Gram matrix is cached, because small problems are improved many times


@dataclass(frozen=True)
class Balance:
    """Balance of folds: weighted squared distance of the folds' sums from their mean.

    Args:
        units: Features of each unit, CSR of shape (units, columns).
        weights: Cost of a squared deviation, shape (columns,).
    """

    units: Any
    weights: NDArray[np.float64]
    folds: int

    def subset(self, rows: Integers) -> Balance:
        """Balance of some of the units."""
        return Balance(self.units[rows], self.weights, self.folds)

    @cached_property
    def weighted(self) -> Any:
        """Units with each column times its weight, CSR of shape (units, columns)."""
        return self.units.multiply(self.weights).tocsr()

    @cached_property
    def _full_gram_matrix(self) -> NDArray[np.float64]:
        return np.asarray((self.weighted @ self.units.T).toarray())

    def alignment(self, rows: Integers, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Alignment of units with the difference between two folds, shape (n,).

        `difference`: sums of one fold minus those of the other, shape (columns,).
        """
        if self.units.shape[0] <= BATCH_UNITS:
            return np.asarray(self.weighted @ difference)[rows]
        return np.asarray(self.weighted[rows] @ difference)

    def gram_matrix(self, rows: Integers) -> NDArray[np.float64]:
        """Weighted Gram matrix of some units, shape (n, n)."""
        if self.units.shape[0] <= BATCH_UNITS:
            return self._full_gram_matrix[np.ix_(rows, rows)]
        return np.asarray((self.weighted[rows] @ self.units[rows].T).toarray())

    def sums(self, fold: Integers) -> NDArray[np.float64]:
        """Feature sums of each fold, shape (folds, columns)."""
        return np.stack([self.units[fold == number].sum(axis=0) for number in range(self.folds)])

    def cost(self, sums: NDArray[np.float64]) -> float:
        """Weighted squared deviation of the folds' sums from their mean. `sums`: shape (folds, columns)."""
        return float(((sums - sums.mean(axis=0)) ** 2 @ self.weights).sum())


def improve_balance(balance: Balance, fold: Integers, generator: np.random.Generator) -> Integers:
    """Move and swap units between pairs of folds until nothing is gained or the effort is spent.

    Returns folds at least as even, shape (units,).
    """
    fold = fold.copy()
    pairs = np.array(list(combinations(range(balance.folds), 2)))
    sums = balance.sums(fold)
    for _ in range(SWEEPS):
        gained = False
        for first, second in generator.permutation(pairs)[:PAIRS]:
            sides = [_sample_rows(np.flatnonzero(fold == side), generator) for side in (first, second)]
            rows = np.concatenate(sides)
            there = np.repeat([False, True], [len(side) for side in sides])
            moved = _swap_units(balance, rows, there, sums[first] - sums[second])
            changed = moved != there
            if changed.any():
                fold[rows] = np.where(moved, second, first)
                arrived = balance.units[rows[changed & moved]].sum(axis=0)
                left = balance.units[rows[changed & there]].sum(axis=0)
                sums[second] += arrived - left
                sums[first] += left - arrived
                gained = True
        if not gained:
            break
    return fold


def best_exchange(balance: Balance, fold: Integers) -> Integers | None:
    """Make the best single move or swap between the two folds that differ most, or else between any two.

    `fold`: fold of each unit, shape (units,). Returns the changed folds, shape (units,); None if nothing is gained.
    """
    sums = balance.sums(fold)
    pairs = list(combinations(range(balance.folds), 2))
    differences = [float((sums[first] - sums[second]) ** 2 @ balance.weights) for first, second in pairs]
    for number in np.argsort(-np.array(differences), kind="stable"):
        first, second = pairs[number]
        sides = [np.flatnonzero(fold == side)[:CANDIDATES] for side in (first, second)]
        rows = np.concatenate(sides)
        there = np.repeat([False, True], [len(side) for side in sides])
        moved = _swap_units(balance, rows, there, sums[first] - sums[second], max_swaps=1)
        if (moved != there).any():
            changed = fold.copy()
            changed[rows] = np.where(moved, second, first)
            return changed
    return None


def _sample_rows(rows: Integers, generator: np.random.Generator) -> Integers:
    return rows if len(rows) <= CANDIDATES else generator.choice(rows, CANDIDATES, replace=False)


def _swap_units(
    balance: Balance,
    rows: Integers,
    there: NDArray[np.bool_],
    difference: NDArray[np.float64],
    max_swaps: int = EXCHANGES,
) -> NDArray[np.bool_]:
    """Make the best swap repeatedly; the last candidate is empty, so that a swap with it is a move.

    With x the sum gained by the first fold, the cost changes by 2 x·w·(first - second) + 2 x·w·x.
    """
    gram = np.zeros((len(rows) + 1, len(rows) + 1))
    gram[:-1, :-1] = balance.gram_matrix(rows)
    square = np.diag(gram)
    pull = np.append(balance.alignment(rows, difference), 0.0)
    there = there.copy()
    for _ in range(max_swaps):
        leaving = np.append(np.flatnonzero(~there), len(rows))
        coming = np.append(np.flatnonzero(there), len(rows))
        change = (pull + square)[coming] - (pull - square)[leaving][:, None] - 2 * gram[np.ix_(leaving, coming)]
        best = np.unravel_index(np.argmin(change), change.shape)
        if change[best] > -1e-9:
            break
        out, into = leaving[best[0]], coming[best[1]]
        pull = pull + 2 * (gram[into] - gram[out])
        for unit in (out, into):
            if unit < len(rows):
                there[unit] = ~there[unit]
    return there
