"""Folds that have every class in the proportion of the whole, from units that cannot be divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from holotype.errors import HolotypeError
from holotype.seeds import keyed_generator
from holotype.split.improve import Balance, improve
from holotype.types import Integers

__all__ = ["label_matrix", "share_deviation", "stratified_folds"]

POWER = 1.5  # of a class's target in the cost of a row: 1 evens out counts, 2 evens out shares however few the rows
PRESENCE = 1.0  # cost of a class whose units miss a fold, where each fold could have one
UNITS_PLACED = 6_000  # over all starts, so that effort does not grow with the data
MOST_STARTS = 32
PATIENCE = 10  # starts without a gain
JITTER = 0.3  # spread of the order in which units are placed, so that seeds give different folds


def label_matrix(lists: pl.Series, classes: int) -> Any:
    """Lists of class numbers as a sparse matrix.

    Args:
        lists: One list a sample; null where labels are unknown.
        classes: How many classes there are.

    Returns:
        Shape (samples, classes), bool.
    """
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = lists.drop_nulls().explode(empty_as_null=False).to_numpy().astype(np.int64) if lengths.sum() else lengths[:0]
    return sp.csr_array((np.ones(len(flat), bool), flat, np.append(0, np.cumsum(lengths))), shape=(len(lists), classes))


def stratified_folds(labels: NDArray[np.bool_] | sp.spmatrix, components: Integers, folds: int, seed: int) -> Integers:
    """Divide samples into folds that keep components whole and classes in proportion.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data", ECML
    PKDD) over components instead of samples, with the hardest first: large components and rare classes. Components
    that look the same are dealt out in full rounds before, and an exchange of components evens out the rest.
    Samples of one label that stand alone are thus dealt out class by class.

    Args:
        labels: What is to be kept in proportion, shape (n, K): classes, and domains or anything else beside them.
        components: The component of each sample, shape (n,); any numbers.
        folds: How many folds.
        seed: The recipe's seed.

    Returns:
        The fold of each sample, shape (n,), from 0 to folds - 1.

    Raises:
        HolotypeError: There are fewer components than folds, or the shapes do not agree.
    """
    matrix = sp.csr_array(labels).astype(np.int64)
    if matrix.shape[0] != len(components):
        raise HolotypeError(f"{matrix.shape[0]:,} rows of labels do not fit {len(components):,} components")
    _, unit_of_sample, sizes = np.unique(components, return_inverse=True, return_counts=True)
    if len(sizes) < folds:
        raise HolotypeError(f"{len(sizes)} components cannot fill {folds} folds")
    generator = keyed_generator(seed, "split", "stratify", folds)
    units = _unit_features(matrix, unit_of_sample, sizes)
    balance = Balance(units.astype(np.float64), _weights(units, matrix.shape[1], folds), folds)
    fold = _deal_out(units, folds, generator)
    rest = np.flatnonzero(fold < 0)
    if len(rest):
        dealt = balance.of(np.flatnonzero(fold >= 0)).sums(fold[fold >= 0])
        fold[rest] = _best_of_some(balance.of(rest), dealt, generator)
    return generator.permutation(folds)[fold][unit_of_sample].astype(np.int64)


def share_deviation(labels: NDArray[np.bool_], fold: Integers, folds: int) -> float:
    """The mean over folds and classes of the distance between a fold's share of a class's rows and 1 / folds.

    Args:
        labels: Shape (n, K); classes without a row do not count.
        fold: The fold of each sample, shape (n,).
        folds: How many folds.
    """
    counts = np.stack([labels[fold == number].sum(axis=0) for number in range(folds)])
    seen = counts.sum(axis=0) > 0
    return float(np.abs(counts[:, seen] / counts[:, seen].sum(axis=0) - 1 / folds).mean())


def _unit_features(matrix: Any, unit_of_sample: Integers, sizes: Integers) -> Any:
    """What each unit brings: its samples, its labels, and (where units have several samples) which classes at all."""
    count = len(sizes)
    membership = sp.csr_array(
        (np.ones(len(unit_of_sample), np.int64), (unit_of_sample, np.arange(len(unit_of_sample)))),
        shape=(count, len(unit_of_sample)),
    )
    labels = sp.csr_array(membership @ matrix)
    parts = [sp.csr_array(sizes.astype(np.int64)[:, None]), labels]
    if sizes.max() > 1:
        parts.append((labels > 0).astype(np.int64))
    return sp.csr_array(sp.hstack(parts, format="csr"))


def _weights(units: Any, classes: int, folds: int) -> NDArray[np.float64]:
    """What a squared deviation of one row costs in each column: more in rare classes.

    Fold sizes weigh as much as all classes together, and are even to the row where single samples allow it.
    """
    target = np.asarray(units.sum(axis=0), dtype=np.float64) / folds
    weights: NDArray[np.float64] = np.maximum(target, 1 / folds) ** -POWER
    mean_size = target[0] * folds / units.shape[0]
    weights[0] = max(classes * target[0] ** -POWER, 1 / mean_size**2)
    weights[1 + classes :] = PRESENCE / np.maximum(target[1 + classes :], 1.0) ** 2
    return weights


def _deal_out(units: Any, folds: int, generator: np.random.Generator) -> Integers:
    """Give every fold the same number of units that look the same; -1 for those that are left over.

    Beside larger units some stay undealt in every column, enough to fill the other folds up to the largest one.
    """
    columns = generator.integers(1, 2**62, units.shape[1], dtype=np.int64)
    with np.errstate(over="ignore"):
        signature = units @ columns  # equal rows have equal sums; that others do is next to impossible
    _, first, pattern, alike = np.unique(signature, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((generator.random(len(pattern)), pattern))
    start = np.cumsum(alike) - alike
    turn = np.arange(len(order)) - start[pattern[order]]
    fold = np.empty(len(order), np.int64)
    largest = units.max(axis=0).toarray().ravel()
    reserve = np.minimum(folds * (largest - 1) / np.maximum(units.sum(axis=0), 1), 1.0)
    kept_back = (units[first] > 0).multiply(reserve).tocsr().max(axis=1).toarray().ravel()
    rounds = (alike - np.ceil(alike * kept_back).astype(np.int64)) // folds
    fold[order] = np.where(turn < (rounds * folds)[pattern[order]], turn % folds, -1)
    return fold


def _best_of_some(balance: Balance, dealt: NDArray[np.float64], generator: np.random.Generator) -> Integers:
    """Place and improve from several orders, where that is cheap; fewest missing classes first, then evenness."""
    starts = int(np.clip(UNITS_PLACED // balance.units.shape[0], 1, MOST_STARTS))
    best, best_rank, found_at = np.zeros(0, np.int64), (np.inf, np.inf), 0
    for start in range(starts):
        if start - found_at >= PATIENCE:
            break
        fold = improve(balance, _place(balance, generator), generator)
        sums = balance.sums(fold)
        rank = (float((dealt + sums == 0).sum()), balance.cost(sums))
        if rank < best_rank:
            best, best_rank, found_at = fold, rank, start
    return best


def _place(balance: Balance, generator: np.random.Generator) -> Integers:
    """The hardest unit first, each into the fold that lacks most of what the unit brings."""
    units, weights = balance.units, balance.weights
    missing = np.repeat(units.sum(axis=0)[:, None] / balance.folds, balance.folds, axis=1)
    hardness = (units.multiply(units)) @ weights * np.exp(JITTER * generator.standard_normal(units.shape[0]))
    fold = np.empty(units.shape[0], np.int64)
    starts, columns, values = units.indptr, units.indices, units.data
    for unit in np.argsort(-hardness):
        part = slice(starts[unit], starts[unit + 1])
        here, brings = columns[part], values[part]
        fold[unit] = chosen = np.argmax((brings * weights[here]) @ missing[here])
        missing[here, chosen] -= brings
    return fold
