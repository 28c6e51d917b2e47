"""The exact nearest neighbors by cosine: a matrix product that screens, and double precision where it counts.

The product of a block of queries and a block of keys is in single precision, whose last bits hang on the machine and
on the size of the block. It only screens: whatever could be among the best, by a bound on its rounding, is computed
again in double precision, so that neighbors are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.neighbors.cosine import (
    Forbidden,
    Neighbors,
    check_search,
    cosine_of_all,
    cosine_of_pairs,
    is_forbidden,
    most_similar,
    normalize_rows,
)
from holotype.types import Floats, Integers

__all__ = ["nearest"]

MAX_BYTES = 2**28
MAX_BLOCK_KEYS = 2**14  # of a block: a larger one gains nothing in a matrix product
BYTES_PER_PAIR = 40  # while a pair that passed the screen is looked at again
MIN_COSINE = np.float32(-2)  # below every cosine
CROWDED_FACTOR = 4  # times k: with more candidates a block the screen is narrowed by the block's own best


def nearest(
    queries: Floats, keys: Floats, k: int, *, forbidden: Forbidden | None = None, max_bytes: int = MAX_BYTES
) -> Neighbors:
    """The k keys of the largest cosine to each query, exactly, whatever the machine and the sizes of the blocks.

    Args:
        queries: Embeddings of any length, shape (n, width).
        keys: Embeddings of any length, shape (m, width).
        k: How many, at least 1.
        forbidden: Tie numbers of the queries, shape (n,), and of the keys, shape (m,): a key of the query's own number
            is left out (its duplicates, and the query itself where it is one of the keys); -1 ties nothing.
        max_bytes: About how much memory may be used beside the arguments and the result.

    Returns:
        Rows of the keys and cosines, the largest first, equal ones (to 24 binary places) by the smaller row. Where
        fewer than k keys are allowed the last places are -1 and -inf. A vector of zeros has the cosine 0 to everything.

    Raises:
        DataError: Widths differ, there are no keys, or an embedding is not finite.
    """
    queries, keys = np.asarray(queries), np.asarray(keys)
    check_search(queries, keys, k, forbidden)
    width = keys.shape[1]
    block = int(np.clip(max_bytes // (48 * width), 1, min(MAX_BLOCK_KEYS, len(keys))))
    count = int(np.clip(max_bytes // max(8 * block, 16 * width), 1, max(1, len(queries))))
    rows_at_once = max(1, max_bytes // (4 * BYTES_PER_PAIR * block))
    parts = []
    for start in range(0, max(1, len(queries)), count):
        part = slice(start, start + count)
        groups = None if forbidden is None else (forbidden[0][part], forbidden[1])
        search = _Search(queries[part].astype(np.float32), start, groups, k, rows_at_once)
        search.scan(keys, block)
        parts.append(search.best)
    return Neighbors(np.concatenate([part.rows for part in parts]), np.concatenate([part.similarity for part in parts]))


@dataclass
class _Block:
    """Some keys, where they begin, and their tie numbers."""

    keys: Floats
    first: int
    groups: Integers | None


class _Search:
    """The best keys so far of some queries; blocks of keys must come in the order of their rows."""

    def __init__(self, queries: Floats, first: int, groups: Forbidden | None, k: int, at_once: int) -> None:
        self.queries, self.groups, self.k, self.at_once = queries, groups, k, at_once
        self.unit = normalize_rows(queries, first, "queries")
        shape = (len(queries), k)
        self.best = Neighbors(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        # Of a product of two unit vectors in single precision (Higham 2002, "Accuracy and stability of numerical
        # algorithms", section 3.1), with as much again for the two lengths, and a little for what is rounded once.
        self.slack = np.float32((2 * queries.shape[1] + 16) * 2.0**-24)

    def scan(self, keys: Floats, size: int) -> None:
        buffer = np.empty(len(self.unit) * size, np.float32)
        for first in range(0, len(keys), size):
            part = slice(first, first + size)
            block = _Block(keys[part].astype(np.float32, copy=False), first, self.groups and self.groups[1][part])
            shape = (len(self.unit), len(block.keys))
            screen = buffer[: shape[0] * shape[1]].reshape(shape)
            np.matmul(self.unit, normalize_rows(block.keys, first).T, out=screen)
            promising = np.flatnonzero(screen.max(axis=1) >= self._threshold())
            for start in range(0, len(promising), self.at_once):
                query_rows = promising[start : start + self.at_once]
                self._update_best(query_rows, screen[query_rows], block)

    def _threshold(self) -> Floats:
        """What a product must reach for its pair to have any hope; -inf while places are free."""
        return np.asarray(self.best.similarity[:, -1] - self.slack)

    def _update_best(self, query_rows: Integers, screen: Floats, block: _Block) -> None:
        """Compute again what passes the screen, and keep it where it is better than what was there."""
        passed = np.flatnonzero(self._screen_mask(query_rows, screen, block))
        query, key = np.divmod(passed, screen.shape[1])
        if self.groups is not None and block.groups is not None:
            allowed = ~is_forbidden(self.groups[0][query_rows[query]], block.groups[key])
            query, key = query[allowed], key[allowed]
        if len(query) * 8 > screen.size:  # nearly all look alike: one product is cheaper than so many pairs
            similarity = cosine_of_all(self.queries[query_rows], block.keys)[query, key]
        else:
            similarity = cosine_of_pairs(self.queries, block.keys, query_rows[query], key)
        better = similarity > self.best.similarity[query_rows[query], -1]  # an equal one has the larger row
        query, key, similarity = query[better], key[better], similarity[better]
        old, column = np.nonzero(self.best.valid[query_rows])
        merged = most_similar(
            np.concatenate([old, query]),
            np.concatenate([self.best.rows[query_rows[old], column], key + block.first]),
            np.concatenate([self.best.similarity[query_rows[old], column], similarity]),
            (len(query_rows), self.k),
        )
        self.best.rows[query_rows], self.best.similarity[query_rows] = merged.rows, merged.similarity

    def _screen_mask(self, query_rows: Integers, screen: Floats, block: _Block) -> NDArray[np.bool_]:
        """Which pairs may be among the best; in rows with many of them forbidden ones are out already."""
        threshold = self._threshold()[query_rows, None]
        passed = np.asarray(screen >= threshold)
        crowded = np.flatnonzero(np.count_nonzero(passed, axis=1) > CROWDED_FACTOR * self.k)
        if len(crowded):
            products = screen[crowded]
            if self.groups is not None and block.groups is not None:
                products[is_forbidden(self.groups[0][query_rows[crowded], None], block.groups)] = -np.inf
            # k keys of the block come at least so near, less the slack; what is below them by twice that has no hope
            split_index = products.shape[1] - self.k
            block_threshold = np.partition(products, split_index, axis=1)[:, split_index, None] - 2 * self.slack
            passed[crowded] = products >= np.maximum(np.maximum(threshold[crowded], block_threshold), MIN_COSINE)
        return passed
