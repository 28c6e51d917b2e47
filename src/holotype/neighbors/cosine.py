"""Cosine similarity that does not depend on machine or block size, and the neighbors it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError, HolotypeError, join_names
from holotype.types import Floats, Integers

Forbidden = tuple[Integers, Integers]
"""Group number of each query and of each key; keys in the query's own group are excluded, -1 means no group."""

SIMILARITY_STEPS = 2.0**24  # between similarity 0 and 1
MAX_PAIR_VALUES = 2**22  # numbers on each side of the pairs that are compared at once
MAX_LISTED = 5


@dataclass(frozen=True)
class Neighbors:
    """Nearest neighbors of each query, the most similar first, ties by row.

    Args:
        rows: Rows of the keys, shape (n, k); -1 if a query has fewer than k allowed keys.
        similarity: Cosine, from -1 to 1 in steps of 2^-24, shape (n, k); -inf if there is none.
    """

    rows: Integers
    similarity: Floats

    def __post_init__(self) -> None:
        if self.rows.shape != self.similarity.shape or self.rows.ndim != 2:
            raise HolotypeError(
                f"rows and similarity must have the same shape (n, k): {self.rows.shape}, {self.similarity.shape}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Mask of the entries that hold a neighbor, shape (n, k)."""
        return self.rows >= 0


def check_search(queries: Floats, keys: Floats, k: int, forbidden: Forbidden | None) -> None:
    """Refuse queries, keys, k or groups that cannot be searched."""
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1]:
        raise DataError(
            f"queries of shape {queries.shape} cannot be compared with keys of shape {keys.shape}",
            field="keys",
            remedy="embed both with the same network, as (rows, width)",
        )
    if not keys.size:
        raise DataError(
            f"there are no keys to search: they have shape {keys.shape}",
            field="keys",
            remedy="pass the embeddings of at least one training row",
        )
    if k < 1:
        raise DataError("the number of neighbors must be at least 1", field="k", value=k)
    if forbidden is None:
        return
    for name, groups, rows in zip(("queries", "keys"), forbidden, (queries, keys), strict=True):
        if groups.shape != (len(rows),) or not np.issubdtype(groups.dtype, np.integer) or groups.min(initial=-1) < -1:
            raise DataError(
                f"{len(rows):,} {name} need one integer >= -1 each, got {groups.dtype} of shape {groups.shape}",
                field="forbidden",
                remedy="number duplicates and groups from 0; use -1 for rows without a group",
            )


def normalize_rows(vectors: Floats, first: int = 0, name: str = "keys") -> NDArray[np.float64]:
    """Scale each row to length 1, in double precision; rows of zeros stay zero."""
    exact = np.asarray(vectors, np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", exact, exact))
    nonfinite_rows = np.flatnonzero(~np.isfinite(length)) + first
    if len(nonfinite_rows):
        raise DataError(
            f"{len(nonfinite_rows):,} embeddings are not finite: rows {join_names(nonfinite_rows, MAX_LISTED)}",
            field=name,
            remedy="leave these rows out, or check the network that embedded them",
        )
    return np.asarray(exact * (1 / np.where(length > 0, length, 1))[:, None])


def cosine_of_pairs(queries: Floats, keys: Floats, query: Integers, key: Integers) -> Floats:
    """Cosine similarity of some pairs, rounded to 24 binary places; 0 if either vector is zero.

    `query`: query row of each pair, shape (pairs,); `key`: key row of each pair, shape (pairs,).
    """
    similarity = np.empty(len(query), np.float32)
    step = max(1, MAX_PAIR_VALUES // queries.shape[1])
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        left, right = normalize_rows(queries[query[part]], name="queries"), normalize_rows(keys[key[part]])
        similarity[part] = _round_similarity(np.einsum("ij,ij->i", left, right))
    return similarity


def cosine_of_all(queries: NDArray[np.float64], keys: NDArray[np.float64]) -> Floats:
    """Cosine similarity of all pairs of unit vectors, shape (n, m), rounded to 24 binary places."""
    return _round_similarity(queries @ keys.T)


def is_forbidden(query_groups: Integers, key_groups: Integers) -> NDArray[np.bool_]:
    """Mask of the pairs in the same group; the two arrays are broadcast, and -1 means no group."""
    return np.asarray(np.where(query_groups >= 0, query_groups, -2) == key_groups)  # no key has group -2


def most_similar(query: Integers, rows: Integers, similarity: Floats, shape: tuple[int, int]) -> Neighbors:
    """Select the k best pairs of each query, ties by the smaller row.

    `rows`: key of each pair, shape (pairs,); no pair occurs twice.
    """
    order = np.lexsort((rows, -similarity, query))
    query, rows, similarity = query[order], rows[order], similarity[order]
    starts = np.searchsorted(query, np.arange(shape[0]))
    rank = np.arange(len(query)) - starts[query]
    in_top_k = rank < shape[1]
    best = Neighbors(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
    best.rows[query[in_top_k], rank[in_top_k]] = rows[in_top_k]
    best.similarity[query[in_top_k], rank[in_top_k]] = similarity[in_top_k]
    return best


def _round_similarity(cosine: NDArray[np.float64]) -> Floats:
    """The last bits of a sum depend on its order; without them, ties are ties on every machine and block size."""
    return np.asarray(np.rint(np.clip(cosine, -1, 1) * SIMILARITY_STEPS) / SIMILARITY_STEPS, np.float32)
