"""Epoch sampling: the rows of an epoch and their order, drawn anew from a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.seeds import derive_seed, keyed_uniforms
from holotype.types import AnyLabels, Integers, LabelMatrix

REPEAT_BITS = 40  # rows are fewer than 2 ** 40
SamplingRule = str | Mapping[Any, int]
"""`shuffle`, `balanced`, `sqrt` or `{cap: n}`, as in the recipe."""


def add_pseudo_labeled(rows: Integers, pseudo_rows: Integers, target_count: int, share: float, key: int) -> Integers:
    """Add pseudo-labeled rows to the labeled ones; the length of an epoch does not depend on `share`.

    Args:
        rows: Labeled image rows, shape (n,).
        pseudo_rows: Candidate image rows, shape (m,).
        target_count: Pseudo-labeled rows per epoch after the ramp.
        share: Position on the ramp, in [0, 1]; labeled rows are repeated in place of the missing ones.

    Returns:
        Shape (n + target_count,).
    """
    if not target_count:
        return rows
    count = round(share * target_count)
    added = shuffle(pseudo_rows, key)[:count]
    repeated = np.resize(shuffle(rows, derive_seed(key, "again")), target_count - count)
    return np.concatenate([rows, added, repeated])


def shuffle(rows: Integers, key: int) -> Integers:
    """Shuffle image rows by a key."""
    repeat_index = _with_repeat_index(rows)[:, 1]
    return rows[np.argsort(keyed_uniforms(key, rows + (repeat_index << REPEAT_BITS), 1)[:, 0], kind="stable")]


def sample_epoch(rows: Integers, truth: AnyLabels, rule: SamplingRule, key: int) -> Integers:
    """Sample the rows of an epoch in random order, by the frequency of their rarest class.

    `balanced` weights rows by 1 / count, `sqrt` by its square root (Mahajan et al. 2018, "Exploring the limits of
    weakly supervised pretraining", section 2.2), with the length of an epoch unchanged. Systematic resampling draws
    each row as often as its weight says, rounded up or down. `{cap: n}` takes at most n rows of a class, none twice.

    Args:
        rows: Image rows, shape (n,).
        truth: Their labels, shape (n, classes).
        rule: `shuffle`, `balanced`, `sqrt` or `{cap: n}`.

    Returns:
        Shape (m, 2): the row, and its number of earlier occurrences in the epoch.
    """
    if rule == "shuffle":
        return _with_repeat_index(shuffle(rows, key))
    order = np.argsort(keyed_uniforms(key, rows, 1)[:, 0], kind="stable")
    rows, labels = rows[order], LabelMatrix.from_dense(truth).rows(order)
    counts = labels.counts()
    if not isinstance(rule, str):
        return _with_repeat_index(rows[_cap_per_class(labels, counts, rule["cap"])])
    power = {"balanced": 1.0, "sqrt": 0.5}[rule]
    rarest = labels.rarest_class_count(counts, len(rows) + 1)  # a row without a class is treated as common
    weights = (1.0 / rarest) ** power
    steps = np.cumsum(weights) / weights.sum() * len(rows)
    offset = keyed_uniforms(key, np.array([-1]), 1)[0, 0]
    repeats = np.diff(np.floor(np.append(0.0, steps) + offset)).astype(np.int64)
    return _with_repeat_index(_repeat_in_random_order(rows, repeats, key))


def _repeat_in_random_order(rows: Integers, repeats: Integers, key: int) -> Integers:
    repeated = np.repeat(rows, repeats)
    occurrence = np.arange(len(repeated)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    sort_keys = keyed_uniforms(key, repeated, int(repeats.max(initial=0)) + 1)
    return repeated[np.argsort(sort_keys[np.arange(len(repeated)), occurrence + 1], kind="stable")]


def _with_repeat_index(rows: Integers) -> Integers:
    """Pair each row with its number of earlier occurrences, shape (m, 2)."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(rows) else np.empty(0, np.int64)
    lengths = np.diff(np.append(starts, len(rows)))
    repeat_index = np.empty(len(rows), np.int64)
    repeat_index[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
    return np.stack([rows, repeat_index], axis=1).astype(np.int64)


def _cap_per_class(labels: LabelMatrix, counts: Integers, cap: int) -> NDArray[np.bool_]:
    """Mask of the first `cap` rows of each class, rarest class first."""
    selected: NDArray[np.bool_] = labels.label_counts == 0
    by_class = labels.row_indices[np.argsort(labels.numbers, kind="stable")]
    ends = np.cumsum(counts)
    for number in np.argsort(counts, kind="stable"):
        candidates = by_class[ends[number] - counts[number] : ends[number]]
        missing = max(cap - int(selected[candidates].sum()), 0)
        selected[candidates[~selected[candidates]][:missing]] = True
    return selected


def batches(rows: Integers, size: int, drop_last: bool) -> Iterator[Integers]:
    """Split rows into batches.

    `rows`: shape (n,) or (n, 2); `drop_last`: drop an incomplete last batch unless it is the only one: batch norm
    statistics of one or two images are poor, and the next epoch has another order.
    """
    end = len(rows) - len(rows) % size if drop_last and len(rows) >= size else len(rows)
    for start in range(0, end, size):
        yield rows[start : start + size]
