"""Indexes of specimens: all of them looked at, or some cells of a Voronoi diagram by faiss."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from holotype.errors import HolotypeError, RecipeError
from holotype.retrieval.cosine import (
    Forbidden,
    Neighbours,
    check_search,
    cosine_of_pairs,
    is_forbidden,
    most_similar,
    unit_rows,
)
from holotype.retrieval.nearest import nearest
from holotype.seeds import keyed_generator
from holotype.types import Floats, Integers

__all__ = ["KINDS", "ExactIndex", "FaissIndex", "make_index"]

KINDS = ("auto", "exact", "faiss")
MOST_EXACT = 300_000  # keys: above them tens of thousands of queries take longer than building the cells
KEYS_A_CELL, TURNS = 32, 5  # of k-means: centres need not be settled, only apart
SEED = 20_180_110  # the cells are the same in every run: they are chosen, not sampled
BLOCK = 2**14


class ExactIndex:
    """Every key is looked at.

    Args:
        keys: Embeddings, shape (m, width).

    Raises:
        DataError: There are no keys.
    """

    kind = "exact"

    def __init__(self, keys: Floats) -> None:
        check_search(keys[:0], keys, 1, None)
        self.keys = keys

    def search(self, queries: Floats, k: int, forbidden: Forbidden | None = None) -> Neighbours:
        """The k most similar keys.

        Args:
            queries: Embeddings, shape (n, width).
            k: How many, at least 1.
            forbidden: Tie numbers of the queries and of the keys, as in `nearest`.

        Raises:
            DataError: Widths differ, or an embedding is not finite.
        """
        return nearest(queries, self.keys, k, forbidden=forbidden)


class FaissIndex:
    """Keys are sorted into cells around some centres, and only the cells nearest to a query are looked at.

    An inverted file of plain vectors (Johnson, Douze & Jégou 2019, "Billion-scale similarity search with GPUs"): what
    it finds has the exact similarity, but a neighbour in a cell further away is missed.

    Args:
        keys: Embeddings, shape (m, width).
        cells: How many; by default four times the square root of the number of keys.
        visited: How many cells a query looks at; by default a fiftieth, at least 16.

    Raises:
        DataError: There are no keys, or one is not finite.
        RecipeError: faiss is not installed.
    """

    kind = "faiss"

    def __init__(self, keys: Floats, cells: int | None = None, visited: int | None = None) -> None:
        faiss = _faiss()
        check_search(keys[:0], keys, 1, None)
        self.keys = keys
        count, width = keys.shape
        cells = min(cells or round(4 * count**0.5), count)
        self.visited = min(visited or max(16, cells // 50), cells)
        self._index: Any = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        self._index.nprobe = self.visited
        self._index.cp.seed, self._index.cp.niter = SEED, TURNS
        self._index.cp.min_points_per_centroid = 1  # few keys are no reason for a warning
        taught = min(count, cells * KEYS_A_CELL)
        sample = np.sort(keyed_generator(SEED, "cells").choice(count, taught, replace=False))
        self._index.train(unit_rows(keys[sample].astype(np.float32, copy=False)))
        for first in range(0, count, BLOCK):
            self._index.add(unit_rows(keys[first : first + BLOCK].astype(np.float32, copy=False), first))

    def search(self, queries: Floats, k: int, forbidden: Forbidden | None = None) -> Neighbours:
        """The k most similar keys of the cells that are looked at.

        Args:
            queries: Embeddings, shape (n, width).
            k: How many, at least 1.
            forbidden: Tie numbers of the queries and of the keys, as in `nearest`.

        Returns:
            As of `nearest`; places are free, too, where the cells hold too few allowed keys.

        Raises:
            DataError: Widths differ, or a query is not finite.
        """
        check_search(queries, self.keys, k, forbidden)
        queries = queries.astype(np.float32, copy=False)
        unit = unit_rows(queries, name="queries")
        best = Neighbours(np.full((len(unit), k), -1, np.int64), np.full((len(unit), k), -np.inf, np.float32))
        tied = np.zeros(len(unit), np.int64) if forbidden is None else _tied_keys(*forbidden)
        waiting, asked = np.arange(len(unit)), 2 * k  # some more than k: rounding may have put them in another order
        while len(waiting):
            found = self._ask(queries, unit, waiting, asked)
            ties = None if forbidden is None else (forbidden[0][waiting], forbidden[1])
            kept = self._ranked(queries[waiting], found, k, ties)
            best.rows[waiting], best.similarity[waiting] = kept.rows, kept.similarity
            # those whose own ties may have stood in the way of others ask again for more
            waiting = waiting[(kept.rows[:, -1] < 0) & (found[:, -1] >= 0) & (asked < k + tied[waiting])]
            asked *= 4
        return best

    def _ask(self, queries: Floats, unit: Floats, waiting: Integers, asked: int) -> Integers:
        step = max(1, 2**22 // asked)
        parts = [
            self._index.search(unit[waiting[start : start + step]], min(asked, len(self.keys)))[1]
            for start in range(0, len(waiting), step)
        ]
        return np.concatenate(parts).astype(np.int64)

    def _ranked(self, queries: Floats, found: Integers, k: int, forbidden: Forbidden | None) -> Neighbours:
        allowed = found >= 0
        if forbidden is not None:
            allowed &= ~is_forbidden(forbidden[0][:, None], forbidden[1][found])
        query, place = np.nonzero(allowed)
        rows = found[query, place]
        return most_similar(query, rows, cosine_of_pairs(queries, self.keys, query, rows), (len(queries), k))


def make_index(keys: Floats, kind: str = "auto") -> ExactIndex | FaissIndex:
    """An index of some keys.

    Args:
        keys: Embeddings, shape (m, width).
        kind: `exact`, `faiss` (needs the extra `retrieval`), or `auto`: exact up to 300,000 keys, and wherever faiss is
            not installed. The index's own `kind` tells which it is.

    Raises:
        DataError: There are no keys, or faiss is given one that is not finite.
        RecipeError: There is no such kind, or faiss is asked for and not installed.
    """
    if kind not in KINDS:
        raise RecipeError(f"there is no index {kind!r}", field="neighbours.index", value=kind, allowed=KINDS)
    if kind == "auto":
        kind = "faiss" if len(keys) > MOST_EXACT and _has_faiss() else "exact"
    return FaissIndex(keys) if kind == "faiss" else ExactIndex(keys)


def _tied_keys(query_ties: Integers, key_ties: Integers) -> Integers:
    """How many keys each query is tied to."""
    numbers, counts = np.unique(key_ties, return_counts=True)
    place = np.minimum(np.searchsorted(numbers, query_ties), len(numbers) - 1)
    return np.asarray(np.where(is_forbidden(query_ties, numbers[place]), counts[place], 0), np.int64)


def _faiss() -> ModuleType:
    try:
        import faiss  # an extra, and slow to load
    except ImportError as error:
        raise RecipeError(
            "faiss is not installed",
            field="neighbours.index",
            value="faiss",
            allowed=KINDS,
            remedy="pip install 'holotype[retrieval]', or ask for the exact index",
        ) from error
    return faiss


def _has_faiss() -> bool:
    try:
        _faiss()
    except HolotypeError:
        return False
    return True
