"""What the benchmarks share: where the real data are, and how figures are printed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("HOLOTYPE_DATA") or CHECKOUT.parent / "shared" / "data")


def real_data(name: str) -> Path | None:
    """The folder of a real data set, or none and a word about it."""
    folder = DATA / name
    if folder.is_dir():
        return folder
    print(f"left out: {folder} is not there; set HOLOTYPE_DATA to the folder that holds {name}/")
    return None


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = perf_counter()
    work()
    return perf_counter() - started


def alternate(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median seconds of two things done in turn, and the median of their ratios pair by pair (theirs over ours)."""
    ours(), theirs()  # the first call of each pays for what is set up once
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return (
        median(first for first, _ in pairs),
        median(second for _, second in pairs),
        median(second / first for first, second in pairs),
    )
