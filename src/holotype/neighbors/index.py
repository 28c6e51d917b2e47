"""Embedding indexes: exact search, or approximate search by faiss (inverted file)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from holotype.core.errors import HolotypeError, RecipeError
from holotype.core.seeds import keyed_generator
from holotype.neighbors.cosine import (
    Forbidden,
    Neighbors,
    check_search,
    cosine_of_pairs,
    is_forbidden,
    most_similar,
    normalize_rows,
)
from holotype.neighbors.nearest import nearest
from holotype.types import Floats, Integers

INDEX_KINDS = ("auto", "exact", "faiss")
MAX_EXACT_KEYS = 300_000  # above this, ten thousands of exact queries take longer than building the cells
KEYS_PER_CELL, ITERATIONS = 32, 5  # of k-means: the centers need not converge
SEED = 20_180_110  # fixed, so that the cells are the same in every run
BLOCK = 2**14


class ExactIndex:
    """Exact index: every query is compared with every key. Raises DataError if there are no keys."""

    kind = "exact"

    def __init__(self, keys: Floats) -> None:
        check_search(keys[:0], keys, 1, None)
        self.keys = keys

    def search(self, queries: Floats, k: int, forbidden: Forbidden | None = None) -> Neighbors:
        """Find the k most similar keys, as `nearest` does.

        Raises DataError if widths differ, or an embedding is not finite.
        """
        return nearest(queries, self.keys, k, forbidden=forbidden)


class FaissIndex:
    """Approximate index: keys are clustered into cells, and only the cells nearest to a query are searched.

    An inverted file of uncompressed vectors (Johnson, Douze & Jégou 2019, "Billion-scale similarity search with GPUs").
    The similarities it returns are exact, but neighbors in cells that were not searched are missed.

    Args:
        cells: By default four times the square root of the number of keys.
        visited: Cells searched per query; by default 2 % of them, at least 16.

    Raises:
        DataError: There are no keys, or one is not finite.
        RecipeError: faiss is not installed.
    """

    kind = "faiss"

    def __init__(self, keys: Floats, cells: int | None = None, visited: int | None = None) -> None:
        faiss = _import_faiss()
        check_search(keys[:0], keys, 1, None)
        self.keys = keys
        count, width = keys.shape
        cells = min(cells or round(4 * count**0.5), count)
        self.visited = min(visited or max(16, cells // 50), cells)
        self._index: Any = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        self._index.nprobe = self.visited
        self._index.cp.seed, self._index.cp.niter = SEED, ITERATIONS
        self._index.cp.min_points_per_centroid = 1  # no warning about few keys
        train_count = min(count, cells * KEYS_PER_CELL)
        sample = np.sort(keyed_generator(SEED, "cells").choice(count, train_count, replace=False))
        self._index.train(normalize_rows(keys[sample]).astype(np.float32))
        for first in range(0, count, BLOCK):
            self._index.add(normalize_rows(keys[first : first + BLOCK], first).astype(np.float32))

    def search(self, queries: Floats, k: int, forbidden: Forbidden | None = None) -> Neighbors:
        """Find the k most similar keys in the cells that are searched.

        Returns as from `nearest`; entries are also empty if the cells hold too few allowed keys. Raises DataError if
        widths differ, or a query is not finite.
        """
        check_search(queries, self.keys, k, forbidden)
        unit = normalize_rows(queries, name="queries").astype(np.float32)
        best = Neighbors(np.full((len(unit), k), -1, np.int64), np.full((len(unit), k), -np.inf, np.float32))
        tied_counts = np.zeros(len(unit), np.int64) if forbidden is None else _count_tied_keys(*forbidden)
        pending, search_k = np.arange(len(unit)), 2 * k  # more than k, because faiss ranks by float32 similarity
        while len(pending):
            candidates = self._search_cells(queries, unit, pending, search_k)
            groups = None if forbidden is None else (forbidden[0][pending], forbidden[1])
            top = self._rank_candidates(queries[pending], candidates, k, groups)
            best.rows[pending], best.similarity[pending] = top.rows, top.similarity
            # queries whose results were mostly forbidden keys search again for more
            pending = pending[(top.rows[:, -1] < 0) & (candidates[:, -1] >= 0) & (search_k < k + tied_counts[pending])]
            search_k *= 4
        return best

    def _search_cells(self, queries: Floats, unit: Floats, pending: Integers, search_k: int) -> Integers:
        step = max(1, 2**22 // search_k)
        parts = [
            self._index.search(unit[pending[start : start + step]], min(search_k, len(self.keys)))[1]
            for start in range(0, len(pending), step)
        ]
        return np.concatenate(parts).astype(np.int64)

    def _rank_candidates(self, queries: Floats, candidates: Integers, k: int, forbidden: Forbidden | None) -> Neighbors:
        allowed = candidates >= 0
        if forbidden is not None:
            allowed &= ~is_forbidden(forbidden[0][:, None], forbidden[1][candidates])
        query, column = np.nonzero(allowed)
        rows = candidates[query, column]
        return most_similar(query, rows, cosine_of_pairs(queries, self.keys, query, rows), (len(queries), k))


def make_index(keys: Floats, kind: str = "auto") -> ExactIndex | FaissIndex:
    """Build an index of embeddings.

    `kind`: `exact`, `faiss` (needs the extra `retrieval`), or `auto`: exact up to 300,000 keys or if faiss is not
    installed. The index's own `kind` says which it is. Raises DataError if there are no keys, or faiss is given one
    that is not finite. Raises RecipeError: unknown kind, or faiss is requested and not installed.
    """
    if kind not in INDEX_KINDS:
        raise RecipeError(f"unknown kind of index {kind!r}", field="neighbors.index", value=kind, allowed=INDEX_KINDS)
    if kind == "auto":
        kind = "faiss" if len(keys) > MAX_EXACT_KEYS and _has_faiss() else "exact"
    return FaissIndex(keys) if kind == "faiss" else ExactIndex(keys)


def _count_tied_keys(query_groups: Integers, key_groups: Integers) -> Integers:
    numbers, counts = np.unique(key_groups, return_counts=True)
    index = np.minimum(np.searchsorted(numbers, query_groups), len(numbers) - 1)
    return np.asarray(np.where(is_forbidden(query_groups, numbers[index]), counts[index], 0), np.int64)


def _import_faiss() -> ModuleType:
    try:
        import faiss  # optional, and slow to import
    except ImportError as error:
        raise RecipeError(
            "faiss is not installed",
            field="neighbors.index",
            value="faiss",
            allowed=INDEX_KINDS,
            remedy="pip install 'holotype[retrieval]', or use the exact index",
        ) from error
    return faiss


def _has_faiss() -> bool:
    try:
        _import_faiss()
    except HolotypeError:
        return False
    return True
