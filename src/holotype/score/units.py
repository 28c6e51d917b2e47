"""What is independent of what: samples tied by any group column form one unit."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from holotype.seeds import keyed_generator
from holotype.types import Integers, Labels

__all__ = ["grouped_folds", "independent_units"]


def independent_units(labels: Labels, samples: Integers) -> Integers | None:
    """The connected component of each sample under all group columns together.

    Two samples of one plate are tied, and so are two of different plates of one patient. A sample whose group is
    unknown is tied to nothing by that column.

    Args:
        labels: The samples of the run.
        samples: The numbers of those that count, shape (n,).

    Returns:
        Unit numbers from 0, shape (n,); None where there are no group columns.
    """
    columns = [name for name in labels.frame.columns if name.startswith("group.")]
    if not columns:
        return None
    count = len(samples)
    ties, offset = [], count
    for name in columns:
        values = labels.frame[name].gather(samples)
        known = np.flatnonzero(values.is_not_null().to_numpy())
        codes = values.rank("dense").to_numpy()[known].astype(np.int64) - 1
        ties.append((known, codes + offset))
        offset += int(codes.max()) + 1 if len(codes) else 0
    rows, ends = (np.concatenate(side) for side in zip(*ties, strict=True))
    graph = sparse.coo_array((np.ones(len(rows), bool), (rows, ends)), shape=(offset, offset))
    components = connected_components(graph, directed=False)[1][:count]
    return np.unique(components, return_inverse=True)[1].astype(np.int64)


def grouped_folds(units: Integers, count: int, seed: int) -> Integers:
    """Folds that keep units whole and are of like size: the largest first, each to the smallest fold.

    Args:
        units: The unit of each sample, shape (n,).
        count: How many folds; fewer where there are fewer units.
        seed: Decides the order of units of one size.

    Returns:
        The fold of each sample, shape (n,).
    """
    _, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    shuffled = keyed_generator(seed, "score", "grouped folds").permutation(len(sizes))
    filled = np.zeros(min(count, len(sizes)), np.int64)
    fold_of_unit = np.empty(len(sizes), np.int64)
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold = int(np.argmin(filled))
        fold_of_unit[unit] = fold
        filled[fold] += sizes[unit]
    return fold_of_unit[inverse]
