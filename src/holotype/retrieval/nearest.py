"""The exact nearest neighbours by cosine: a matrix product that screens, and double precision where it counts.

The product of a block of queries and a block of keys is in single precision, whose last bits hang on the machine and
on the size of the block. It only screens: whatever could be among the best, by a bound on its rounding, is computed
again in double precision, so that neighbours are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.retrieval.cosine import (
    Forbidden,
    Neighbours,
    check_search,
    cosine_of_all,
    cosine_of_pairs,
    is_forbidden,
    most_similar,
    unit_rows,
)
from holotype.types import Floats, Integers

__all__ = ["nearest"]

MOST_BYTES = 2**28
MOST_KEYS = 2**14  # of a block: a larger one gains nothing in a matrix product
BYTES_A_PAIR = 40  # while a pair that passed the screen is looked at again
LEAST = np.float32(-2)  # below every cosine
CROWDED = 4  # times k: with more candidates a block the screen is narrowed by the block's own best


def nearest(
    queries: Floats, keys: Floats, k: int, *, forbidden: Forbidden | None = None, most_bytes: int = MOST_BYTES
) -> Neighbours:
    """The k keys of the largest cosine to each query, exactly, whatever the machine and the sizes of the blocks.

    Args:
        queries: Embeddings of any length, shape (n, width).
        keys: Embeddings of any length, shape (m, width).
        k: How many, at least 1.
        forbidden: Tie numbers of the queries, shape (n,), and of the keys, shape (m,): a key of the query's own number
            is left out (its duplicates, and the query itself where it is one of the keys); -1 ties nothing.
        most_bytes: About how much memory may be used beside the arguments and the result.

    Returns:
        Rows of the keys and cosines, the largest first, equal ones (to 24 binary places) by the smaller row. Where
        fewer than k keys are allowed the last places are -1 and -inf. A vector of zeros has the cosine 0 to everything.

    Raises:
        DataError: Widths differ, there are no keys, or an embedding is not finite.
    """
    queries, keys = np.asarray(queries), np.asarray(keys)
    check_search(queries, keys, k, forbidden)
    width = keys.shape[1]
    block = int(np.clip(most_bytes // (48 * width), 1, min(MOST_KEYS, len(keys))))
    count = int(np.clip(most_bytes // max(8 * block, 16 * width), 1, max(1, len(queries))))
    at_once = max(1, most_bytes // (4 * BYTES_A_PAIR * block))
    parts = []
    for start in range(0, max(1, len(queries)), count):
        part = slice(start, start + count)
        ties = None if forbidden is None else (forbidden[0][part], forbidden[1])
        search = _Search(queries[part].astype(np.float32), start, ties, k, at_once)
        search.through(keys, block)
        parts.append(search.best)
    return Neighbours(
        np.concatenate([part.rows for part in parts]), np.concatenate([part.similarity for part in parts])
    )


@dataclass
class _Block:
    """Some keys, where they begin, and their tie numbers."""

    keys: Floats
    first: int
    ties: Integers | None


class _Search:
    """The best keys so far of some queries; blocks of keys must come in the order of their rows."""

    def __init__(self, queries: Floats, first: int, ties: Forbidden | None, k: int, at_once: int) -> None:
        self.queries, self.ties, self.k, self.at_once = queries, ties, k, at_once
        self.unit = unit_rows(queries, first, "queries")
        shape = (len(queries), k)
        self.best = Neighbours(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        # Of a product of two unit vectors in single precision (Higham 2002, "Accuracy and stability of numerical
        # algorithms", section 3.1), with as much again for the two lengths, and a little for what is rounded once.
        self.slack = np.float32((2 * queries.shape[1] + 16) * 2.0**-24)

    def through(self, keys: Floats, size: int) -> None:
        buffer = np.empty(len(self.unit) * size, np.float32)
        for first in range(0, len(keys), size):
            part = slice(first, first + size)
            block = _Block(keys[part].astype(np.float32, copy=False), first, self.ties and self.ties[1][part])
            shape = (len(self.unit), len(block.keys))
            screen = buffer[: shape[0] * shape[1]].reshape(shape)
            np.matmul(self.unit, unit_rows(block.keys, first).T, out=screen)
            hopeful = np.flatnonzero(screen.max(axis=1) >= self._threshold())
            for start in range(0, len(hopeful), self.at_once):
                chosen = hopeful[start : start + self.at_once]
                self._look(chosen, screen[chosen], block)

    def _threshold(self) -> Floats:
        """What a product must reach for its pair to have any hope; -inf while places are free."""
        return np.asarray(self.best.similarity[:, -1] - self.slack)

    def _look(self, chosen: Integers, screen: Floats, block: _Block) -> None:
        """Compute again what passes the screen, and keep it where it is better than what was there."""
        passed = np.flatnonzero(self._passed(chosen, screen, block))
        query, key = np.divmod(passed, screen.shape[1])
        if self.ties is not None and block.ties is not None:
            allowed = ~is_forbidden(self.ties[0][chosen[query]], block.ties[key])
            query, key = query[allowed], key[allowed]
        if len(query) * 8 > screen.size:  # nearly all look alike: one product is cheaper than so many pairs
            similarity = cosine_of_all(self.queries[chosen], block.keys)[query, key]
        else:
            similarity = cosine_of_pairs(self.queries, block.keys, chosen[query], key)
        better = similarity > self.best.similarity[chosen[query], -1]  # an equal one has the larger row
        query, key, similarity = query[better], key[better], similarity[better]
        old, place = np.nonzero(self.best.found[chosen])
        merged = most_similar(
            np.concatenate([old, query]),
            np.concatenate([self.best.rows[chosen[old], place], key + block.first]),
            np.concatenate([self.best.similarity[chosen[old], place], similarity]),
            (len(chosen), self.k),
        )
        self.best.rows[chosen], self.best.similarity[chosen] = merged.rows, merged.similarity

    def _passed(self, chosen: Integers, screen: Floats, block: _Block) -> NDArray[np.bool_]:
        """Which pairs may be among the best; in rows with many of them forbidden ones are out already."""
        threshold = self._threshold()[chosen, None]
        passed = np.asarray(screen >= threshold)
        crowded = np.flatnonzero(np.count_nonzero(passed, axis=1) > CROWDED * self.k)
        if len(crowded):
            products = screen[crowded]
            if self.ties is not None and block.ties is not None:
                products[is_forbidden(self.ties[0][chosen[crowded], None], block.ties)] = -np.inf
            # k keys of the block come at least so near, less the slack; what is below them by twice that has no hope
            place = products.shape[1] - self.k
            own = np.partition(products, place, axis=1)[:, place, None] - 2 * self.slack
            passed[crowded] = products >= np.maximum(np.maximum(threshold[crowded], own), LEAST)
        return passed
