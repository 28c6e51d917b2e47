"""A million hashes clustered by links of at most six bits: seconds, memory, and a brute-force check.

    python bench/hash_clusters.py

Random hashes with planted neighbours, then the same with half a million nearly equal ones, as dark fields have.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from holotype.audit.hamming_search import cluster_hashes

BITS = 6


def flipped(values: np.ndarray, flips: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each value with so many bits turned over."""
    for turn in range(int(flips.max())):
        mask = np.uint64(1) << generator.integers(0, 64, len(values), dtype=np.uint64)
        values = np.where(flips > turn, values ^ mask, values)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=20_000)
    count, sample = (vars(parser.parse_args())[name] for name in ("count", "sample"))
    generator = np.random.default_rng(3)
    random = generator.integers(0, 2**64, count, dtype=np.uint64)
    planted = count // 10
    random[:planted] = flipped(random[planted : 2 * planted], generator.integers(1, BITS + 1, planted), generator)
    dark = random.copy()
    dark[count // 2 :] = flipped(
        np.full(count - count // 2, dark[-1]), generator.poisson(2, count - count // 2), generator
    )
    for name, hashes in (("random, a tenth planted", random), ("half of them dark fields", dark)):
        started = time.perf_counter()
        cluster = cluster_hashes(hashes, BITS)
        seconds = time.perf_counter() - started
        half = sample // 2
        chosen = np.r_[generator.choice(planted, half, replace=False), generator.choice(count, half, replace=False)]
        chosen[half // 2 : half] = chosen[: half // 2] + planted  # planted pairs, both ends
        missed = pairs = 0
        for start in range(0, sample, 500):
            near = np.bitwise_count(hashes[chosen[start : start + 500], None] ^ hashes[chosen]) <= BITS
            first, second = np.nonzero(near)
            pairs += len(first)
            missed += int((cluster[chosen[start + first]] != cluster[chosen[second]]).sum())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{name}: {count:,} hashes, {seconds:.1f} s, peak {peak:.2f} GB, {len(np.unique(cluster)):,} clusters; "
            f"of {pairs:,} pairs within {BITS} bits in a sample of {sample:,}, {missed} lie in two clusters"
        )


if __name__ == "__main__":
    main()
