"""Cosines that are the same wherever they are computed, and the neighbors they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError, HolotypeError, join_names
from holotype.types import Floats, Integers

__all__ = [
    "Forbidden",
    "Neighbors",
    "check_search",
    "cosine_of_all",
    "cosine_of_pairs",
    "is_forbidden",
    "most_similar",
    "normalize_rows",
]

Forbidden = tuple[Integers, Integers]
"""A number for every query and for every key: a key of the query's own number is not its neighbor; -1 ties nothing."""

SIMILARITY_STEPS = (
    2.0**24
)  # of similarity between 0 and 1: the last bits of a sum hang on its order, and must decide nothing
MIN_SQUARED_NORM, MAX_SQUARED_NORM = 1e-20, 1e30  # squared lengths between these are exact enough in float32
MAX_PAIR_VALUES = 2**22  # numbers of each side of the pairs that are compared at once
MAX_LISTED = 5


@dataclass(frozen=True)
class Neighbors:
    """The most similar keys of each query, the most similar first, equally similar ones by their row.

    Args:
        rows: Which rows of the keys, shape (n, k); -1 where a query has fewer than k allowed keys.
        similarity: Cosine to them, from -1 to 1 in steps of 2^-24, shape (n, k); -inf where there is none.
    """

    rows: Integers
    similarity: Floats

    def __post_init__(self) -> None:
        if self.rows.shape != self.similarity.shape or self.rows.ndim != 2:
            raise HolotypeError(
                f"neighbors need rows and similarity of one shape (n, k), got {self.rows.shape} and "
                f"{self.similarity.shape}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which places hold a neighbor, shape (n, k)."""
        return self.rows >= 0


def check_search(queries: Floats, keys: Floats, k: int, forbidden: Forbidden | None) -> None:
    """Refuse what cannot be searched.

    Args:
        queries: Should have shape (n, width).
        keys: Should have shape (m, width), m above 0.
        k: Should be at least 1.
        forbidden: Should have one whole number a query and one a key.

    Raises:
        DataError: Something else was given.
    """
    if queries.ndim != 2 or keys.ndim != 2 or queries.shape[1] != keys.shape[1]:
        raise DataError(
            f"queries of shape {queries.shape} cannot be compared with keys of shape {keys.shape}",
            field="keys",
            remedy="embed both with one network, as (rows, width)",
        )
    if not keys.size:
        raise DataError(
            f"there is nothing to search: the keys have shape {keys.shape}",
            field="keys",
            remedy="give the training rows' embeddings, at least one",
        )
    if k < 1:
        raise DataError(f"{k} neighbors were asked for", field="k", value=k, remedy="ask for at least 1")
    if forbidden is None:
        return
    for name, groups, rows in zip(("queries", "keys"), forbidden, (queries, keys), strict=True):
        if groups.shape != (len(rows),) or not np.issubdtype(groups.dtype, np.integer) or groups.min(initial=-1) < -1:
            raise DataError(
                f"{len(rows):,} {name} need a whole number of at least -1 each, got {groups.dtype} of shape "
                f"{groups.shape}",
                field="forbidden",
                remedy="number duplicates and groups from 0 and give -1 to what is tied to nothing",
            )


def normalize_rows(vectors: Floats, first: int = 0, name: str = "keys") -> Floats:
    """Each row divided by its length.

    Args:
        vectors: Shape (n, width).
        first: The number of the first row, for the error.
        name: What the rows are, for the error.

    Returns:
        Shape (n, width); a row of zeros stays one.

    Raises:
        DataError: A row holds what is not a finite number.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    in_range = (squares > MIN_SQUARED_NORM) & (squares < MAX_SQUARED_NORM)
    unit = vectors * (1 / np.sqrt(np.where(in_range, squares, 1)))[:, None]
    if not in_range.all():
        extreme_rows = np.flatnonzero(~in_range)
        exact = vectors[extreme_rows].astype(np.float64)
        length = _row_norms(exact)
        nonfinite_rows = extreme_rows[~np.isfinite(length)] + first
        if len(nonfinite_rows):
            raise DataError(
                f"{len(nonfinite_rows):,} embeddings hold what is not a finite number: rows "
                f"{join_names(nonfinite_rows, MAX_LISTED)}",
                field=name,
                remedy="leave these rows out, or look at the network that embedded them",
            )
        unit[extreme_rows] = exact / np.where(length > 0, length, 1)[:, None]
    return np.asarray(unit, np.float32)


def cosine_of_pairs(queries: Floats, keys: Floats, query: Integers, key: Integers) -> Floats:
    """The similarity of some pairs, to 24 binary places.

    Args:
        queries: Shape (n, width).
        keys: Shape (m, width).
        query: The query of each pair, shape (pairs,).
        key: The key of each pair, shape (pairs,).

    Returns:
        Shape (pairs,); 0 where either side is all zeros.
    """
    similarity = np.empty(len(query), np.float32)
    step = max(1, MAX_PAIR_VALUES // queries.shape[1])
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        left, right = queries[query[part]].astype(np.float64), keys[key[part]].astype(np.float64)
        similarity[part] = _round_similarity(np.einsum("ij,ij->i", left, right), _row_norms(left) * _row_norms(right))
    return similarity


def cosine_of_all(queries: Floats, keys: Floats) -> Floats:
    """The similarity of every query with every key, to 24 binary places.

    Args:
        queries: Shape (n, width).
        keys: Shape (m, width).

    Returns:
        Shape (n, m); 0 where either side is all zeros.
    """
    left, right = queries.astype(np.float64), keys.astype(np.float64)
    return _round_similarity(left @ right.T, np.outer(_row_norms(left), _row_norms(right)))


def is_forbidden(query_groups: Integers, key_groups: Integers) -> NDArray[np.bool_]:
    """Which pairs are tied to each other.

    Args:
        query_groups: One number a query; -1 ties nothing. Broadcast against the other.
        key_groups: One number a key, at least -1.
    """
    return np.asarray(np.where(query_groups >= 0, query_groups, -2) == key_groups)  # no key has the number -2


def most_similar(query: Integers, rows: Integers, similarity: Floats, shape: tuple[int, int]) -> Neighbors:
    """The k best pairs of each query.

    Args:
        query: The query of each pair, shape (pairs,).
        rows: The key of each pair, shape (pairs,); no pair comes twice.
        similarity: Of each pair, shape (pairs,).
        shape: Number of queries, and k.
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


def _row_norms(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _round_similarity(products: NDArray[np.float64], lengths: NDArray[np.float64]) -> Floats:
    cosine = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return np.asarray(np.rint(np.clip(cosine, -1, 1) * SIMILARITY_STEPS) / SIMILARITY_STEPS, np.float32)
