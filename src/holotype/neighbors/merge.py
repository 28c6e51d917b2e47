"""One list of neighbors out of those that several fold models name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holotype.core.errors import DataError
from holotype.neighbors.cosine import Neighbors, most_similar
from holotype.types import Floats, Integers

__all__ = ["merge_neighbors"]


def merge_neighbors(neighbor_lists: Sequence[Neighbors], keys: Sequence[Integers]) -> Neighbors:
    """The specimens that are most similar by the mean over the models whose index holds them.

    Each model names neighbors of the same samples among its own training rows. Where a model knows a specimen that
    others name and does not name it itself, it is at most as similar as the last one that it names, and counts so.

    Args:
        neighbor_lists: One a model, of the same n samples; rows are those of the model's own index.
        keys: One a model: the common number of each row of its index, shape (its keys,), none twice.

    Returns:
        Common numbers and mean similarities, the largest first, shape (n, the largest k).

    Raises:
        DataError: The models do not name neighbors of the same samples, or an index has another length.
    """
    _require_consistent(neighbor_lists, keys)
    samples = len(neighbor_lists[0])
    query, number, similarity = (
        np.concatenate(part) for part in zip(*map(_list_pairs, neighbor_lists, keys), strict=True)
    )
    if not len(query):
        return most_similar(query, number, similarity, neighbor_lists[0].rows.shape)
    # One entry a sample and specimen; each model adds what it says of it.
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
        unlisted = np.isin(pairs[:, 1], index_keys) & np.isfinite(lowest)  # a list that is not full left nothing out
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
    if (
        not neighbor_lists
        or len(neighbor_lists) != len(keys)
        or len({len(neighbors) for neighbors in neighbor_lists}) > 1
    ):
        raise DataError(
            f"neighbors by {len(neighbor_lists)} models of {[len(neighbors) for neighbors in neighbor_lists]} "
            f"samples and the keys of "
            f"{len(keys)} indexes do not belong together",
            field="neighbors",
            remedy="give one of each a model, all of the same samples",
        )
    for neighbors, index_keys in zip(neighbor_lists, keys, strict=True):
        if neighbors.rows.max(initial=-1) >= len(index_keys) or len(np.unique(index_keys)) < len(index_keys):
            raise DataError(
                f"an index of {len(index_keys):,} keys, {len(np.unique(index_keys)):,} of them different, does not "
                f"hold the row "
                f"{neighbors.rows.max(initial=-1):,} that its model names",
                field="neighbors",
                remedy="give each model's own keys, in the order of its index",
            )
