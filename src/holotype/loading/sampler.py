"""Which training rows an epoch sees and in which order, drawn anew each epoch from a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.seeds import derive_seed, keyed_uniforms
from holotype.types import AnyLabels, Integers, LabelMatrix

__all__ = ["SamplingRule", "add_pseudo_labeled", "batches", "sample_epoch", "shuffle"]

REPEAT_BITS = 40  # rows are fewer than 2 ** 40
SamplingRule = str | Mapping[Any, int]
"""`shuffle`, `balanced`, `sqrt` or `{cap: n}`, as in the recipe."""


def add_pseudo_labeled(rows: Integers, pseudo_rows: Integers, target_count: int, share: float, key: int) -> Integers:
    """Labelled rows with some of those that join them; an epoch is as long however many have joined.

    Args:
        rows: Labelled image rows, shape (n,).
        pseudo_rows: Image rows that may join, shape (m,).
        target_count: How many of them an epoch has in the end.
        share: How far they have joined, in [0, 1]; labelled rows come a second time in place of the missing ones.
        key: From `holotype.core.seeds.derive_seed`.

    Returns:
        Shape (n + most,).
    """
    if not target_count:
        return rows
    count = round(share * target_count)
    added = shuffle(pseudo_rows, key)[:count]
    repeated = np.resize(shuffle(rows, derive_seed(key, "again")), target_count - count)
    return np.concatenate([rows, added, repeated])


def shuffle(rows: Integers, key: int) -> Integers:
    """The rows in a random order.

    Args:
        rows: Image rows, shape (n,).
        key: From `holotype.core.seeds.derive_seed`; the same key gives the same order.
    """
    repeat_index = _with_repeat_index(rows)[:, 1]
    return rows[np.argsort(keyed_uniforms(key, rows + (repeat_index << REPEAT_BITS), 1)[:, 0], kind="stable")]


def sample_epoch(rows: Integers, truth: AnyLabels, rule: SamplingRule, key: int) -> Integers:
    """The rows of an epoch in a random order, some left out and some more than once.

    A row is wanted as its rarest class is: `balanced` wants each class equally often (weights 1 / count), `sqrt` lies
    half way (Mahajan et al. 2018, "Exploring the limits of weakly supervised pretraining", section 2.2); an epoch is as
    long as without. Rows are drawn by systematic resampling, so that each comes as often as it is wanted, rounded up or
    down. `{cap: n}` takes at most n rows of a class and nothing twice.

    Args:
        rows: Image rows, shape (n,).
        truth: Which classes each of them has, shape (n, classes).
        rule: `shuffle`, `balanced`, `sqrt` or `{cap: n}`.
        key: From `holotype.core.seeds.derive_seed`.

    Returns:
        Shape (m, 2): the row, and how often the epoch has had it before.
    """
    if rule == "shuffle":
        return _with_repeat_index(shuffle(rows, key))
    order = np.argsort(keyed_uniforms(key, rows, 1)[:, 0], kind="stable")
    rows, labels = rows[order], LabelMatrix.from_dense(truth).rows(order)
    counts = labels.counts()
    if not isinstance(rule, str):
        return _with_repeat_index(rows[_cap_per_class(labels, counts, rule["cap"])])
    power = {"balanced": 1.0, "sqrt": 0.5}[rule]
    rarest = labels.rarest_class_count(counts, len(rows) + 1)  # a row without a class counts as a common one
    weights = (1.0 / rarest) ** power
    steps = np.cumsum(weights) / weights.sum() * len(rows)
    offset = keyed_uniforms(key, np.array([-1]), 1)[0, 0]
    repeats = np.diff(np.floor(np.append(0.0, steps) + offset)).astype(np.int64)
    return _with_repeat_index(_repeat_in_random_order(rows, repeats, key))


def _repeat_in_random_order(rows: Integers, repeats: Integers, key: int) -> Integers:
    """Rows as often as is said, in a random order."""
    repeated = np.repeat(rows, repeats)
    occurrence = np.arange(len(repeated)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    sort_keys = keyed_uniforms(key, repeated, int(repeats.max(initial=0)) + 1)
    return repeated[np.argsort(sort_keys[np.arange(len(repeated)), occurrence + 1], kind="stable")]


def _with_repeat_index(rows: Integers) -> Integers:
    """Each row beside how often it came before, shape (m, 2)."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(rows) else np.empty(0, np.int64)
    lengths = np.diff(np.append(starts, len(rows)))
    repeat_index = np.empty(len(rows), np.int64)
    repeat_index[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
    return np.stack([rows, repeat_index], axis=1).astype(np.int64)


def _cap_per_class(labels: LabelMatrix, counts: Integers, cap: int) -> NDArray[np.bool_]:
    """Which rows stay: the first of each class, rarest class first, until it has its number."""
    selected: NDArray[np.bool_] = labels.label_counts == 0
    by_class = labels.row_indices[np.argsort(labels.numbers, kind="stable")]
    ends = np.cumsum(counts)
    for number in np.argsort(counts, kind="stable"):
        candidates = by_class[ends[number] - counts[number] : ends[number]]
        missing = max(cap - int(selected[candidates].sum()), 0)
        selected[candidates[~selected[candidates]][:missing]] = True
    return selected


def batches(rows: Integers, size: int, drop_last: bool) -> Iterator[Integers]:
    """Rows in batches.

    Args:
        rows: Shape (n,) or (n, 2).
        size: Rows a batch.
        drop_last: Leave out a last batch that is not full (unless it is the only one), since batch statistics of one or
            two images are worse than none; another epoch draws another order.
    """
    end = len(rows) - len(rows) % size if drop_last and len(rows) >= size else len(rows)
    for start in range(0, end, size):
        yield rows[start : start + size]
