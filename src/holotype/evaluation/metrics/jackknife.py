"""Jackknife over groups of a mean of class scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from holotype.core.seeds import keyed_generator
from holotype.evaluation.metrics.counts import Counts, GroupCounts

Doubles = NDArray[np.float64]


def jackknife_scores(score: Callable[[Counts], Doubles], table: GroupCounts) -> Doubles:
    """Mean of class scores without each group in turn, shape (groups,).

    Only the classes of a group change when it is left out, so the work grows with the pairs of group and class.

    Args:
        score: Class scores of counts, shape (draws, classes).
    """
    classes, total = table.classes, table.resample()
    entries = table.table[:, : 3 * classes].tocoo()
    pairs, index = np.unique(entries.row.astype(np.int64) * classes + entries.col % classes, return_inverse=True)
    group, number = pairs // classes, pairs % classes
    totals = (total.true_positive[0], total.false_positive[0], total.false_negative[0])
    left = [
        class_sum[number] - np.bincount(index, np.where(entries.col // classes == part, entries.data, 0), len(pairs))
        for part, class_sum in enumerate(totals)
    ]
    samples = total.samples[0] - table.table[:, [3 * classes + 2]].toarray()[:, 0]
    sizes, size_index = np.unique(samples, return_inverse=True)
    unchanged = score(_make_counts(totals, sizes, table))  # (sizes, classes)
    changed = score(_make_counts([part[:, None] for part in left], samples[group], table))[:, 0]
    before = unchanged[size_index[group], number]
    sums, present = np.nansum(unchanged, axis=1)[size_index], np.isfinite(unchanged).sum(axis=1)[size_index]
    sums = sums + np.bincount(group, np.nan_to_num(changed) - np.nan_to_num(before), len(samples))
    present = present + np.bincount(group, np.isfinite(changed) * 1.0 - np.isfinite(before), len(samples))
    return np.divide(sums, present, out=np.full(len(samples), np.nan), where=present > 0)


def leave_block_out(groups: int, max_blocks: int) -> NDArray[np.int32]:
    """Count of each group without each block of groups in turn, shape (blocks, groups).

    A block is one group, or a random set of groups if there are more than `max_blocks` (delete-a-group jackknife, Kott
    2001, Journal of Official Statistics 17).
    """
    blocks = min(groups, max_blocks)
    block = keyed_generator(0, "jackknife", groups).permutation(groups) % blocks
    return (block[None, :] != np.arange(blocks)[:, None]).astype(np.int32)


def jackknife_variance(scores: Doubles) -> float:
    """Jackknife variance: never too small on average (Efron & Stein 1981, Annals of Statistics 9).

    Args:
        scores: Score without each group in turn, shape (groups,); undefined ones are left out.
    """
    finite = scores[np.isfinite(scores)]
    return float(((finite - finite.mean()) ** 2).sum() * (len(finite) - 1) / len(finite)) if len(finite) else 0.0


def _make_counts(sums: tuple[Doubles, ...] | list[Doubles], samples: Doubles, table: GroupCounts) -> Counts:
    """Counts of several draws, of which only what class scores need is set."""
    shape = (len(samples), sums[0].shape[-1])
    true_positive, false_positive, false_negative = (np.broadcast_to(part, shape) for part in sums)
    unused = np.zeros(len(samples))
    return Counts(true_positive, false_positive, false_negative, unused, unused, samples, unused, table.kind)
