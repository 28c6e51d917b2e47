"""Merging of the neighbor lists of several fold models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.core.errors import DataError
from holotype.neighbors.cosine import Neighbors, most_similar
from holotype.types import Floats, Integers


def merge_neighbors(neighbor_lists: Sequence[Neighbors], keys: Sequence[Integers]) -> Neighbors:
    """Merge the neighbors that several fold models found, by mean similarity over the models whose index holds them.

    If an index holds a key that is not in the model's list, the key counts with the similarity of the last one in the
    list, which is an upper bound.

    Args:
        neighbor_lists: One per model, of the same n samples; rows refer to the model's own index.
        keys: One per model: the shared number of each row of its index, without repetition.

    Returns:
        Shared numbers and mean similarities, the largest first, shape (n, largest k).

    Raises:
        DataError: The lists are of different samples, or an index has another length.
    """
    _require_consistent(neighbor_lists, keys)
    samples = len(neighbor_lists[0])
    query, number, similarity = (
        np.concatenate(part) for part in zip(*map(_list_pairs, neighbor_lists, keys), strict=True)
    )
    if not len(query):
        return most_similar(query, number, similarity, neighbor_lists[0].rows.shape)
    # One entry per query and key; each model adds its similarity.
    pairs, pair_index = np.unique(np.stack([query, number], axis=1), axis=0, return_inverse=True)
    pair_index = pair_index.reshape(-1)
    total, models = np.zeros(len(pairs)), np.zeros(len(pairs))
    start = 0
    for neighbors, index_keys in zip(neighbor_lists, keys, strict=True):
        stop = start + int(neighbors.valid.sum())
        pair_rows = pair_index[start:stop]
        total[pair_rows] += similarity[start:stop]
        models[pair_rows] += 1
        lowest = neighbors.similarity[pairs[:, 0], -1]
        # A list that is not full holds every allowed key, so nothing is missing from it.
        unlisted = np.isin(pairs[:, 1], index_keys) & np.isfinite(lowest)
        unlisted[pair_rows] = False
        total[unlisted] += lowest[unlisted]
        models[unlisted] += 1
        start = stop
    widest = max(neighbors.rows.shape[1] for neighbors in neighbor_lists)
    mean = (total / models).astype(np.float32)
    return most_similar(pairs[:, 0], pairs[:, 1], mean, (samples, widest))


def _list_pairs(neighbors: Neighbors, keys: Integers) -> tuple[Integers, Integers, Floats]:
    query, column = np.nonzero(neighbors.valid)
    return query, np.asarray(keys)[neighbors.rows[query, column]], neighbors.similarity[query, column]


def _require_consistent(neighbor_lists: Sequence[Neighbors], keys: Sequence[Integers]) -> None:
    counts = [len(neighbors) for neighbors in neighbor_lists]
    if len(set(counts)) != 1 or len(counts) != len(keys):
        raise DataError(
            f"neighbors of {len(counts)} models for {counts} samples do not match the keys of {len(keys)} indexes",
            field="neighbors",
            remedy="pass one list of neighbors and one array of keys per model, all for the same samples",
        )
    for neighbors, index_keys in zip(neighbor_lists, keys, strict=True):
        largest, distinct = neighbors.rows.max(initial=-1), len(np.unique(index_keys))
        if largest >= len(index_keys) or distinct < len(index_keys):
            raise DataError(
                f"an index of {len(index_keys):,} keys ({distinct:,} distinct) has no row {largest:,}",
                field="neighbors",
                remedy="pass each model's own keys, in the order of its index",
            )
