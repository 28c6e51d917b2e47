"""Nearest neighbours among a million embeddings: the exact search against a bare product and top-k, and faiss.

    python bench/retrieval.py

Embeddings of width 512 in 20,000 clusters; the top 5 of 1,000 queries. The bare versions get keys of length 1 and break
ties as they come; the exact search takes keys of any length, and leaves out the query's own number.
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch
from _common import alternate, seconds

from holotype.neighbors import FaissIndex, nearest

BLOCK = 8192


def clustered(count: int, width: int, clusters: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys around random centres, and queries around the same ones; all of length 1."""
    generator = np.random.default_rng(11)
    centres = generator.standard_normal((clusters, width), dtype=np.float32)

    def around(rows: int) -> np.ndarray:
        points = generator.standard_normal((rows, width), dtype=np.float32)
        points *= 0.8
        points += centres[generator.integers(0, clusters, rows)]
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        return points

    return around(count), around(queries)


def bare_numpy(queries: np.ndarray, keys: np.ndarray, k: int) -> np.ndarray:
    """One product of all, one partition."""
    product = queries @ keys.T
    best = np.argpartition(product, -k, axis=1)[:, -k:]
    order = np.argsort(-np.take_along_axis(product, best, 1), axis=1)
    return np.take_along_axis(best, order, 1)


def bare_torch(queries: np.ndarray, keys: np.ndarray, k: int) -> np.ndarray:
    """One product of all, one topk."""
    return (torch.from_numpy(queries) @ torch.from_numpy(keys).T).topk(k).indices.numpy()


def bare_blocks(queries: np.ndarray, keys: np.ndarray, k: int) -> np.ndarray:
    """A product and a topk a block of keys, and a topk of those."""
    asking, asked = torch.from_numpy(queries), torch.from_numpy(keys)
    values, rows = [], []
    for first in range(0, len(keys), BLOCK):
        best = (asking @ asked[first : first + BLOCK].T).topk(k)
        values.append(best.values)
        rows.append(best.indices + first)
    chosen = torch.cat(values, 1).topk(k).indices
    return torch.cat(rows, 1).gather(1, chosen).numpy()


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """The share of the exact neighbours that were found."""
    return float(np.mean([np.isin(truth, row).mean() for row, truth in zip(found, exact, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("keys", 1_000_000), ("width", 512), ("clusters", 20_000), ("queries", 1_000), ("k", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    k = asked.k
    keys, queries = clustered(asked.keys, asked.width, asked.clusters, asked.queries)
    print(f"{asked.keys:,} keys of {asked.width} in {asked.clusters:,} clusters, top {k} of {asked.queries:,} queries")
    tracemalloc.start()
    exact = nearest(queries, keys, k).rows
    extra = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"exact: {extra / 2**20:,.0f} MB beyond the {keys.nbytes / 2**20:,.0f} MB of the keys")

    bare: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
        "numpy, whole": bare_numpy,
        "torch, whole": bare_torch,
        "torch, in blocks": bare_blocks,
    }
    taken = {name: seconds(lambda work=work: work(queries, keys, k)) for name, work in bare.items()}
    print("bare: " + ", ".join(f"{name} {one:.1f} s" for name, one in taken.items()))
    fastest = min(taken, key=lambda name: taken[name])
    rows = np.arange(len(keys))
    ours, theirs, ratio = alternate(
        lambda: nearest(queries, keys, k, forbidden=(rows[: len(queries)], rows)),
        lambda: bare[fastest](queries, keys, k),
        asked.rounds,
    )
    print(f"exact {ours:.1f} s, bare ({fastest}) {theirs:.1f} s, in turn: {1 / ratio:.2f} times the bare one")
    same = (np.sort(bare[fastest](queries, keys, k)) == np.sort(exact)).all(axis=1).mean()
    print(f"the same {k} neighbours for {same:.1%} of the queries")

    index: list[FaissIndex] = []
    build = seconds(lambda: index.append(FaissIndex(keys)))
    search = seconds(lambda: index[0].search(queries, k))
    found = index[0].search(queries, k).rows
    print(
        f"faiss: built in {build:.1f} s, {index[0].visited} cells visited, searched in {search:.2f} s "
        f"({ours / search:.0f} times faster than exact), recall {recall(found, exact):.3f}"
    )


if __name__ == "__main__":
    main()
