"""Keyed random numbers: each depends on its purpose only.

The key is (seed, model, phase, fold, epoch, row) for augmentation, and a purpose otherwise. So neither the order of
rows, nor the number of workers, nor earlier work changes a random number.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def derive_seed(seed: int, *purpose: str | int) -> int:
    """63-bit seed for one purpose, given from the general to the particular."""
    text = json.dumps([seed, *purpose]).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def keyed_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """NumPy generator for one purpose."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, *purpose)))


def keyed_uniforms(key: int, rows: NDArray[np.int64], draws: int) -> NDArray[np.float64]:
    """Uniform random numbers that depend on the key and the row only, never on the batch of a row.

    Counter-based generation with the SplitMix64 finalizer (Steele, Lea & Flood 2014, "Fast splittable pseudorandom
    number generators", OOPSLA). `key`: a seed from `derive_seed`; `rows`: row numbers, shape (n,). Returns numbers in
    [0, 1), shape (n, draws).
    """
    with np.errstate(over="ignore"):
        stream = _mix_bits(_mix_bits(np.asarray(rows, dtype=np.uint64) * GOLDEN + np.uint64(key)))
        counter = np.arange(1, draws + 1, dtype=np.uint64) * GOLDEN
        bits = _mix_bits(stream[:, None] + counter[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix_bits(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
