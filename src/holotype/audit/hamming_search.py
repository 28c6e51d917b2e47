"""Hamming search: pairs of 64-bit hashes that differ in few bits, without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from holotype.types import Integers

Hashes = NDArray[np.uint64]
CHUNKS, CHUNK_BITS = 4, 16
CROWDED_CHUNK = 4_000  # values in one chunk beyond which crowds are linked through a center
BATCH_SIZE = 8_000_000  # candidates compared in one block
MAX_BALLS = 200


@dataclass(frozen=True)
class _Table:
    """Hash values by chunk: `order[start[k] : start[k + 1]]` are the values whose chunk equals k."""

    order: tuple[Integers, ...]
    start: tuple[Integers, ...]


def nearby_hashes(queries: Hashes, base: Hashes, bits: int) -> Iterator[tuple[Integers, Integers, NDArray[np.uint8]]]:
    """Pairs of a query and a base hash within a Hamming distance, in blocks.

    Multi-index hashing (Norouzi, Punjani & Fleet 2012, "Fast search in Hamming space with multi-index hashing", CVPR):
    of four chunks of 16 bits, at least one differs in at most a quarter of the bits, so each chunk table is searched
    for the chunk and its close neighbors. A pair may be returned more than once.

    Args:
        queries: Shape (n,).
        base: Shape (m,).

    Yields:
        Query rows, base rows and distances, of equal length.
    """
    table = _build_table(base)
    for chunk in range(CHUNKS):
        keys = _extract_chunk(queries, chunk)
        for mask in _list_masks(bits // CHUNKS):
            begin = table.start[chunk][keys ^ mask]
            count = table.start[chunk][(keys ^ mask) + 1] - begin
            for rows, at in _iterate_blocks(begin, count):
                candidates = table.order[chunk][at]
                distance = np.bitwise_count(queries[rows] ^ base[candidates])
                near = distance <= bits
                yield rows[near], candidates[near], distance[near]


def cluster_hashes(hashes: Hashes, bits: int) -> Integers:
    """Single-linkage clusters of hashes within a Hamming distance.

    Where very many values share a chunk (dark fields), all within `bits` of a center are linked to it first, so that
    cost grows linearly with their number.

    Args:
        hashes: Shape (n,).
        bits: Largest distance of a link, 0 to 16.

    Returns:
        Cluster of each hash, shape (n,), numbered from 0.
    """
    values, inverse = np.unique(hashes, return_inverse=True)
    tails, heads = hamming_edges(values, bits)
    return connected(len(values), tails, heads)[inverse]


def hamming_edges(values: Hashes, bits: int) -> tuple[Integers, Integers]:
    """Links that connect all distinct hashes within a Hamming distance.

    `values`: distinct hashes, shape (n,). Returns both ends of each link. Any two values within `bits` are linked
    directly or through the center of a crowd.
    """
    tails, heads = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    alone = np.ones(len(values), bool)
    for center, crowd_rows in _iterate_crowds(values, bits):
        crowd_rows = crowd_rows[alone[crowd_rows]]
        alone[crowd_rows] = False
        tails.append(np.full(len(crowd_rows), center))
        heads.append(crowd_rows)
    rest, crowd = np.flatnonzero(alone), np.flatnonzero(~alone)
    for tail, head in _iterate_pairs(values[rest], bits):
        tails.append(rest[tail])
        heads.append(rest[head])
    if len(crowd):
        for first, second, _ in nearby_hashes(values[rest], values[crowd], bits):
            tails.append(rest[first])
            heads.append(crowd[second])
        _link_crowds(values, crowd, bits, tails, heads)
    return np.concatenate(tails).astype(np.int64), np.concatenate(heads).astype(np.int64)


def connected(count: int, tails: Integers, heads: Integers) -> Integers:
    """Connected component of each node of an undirected graph."""
    graph = sp.coo_array((np.ones(len(tails), np.int8), (tails, heads)), shape=(count, count))
    return connected_components(graph.tocsr(), directed=False)[1].astype(np.int64)


def _iterate_pairs(values: Hashes, bits: int) -> Iterator[tuple[Integers, Integers]]:
    table = _build_table(values)
    numbers = np.arange(len(values))
    for chunk in range(CHUNKS):
        keys = _extract_chunk(values, chunk)
        for mask in _list_masks(bits // CHUNKS):
            asking = numbers if mask == 0 else numbers[keys < keys ^ mask]
            begin = table.start[chunk][keys[asking] ^ mask]
            count = table.start[chunk][(keys[asking] ^ mask) + 1] - begin
            for rows, at in _iterate_blocks(begin, count):
                first, second = asking[rows], table.order[chunk][at]
                near = np.bitwise_count(values[first] ^ values[second]) <= bits
                near &= (first < second) if mask == 0 else True
                yield first[near], second[near]


def _iterate_crowds(values: Hashes, bits: int) -> Iterator[tuple[int, Integers]]:
    """Centers of crowded chunks, each with all values within `bits` of it; a value may belong to several."""
    taken = np.zeros(len(values), bool)
    for chunk in range(CHUNKS):
        for _ in range(MAX_BALLS):
            free = np.flatnonzero(~taken)
            sizes = np.bincount(_extract_chunk(values[free], chunk), minlength=1 << CHUNK_BITS)
            if sizes.max(initial=0) <= CROWDED_CHUNK:
                break
            crowd = free[_extract_chunk(values[free], chunk) == sizes.argmax()]
            center = int(crowd[np.argmin(np.bitwise_count(values[crowd] ^ _majority_bits(values[crowd])))])
            crowd_rows = free[np.bitwise_count(values[free] ^ values[center]) <= bits]
            if len(crowd_rows) < CROWDED_CHUNK // 4:
                break  # no center: the chunk is common but its values are not alike
            taken[crowd_rows] = True
            yield center, crowd_rows


def _link_crowds(values: Hashes, crowd: Integers, bits: int, tails: list[Integers], heads: list[Integers]) -> None:
    component = connected(len(values), np.concatenate(tails), np.concatenate(heads))
    names = np.unique(component[crowd])
    for number, name in enumerate(names):
        component_rows = crowd[component[crowd] == name]
        others = crowd[np.isin(component[crowd], names[number + 1 :])]
        if not len(others):
            continue
        edges = {}
        for first, second, _ in nearby_hashes(values[others], values[component_rows], bits):
            cluster = component[others[first]]
            _, at = np.unique(cluster, return_index=True)
            edges.update({int(cluster[k]): (others[first[k]], component_rows[second[k]]) for k in at})
            if len(edges) == len(names) - number - 1:
                break
        for tail, head in edges.values():
            tails.append(np.array([tail]))
            heads.append(np.array([head]))


def _majority_bits(values: Hashes) -> np.uint64:
    bits = np.unpackbits(values[:, None].view(np.uint8), axis=1).mean(axis=0) > 0.5
    return np.packbits(bits).view(np.uint64)[0]


def _build_table(values: Hashes) -> _Table:
    orders, starts = [], []
    for chunk in range(CHUNKS):
        keys = _extract_chunk(values, chunk)
        orders.append(np.argsort(keys, kind="stable"))
        starts.append(np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << CHUNK_BITS))]))
    return _Table(tuple(orders), tuple(starts))


def _extract_chunk(values: Hashes, chunk: int) -> Integers:
    return ((values >> np.uint64(chunk * CHUNK_BITS)) & np.uint64(0xFFFF)).astype(np.int64)


@cache
def _list_masks(flips: int) -> tuple[int, ...]:
    """All 16-bit numbers with at most `flips` ones, fewest first; cached because every search needs them many times."""
    every = np.arange(1 << CHUNK_BITS)
    ones = np.bitwise_count(every)
    order = np.argsort(ones, kind="stable")
    return tuple(order[ones[order] <= flips].tolist())


def _iterate_blocks(begin: Integers, count: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Rows and table positions of consecutive ranges, at most `BATCH_SIZE` positions at a time."""
    ends = np.cumsum(count)
    total, done = int(ends[-1]) if len(ends) else 0, 0
    low = 0
    while done < total:
        high = max(int(np.searchsorted(ends, done + BATCH_SIZE, side="right")), low + 1)
        part = count[low:high]
        rows = np.repeat(np.arange(low, high), part)
        at = np.arange(len(rows)) - np.repeat(np.cumsum(part) - part, part) + np.repeat(begin[low:high], part)
        yield rows, at
        done, low = int(ends[high - 1]), high
