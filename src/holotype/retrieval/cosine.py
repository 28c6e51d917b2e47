"""Cosines that are the same wherever they are computed, and the neighbours they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.errors import DataError, HolotypeError, listing
from holotype.types import Floats, Integers

__all__ = [
    "Forbidden",
    "Neighbours",
    "check_search",
    "cosine_of_all",
    "cosine_of_pairs",
    "is_forbidden",
    "most_similar",
    "unit_rows",
]

Forbidden = tuple[Integers, Integers]
"""A number for every query and for every key: a key of the query's own number is not its neighbour; -1 ties nothing."""

STEPS = 2.0**24  # of similarity between 0 and 1: the last bits of a sum hang on its order, and must decide nothing
FEEBLE, MIGHTY = 1e-20, 1e30  # squared lengths between these are exact enough in float32
PAIRS_AT_ONCE = 2**22  # numbers of each side of the pairs that are compared at once
LISTED = 5


@dataclass(frozen=True)
class Neighbours:
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
                f"neighbours need rows and similarity of one shape (n, k), got {self.rows.shape} and "
                f"{self.similarity.shape}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which places hold a neighbour, shape (n, k)."""
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
        raise DataError(f"{k} neighbours were asked for", field="k", value=k, remedy="ask for at least 1")
    if forbidden is None:
        return
    for name, ties, rows in zip(("queries", "keys"), forbidden, (queries, keys), strict=True):
        if ties.shape != (len(rows),) or not np.issubdtype(ties.dtype, np.integer) or ties.min(initial=-1) < -1:
            raise DataError(
                f"{len(rows):,} {name} need a whole number of at least -1 each, got {ties.dtype} of shape {ties.shape}",
                field="forbidden",
                remedy="number duplicates and groups from 0 and give -1 to what is tied to nothing",
            )


def unit_rows(vectors: Floats, first: int = 0, name: str = "keys") -> Floats:
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
    plain = (squares > FEEBLE) & (squares < MIGHTY)
    unit = vectors * (1 / np.sqrt(np.where(plain, squares, 1)))[:, None]
    if not plain.all():
        careful = np.flatnonzero(~plain)
        exact = vectors[careful].astype(np.float64)
        length = _lengths(exact)
        wrong = careful[~np.isfinite(length)] + first
        if len(wrong):
            raise DataError(
                f"{len(wrong):,} embeddings hold what is not a finite number: rows {listing(wrong, LISTED)}",
                field=name,
                remedy="leave these rows out, or look at the network that embedded them",
            )
        unit[careful] = exact / np.where(length > 0, length, 1)[:, None]
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
    step = max(1, PAIRS_AT_ONCE // queries.shape[1])
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        one, other = queries[query[part]].astype(np.float64), keys[key[part]].astype(np.float64)
        similarity[part] = _in_steps(np.einsum("ij,ij->i", one, other), _lengths(one) * _lengths(other))
    return similarity


def cosine_of_all(queries: Floats, keys: Floats) -> Floats:
    """The similarity of every query with every key, to 24 binary places.

    Args:
        queries: Shape (n, width).
        keys: Shape (m, width).

    Returns:
        Shape (n, m); 0 where either side is all zeros.
    """
    one, other = queries.astype(np.float64), keys.astype(np.float64)
    return _in_steps(one @ other.T, np.outer(_lengths(one), _lengths(other)))


def is_forbidden(query_ties: Integers, key_ties: Integers) -> NDArray[np.bool_]:
    """Which pairs are tied to each other.

    Args:
        query_ties: One number a query; -1 ties nothing. Broadcast against the other.
        key_ties: One number a key, at least -1.
    """
    return np.asarray(np.where(query_ties >= 0, query_ties, -2) == key_ties)  # no key has the number -2


def most_similar(query: Integers, rows: Integers, similarity: Floats, shape: tuple[int, int]) -> Neighbours:
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
    place = np.arange(len(query)) - starts[query]
    kept = place < shape[1]
    best = Neighbours(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
    best.rows[query[kept], place[kept]] = rows[kept]
    best.similarity[query[kept], place[kept]] = similarity[kept]
    return best


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def _in_steps(products: NDArray[np.float64], lengths: NDArray[np.float64]) -> Floats:
    cosine = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return np.asarray(np.rint(np.clip(cosine, -1, 1) * STEPS) / STEPS, np.float32)
