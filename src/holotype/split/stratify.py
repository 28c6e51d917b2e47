"""Grouped stratified folds: every class in proportion, from units that cannot be divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import ndtri  # normal quantiles, without the slow import of scipy.stats

from holotype.core.errors import HolotypeError
from holotype.core.seeds import keyed_generator
from holotype.split.local_search import Balance, best_exchange, improve_balance
from holotype.split.preferences import Preferences, deal_by_preference, draw_preferences
from holotype.types import Integers

POWER = 1.5  # exponent of a class's target in its cost: 1 evens out counts, 2 evens out shares
PRESENCE = 1.0  # cost of a class that misses a fold although it has enough units
MAX_ASSIGNED_UNITS = 6_000  # over all starts, to bound the effort
MAX_STARTS = 32
PATIENCE = 10  # starts without an improvement
JITTER = 0.3  # random spread of the assignment order, so that seeds give different folds
NEARLY = (
    0.3  # in units (1 if none has two samples): how much less a preferred fold may lack than the one that lacks most
)
MAX_UNEVENNESS = 1.5  # largest cost of kept folds relative to new ones


def label_matrix(lists: pl.Series, classes: int) -> Any:
    """Sparse indicator matrix of class lists, shape (samples, classes), bool."""
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = lists.drop_nulls().explode(empty_as_null=False).to_numpy().astype(np.int64) if lengths.sum() else lengths[:0]
    return sp.csr_array((np.ones(len(flat), bool), flat, np.append(0, np.cumsum(lengths))), shape=(len(lists), classes))


def stratified_folds(
    labels: NDArray[np.bool_] | sp.spmatrix,
    components: Integers,
    folds: int,
    seed: int,
    keys: Integers | None = None,
    *,
    before: Integers | None = None,
) -> Integers:
    """Divide samples into folds that keep components together and classes in proportion.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data", ECML
    PKDD) over components instead of samples, hardest first: large components and rare classes. Components with equal
    features are first dealt out evenly by preference, and a local search evens out the rest.

    Args:
        labels: Indicator matrix of what is kept in proportion, shape (n, K): classes, and for example domains.
        components: Component of each sample, shape (n,); any numbers.
        keys: Sample keys, shape (n,), from `sample_keys`, which set the preferred fold; component order without them.
        before: Earlier fold of each sample, shape (n,); -1 for none. Components stay as long as the folds are nearly as
            even as new ones.

    Returns:
        Fold of each sample, shape (n,).

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
    liked = draw_preferences(unit_of_sample if keys is None else keys, unit_of_sample, folds, seed)
    units = _unit_features(matrix, unit_of_sample, sizes)
    balance = Balance(units.astype(np.float64), _weights(units, matrix.shape[1], folds), folds)
    fold = _deal_out(units, liked)
    rest = np.flatnonzero(fold < 0)
    if len(rest):
        rest = rest[np.argsort(liked.priority[rest], kind="stable")]
        dealt = balance.subset(np.flatnonzero(fold >= 0)).sums(fold[fold >= 0])
        fold[rest] = _best_of_several_starts(balance.subset(rest), dealt, liked.select(rest), generator)
    if before is not None:
        fold = _repair_previous_folds(balance, fold, _majority_fold(before, unit_of_sample, folds))
    return fold[unit_of_sample].astype(np.int64)


def _majority_fold(before: Integers, units: Integers, folds: int) -> Integers:
    counts = np.zeros((int(units.max()) + 1, folds), np.int64)
    is_assigned = (before >= 0) & (before < folds)
    np.add.at(counts, (units[is_assigned], before[is_assigned]), 1)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)


def _repair_previous_folds(balance: Balance, fresh: Integers, before: Integers) -> Integers:
    """Earlier folds, repaired by single exchanges until they are nearly as even as new ones."""
    fold = np.where(before >= 0, before, fresh)
    enough = MAX_UNEVENNESS * balance.cost(balance.sums(fresh)) + _smallest_step(balance)
    misses = (balance.sums(fresh) == 0).sum()
    while len(np.unique(fold)) < balance.folds or _is_too_uneven(balance, fold, enough, int(misses)):
        changed = best_exchange(balance, fold)
        if changed is None:
            return fresh
        fold = changed
    return fold


def _smallest_step(balance: Balance) -> float:
    """Cost of moving a typical unit to another fold; smaller differences between folds do not matter."""
    return 2 * float(np.median(np.asarray(balance.units.multiply(balance.weighted).sum(axis=1))))


def _is_too_uneven(balance: Balance, fold: Integers, enough: float, misses: int) -> bool:
    sums = balance.sums(fold)
    return balance.cost(sums) > enough or (sums == 0).sum() > misses


def share_deviation(labels: NDArray[np.bool_], fold: Integers, folds: int) -> float:
    """Mean deviation of a fold's share of a class's rows from 1 / folds, over folds and classes.

    `labels`: shape (n, K); classes without a row do not count; `fold`: fold of each sample, shape (n,).
    """
    counts = np.stack([labels[fold == number].sum(axis=0) for number in range(folds)])
    present = counts.sum(axis=0) > 0
    return float(np.abs(counts[:, present] / counts[:, present].sum(axis=0) - 1 / folds).mean())


