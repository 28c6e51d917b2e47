"""Which training rows an epoch sees and in which order, drawn anew each epoch from a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.seeds import derive_seed, keyed_uniforms
from holotype.types import AnyLabels, Integers, LabelMatrix

__all__ = ["Rule", "batches", "sampled", "shuffled", "with_joining"]

REPEAT_BITS = 40  # rows are fewer than 2 ** 40
Rule = str | Mapping[Any, int]
"""`shuffle`, `balanced`, `sqrt` or `{cap: n}`, as in the recipe."""


def with_joining(rows: Integers, others: Integers, most: int, share: float, key: int) -> Integers:
    """Labelled rows with some of those that join them; an epoch is as long however many have joined.

    Args:
        rows: Labelled image rows, shape (n,).
        others: Image rows that may join, shape (m,).
        most: How many of them an epoch has in the end.
        share: How far they have joined, in [0, 1]; labelled rows come a second time in place of the missing ones.
        key: From `holotype.seeds.derive_seed`.

    Returns:
        Shape (n + most,).
    """
    if not most:
        return rows
    now = round(share * most)
    chosen = shuffled(others, key)[:now]
    again = np.resize(shuffled(rows, derive_seed(key, "again")), most - now)
    return np.concatenate([rows, chosen, again])


def shuffled(rows: Integers, key: int) -> Integers:
    """The rows in a random order.

    Args:
        rows: Image rows, shape (n,).
        key: From `holotype.seeds.derive_seed`; the same key gives the same order.
    """
    before = _numbered(rows)[:, 1]
    return rows[np.argsort(keyed_uniforms(key, rows + (before << REPEAT_BITS), 1)[:, 0], kind="stable")]


def sampled(rows: Integers, truth: AnyLabels, rule: Rule, key: int) -> Integers:
    """The rows of an epoch in a random order, some left out and some more than once.

    A row is wanted as its rarest class is: `balanced` wants each class equally often (weights 1 / count), `sqrt` lies
    half way (Mahajan et al. 2018, "Exploring the limits of weakly supervised pretraining", section 2.2); an epoch is as
    long as without. Rows are drawn by systematic resampling, so that each comes as often as it is wanted, rounded up or
    down. `{cap: n}` takes at most n rows of a class and nothing twice.

    Args:
        rows: Image rows, shape (n,).
        truth: Which classes each of them has, shape (n, classes).
        rule: `shuffle`, `balanced`, `sqrt` or `{cap: n}`.
        key: From `holotype.seeds.derive_seed`.

    Returns:
        Shape (m, 2): the row, and how often the epoch has had it before.
    """
    if rule == "shuffle":
        return _numbered(shuffled(rows, key))
    order = np.argsort(keyed_uniforms(key, rows, 1)[:, 0], kind="stable")
    rows, labels = rows[order], LabelMatrix.of(truth).rows(order)
    counts = labels.counts()
    if not isinstance(rule, str):
        return _numbered(rows[_at_most(labels, counts, rule["cap"])])
    power = {"balanced": 1.0, "sqrt": 0.5}[rule]
    rarest = labels.rarest(counts, len(rows) + 1)  # a row without a class counts as a common one
    weights = (1.0 / rarest) ** power
    steps = np.cumsum(weights) / weights.sum() * len(rows)
    offset = keyed_uniforms(key, np.array([-1]), 1)[0, 0]
    times = np.diff(np.floor(np.append(0.0, steps) + offset)).astype(np.int64)
    return _numbered(_spread_out(rows, times, key))


def _spread_out(rows: Integers, times: Integers, key: int) -> Integers:
    """Rows as often as is said, in a random order."""
    again = np.repeat(rows, times)
    which = np.arange(len(again)) - np.repeat(np.cumsum(times) - times, times)
    turns = keyed_uniforms(key, again, int(times.max(initial=0)) + 1)
    return again[np.argsort(turns[np.arange(len(again)), which + 1], kind="stable")]


def _numbered(rows: Integers) -> Integers:
    """Each row beside how often it came before, shape (m, 2)."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(rows) else np.empty(0, np.int64)
    lengths = np.diff(np.append(begins, len(rows)))
    before = np.empty(len(rows), np.int64)
    before[order] = np.arange(len(rows)) - np.repeat(begins, lengths)
    return np.stack([rows, before], axis=1).astype(np.int64)


def _at_most(labels: LabelMatrix, counts: Integers, most: int) -> NDArray[np.bool_]:
    """Which rows stay: the first of each class, rarest class first, until it has its number."""
    kept: NDArray[np.bool_] = labels.lengths == 0
    by_class = labels.owners[np.argsort(labels.numbers, kind="stable")]
    ends = np.cumsum(counts)
    for number in np.argsort(counts, kind="stable"):
        own = by_class[ends[number] - counts[number] : ends[number]]
        missing = max(most - int(kept[own].sum()), 0)
        kept[own[~kept[own]][:missing]] = True
    return kept


def batches(rows: Integers, size: int, whole: bool) -> Iterator[Integers]:
    """Rows in batches.

    Args:
        rows: Shape (n,) or (n, 2).
        size: Rows a batch.
        whole: Leave out a last batch that is not full (unless it is the only one), since batch statistics of one or
            two images are worse than none; another epoch draws another order.
    """
    end = len(rows) - len(rows) % size if whole and len(rows) >= size else len(rows)
    for start in range(0, end, size):
        yield rows[start : start + size]
