"""What belongs together: samples that share a group, a duplicate, or a sample that does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from holotype.errors import HolotypeError
from holotype.types import Integers

__all__ = ["components", "crossing_components", "prove_disjoint"]


def components(samples: Integers, ties: Sequence[Integers]) -> Integers:
    """The connected components of samples, where rows of equal number in any of the ties are connected.

    Args:
        samples: The sample of each row, shape (rows,), numbered from 0.
        ties: For each way of belonging together the number of each row, shape (rows,); -1 ties nothing.

    Returns:
        The component of each sample, shape (samples,), numbered from 0.
    """
    count = int(samples.max()) + 1 if len(samples) else 0
    tails, heads, nodes = [], [], count
    for tie in ties:
        rows = np.flatnonzero(tie >= 0)
        if len(rows):
            tails.append(samples[rows])
            heads.append(tie[rows] + nodes)
            nodes += int(tie.max()) + 1
    if not tails:
        return np.arange(count, dtype=np.int64)
    tail, head = np.concatenate(tails), np.concatenate(heads)
    graph = sp.coo_array((np.ones(len(tail), np.int8), (tail, head)), shape=(nodes, nodes)).tocsr()
    _, component = connected_components(graph, directed=False)
    return np.unique(component[:count], return_inverse=True)[1].astype(np.int64)


def crossing_components(folds: Integers, components: Integers) -> Integers:
    """The components that have samples of two folds.

    Args:
        folds: The fold of each sample, shape (n,).
        components: The component of each of them, shape (n,).
    """
    order = np.lexsort((folds, components))
    same = components[order][1:] == components[order][:-1]
    return np.unique(components[order][1:][same & (folds[order][1:] != folds[order][:-1])])


def prove_disjoint(folds: Integers, components: Integers) -> None:
    """Prove that no component crosses a fold.

    Args:
        folds: The fold of each sample that trains or is scored, shape (n,); -1 trains in every fold.
        components: The component of each of them, shape (n,).

    Raises:
        HolotypeError: A component has samples of two folds.
    """
    crossing = crossing_components(folds, components)
    if len(crossing):
        inside = folds[components == crossing[0]]
        raise HolotypeError(
            f"{len(crossing):,} components of samples that belong together cross folds; "
            f"component {crossing[0]} lies in folds {sorted({int(fold) for fold in inside})}"
        )