def _unit_features(matrix: Any, unit_of_sample: Integers, sizes: Integers) -> Any:
    """Features of each unit: samples, labels, and (if units have several samples) which classes are present."""
    count = len(sizes)
    assignment = sp.csr_array(
        (np.ones(len(unit_of_sample), np.int64), (unit_of_sample, np.arange(len(unit_of_sample)))),
        shape=(count, len(unit_of_sample)),
    )
    labels = sp.csr_array(assignment @ matrix)
    parts = [sp.csr_array(sizes.astype(np.int64)[:, None]), labels]
    if sizes.max() > 1:
        parts.append((labels > 0).astype(np.int64))
    return sp.csr_array(sp.hstack(parts, format="csr"))


def _weights(units: Any, classes: int, folds: int) -> NDArray[np.float64]:
    """Cost of a squared deviation in each column, higher for rare classes.

    Fold sizes weigh as much as all classes together, and are even to the row where single samples allow it.
    """
    target = np.asarray(units.sum(axis=0), dtype=np.float64) / folds
    weights: NDArray[np.float64] = np.maximum(target, 1 / folds) ** -POWER
    mean_size = target[0] * folds / units.shape[0]
    weights[0] = max(classes * target[0] ** -POWER, 1 / mean_size**2)
    weights[1 + classes :] = PRESENCE / np.maximum(target[1 + classes :], 1.0) ** 2
    return weights


def _deal_out(units: Any, liked: Preferences) -> Integers:
    """Give every fold the same number of units with equal features; -1 for those left over.

    If some units are larger, enough small units stay undealt in every column to fill the other folds up to the largest.
    """
    folds = liked.folds.shape[1]
    columns = keyed_generator(0, "split", "signatures").integers(1, 2**62, units.shape[1], dtype=np.int64)
    with np.errstate(over="ignore"):
        signature = units @ columns  # a hash: equal rows have equal sums
    _, first, pattern, alike = np.unique(signature, return_index=True, return_inverse=True, return_counts=True)
    largest = units.max(axis=0).toarray().ravel()
    reserve = np.minimum(folds * (largest - 1) / np.maximum(units.sum(axis=0), 1), 1.0)
    reserve_share = (units[first] > 0).multiply(reserve).tocsr().max(axis=1).toarray().ravel()
    rounds = (alike - np.ceil(alike * reserve_share).astype(np.int64)) // folds
    return deal_by_preference(pattern, rounds, liked)


def _best_of_several_starts(
    balance: Balance, dealt: NDArray[np.float64], liked: Preferences, generator: np.random.Generator
) -> Integers:
    """Assign and improve from several orders if that is cheap; fewest missing classes first, then evenness.

    Samples without a group are assigned once, by preference: they even out anyway, and stay where they are.
    """
    alone = balance.units[:, [0]].max() <= 1
    starts = 1 if alone else int(np.clip(MAX_ASSIGNED_UNITS // balance.units.shape[0], 1, MAX_STARTS))
    nearly = 1.0 if alone else NEARLY
    best, best_rank, best_start = np.zeros(0, np.int64), (np.inf, np.inf), 0
    for start in range(starts):
        if start - best_start >= PATIENCE:
            break
        jitter = liked.jitter if start == 0 else generator.random(len(liked.jitter))
        fold = improve_balance(balance, _assign_units(balance, dealt, liked.folds, jitter, nearly), generator)
        sums = balance.sums(fold)
        rank = (float((dealt + sums == 0).sum()), balance.cost(dealt + sums))
        if rank < best_rank:
            best, best_rank, best_start = fold, rank, start
    return best


def _assign_units(
    balance: Balance, dealt: NDArray[np.float64], liked: NDArray[np.float64], jitter: NDArray[np.float64], nearly: float
) -> Integers:
    """Assign units, hardest first, each to the preferred fold among those that lack nearly most of its features."""
    units, weights = balance.units, balance.weights
    target = (units.sum(axis=0) + dealt.sum(axis=0)) / balance.folds
    missing = target[:, None] - dealt.T
    hardness = np.log(np.maximum((units.multiply(units)) @ weights, 1e-300)) + JITTER * ndtri(
        np.clip(jitter, 1e-9, 1 - 1e-9)
    )
    fold = np.empty(units.shape[0], np.int64)
    starts, columns, values = units.indptr, units.indices, units.data
    for unit in np.argsort(-hardness, kind="stable"):
        part = slice(starts[unit], starts[unit + 1])
        here, brings = columns[part], values[part]
        weighted = brings * weights[here]
        lack = weighted @ missing[here]
        near = np.flatnonzero(lack >= lack.max() - nearly * (weighted @ brings))
        fold[unit] = best_fold = near[np.argmin(liked[unit, near])]
        missing[here, best_fold] -= brings
    return fold
