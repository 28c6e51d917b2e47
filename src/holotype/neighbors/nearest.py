"""Exact nearest neighbors by cosine similarity, block by block in double precision."""

from __future__ import annotations

import numpy as np

from holotype.neighbors.cosine import (
    Forbidden,
    Neighbors,
    check_search,
    cosine_of_all,
    is_forbidden,
    most_similar,
    normalize_rows,
)
from holotype.types import Floats

MAX_BYTES = 2**28
MAX_BLOCK_KEYS = 2**14  # a larger block does not speed up the matrix product
BYTES_PER_PAIR = 64  # product, its rounding, and the copies that sorting needs
MIN_COSINE = np.float32(-2)  # below every cosine, above the -inf of a forbidden key


def nearest(
    queries: Floats, keys: Floats, k: int, *, forbidden: Forbidden | None = None, max_bytes: int = MAX_BYTES
) -> Neighbors:
    """Find the k keys of largest cosine similarity for each query; the block sizes do not change the result.

    Args:
        queries: Embeddings of any length, shape (n, width).
        keys: Embeddings of any length, shape (m, width).
        k: At least 1.
        forbidden: Group numbers of the queries, shape (n,), and of the keys, shape (m,). Keys in the query's own group
            are excluded (its duplicates, and the query itself if it is one of the keys); -1 means no group.
        max_bytes: Approximate memory limit, without the arguments and the result.

    Returns:
        Rows of the keys and their cosines, in descending order; ties (to 24 binary places) by the smaller row. If fewer
        than k keys are allowed, the rest is -1 and -inf. A vector of zeros has cosine 0 to everything.

    Raises:
        DataError: Widths differ, there are no keys, or an embedding is not finite.
    """
    queries, keys = np.asarray(queries), np.asarray(keys)
    check_search(queries, keys, k, forbidden)
    block = int(np.clip(max_bytes // (48 * keys.shape[1]), 1, min(MAX_BLOCK_KEYS, len(keys))))
    count = int(np.clip(max_bytes // (BYTES_PER_PAIR * (block + k)), 1, max(1, len(queries))))
    best = Neighbors(np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf, np.float32))
    for start in range(0, max(1, len(queries)), count):  # also without queries, so that bad keys are always refused
        part = slice(start, start + count)
        unit = normalize_rows(queries[part], start, "queries")
        for first in range(0, len(keys), block):
            similarity = cosine_of_all(unit, normalize_rows(keys[first : first + block], first))
            if forbidden is not None:
                groups = forbidden[1][first : first + block]
                similarity[is_forbidden(forbidden[0][part, None], groups)] = -np.inf
            _merge_block(best, part, similarity, first)
    return best


def _merge_block(best: Neighbors, part: slice, similarity: Floats, first: int) -> None:
    """Update the k best of some queries with the similarities to the keys from row `first` on."""
    k = best.rows.shape[1]
    candidates = np.hstack([best.similarity[part], similarity])
    threshold = np.maximum(np.partition(candidates, -k, axis=1)[:, -k, None], MIN_COSINE)
    query, column = np.nonzero(candidates >= threshold)
    rows = np.where(column < k, best.rows[part][query, np.minimum(column, k - 1)], column - k + first)
    top = most_similar(query, rows, candidates[query, column], (len(candidates), k))
    best.rows[part], best.similarity[part] = top.rows, top.similarity
