"""Decision rules on arrays: argmax, thresholds, cascade, top-k, class priors and assignment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from holotype.evaluation.metrics import probabilities
from holotype.types import AnyLabels, AnyScores, Floats, Integers, Kind, LabelMatrix, TopKScores, to_dense

PRIOR_ROUNDS = 200
EPSILON = 1e-12


def argmax_labels(logits: AnyScores) -> AnyLabels:
    """Choose the class of the highest score; the first of equals."""
    if isinstance(logits, TopKScores):
        return top_classes(logits, 1)
    decided = np.zeros(logits.shape, dtype=bool)
    decided[np.arange(len(logits)), logits.argmax(axis=1) if len(logits) else np.empty(0, int)] = True
    return decided


def above_thresholds(logits: Floats, thresholds: NDArray[np.float64], fallback: str) -> NDArray[np.bool_]:
    """Choose every class whose probability is strictly above its threshold.

    `thresholds`: probabilities, shape (classes,); `fallback`: for samples without a label: `argmax` gives the top
    class, `none` leaves them empty.
    """
    decided = probabilities(logits, "multilabel") > thresholds
    if fallback == "argmax":
        empty = ~decided.any(axis=1)
        decided[empty] = np.asarray(argmax_labels(logits[empty]))
    return np.asarray(decided)


def default_labels(logits: AnyScores, kind: Kind) -> AnyLabels:
    """Apply the default rule: argmax, or for multilabel all classes above 0.5 and at least one."""
    if kind == "multiclass":
        return argmax_labels(logits)
    return above_thresholds(to_dense(logits, "a threshold"), np.full(logits.shape[1], 0.5), "argmax")


def cascade_thresholds(logits: Floats, thresholds: Sequence[float], fallback: str) -> NDArray[np.bool_]:
    """Apply descending thresholds: only samples without a label are compared with the next one."""
    decided = np.zeros(logits.shape, dtype=bool)
    for number, threshold in enumerate(thresholds):
        empty = ~decided.any(axis=1)
        last = fallback if number == len(thresholds) - 1 else "none"
        decided[empty] = above_thresholds(logits[empty], np.full(logits.shape[1], threshold), last)
    return decided


def top_classes(logits: AnyScores, k: int) -> AnyLabels:
    """Choose the k most likely classes; the first of equals."""
    if isinstance(logits, TopKScores):
        top = logits.top_classes[:, :k].astype(np.int64)
        return LabelMatrix.from_pairs(np.repeat(np.arange(len(top)), top.shape[1]), top.ravel(), logits.shape)
    decided = np.zeros(logits.shape, dtype=bool)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    np.put_along_axis(decided, order, True, axis=1)
    return decided


def limit_labels(decided: NDArray[np.bool_], logits: Floats, max_labels: int | None) -> NDArray[np.bool_]:
    """Keep at most `max_labels` labels per sample, the most likely ones."""
    if max_labels is None:
        return decided
    falling = np.where(decided, logits, -np.inf).astype(np.float32)
    return decided & LabelMatrix.from_dense(top_classes(falling, max_labels))[:]


def prior_thresholds(probability: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit thresholds that assign each class with a given frequency, as nearly as ties allow.

    `shares`: labels of each class per sample, shape (classes,).
    """
    falling = -np.sort(-probability, axis=0)
    count = np.clip(np.rint(shares * len(probability)).astype(int), 0, len(probability))
    padded = np.vstack([np.full(falling.shape[1], 1.0), falling, np.full(falling.shape[1], -1e-9)])
    column = np.arange(falling.shape[1])
    return np.asarray((padded[count, column] + padded[count + 1, column]) / 2)


def prior_offsets(logits: Floats, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit offsets to the log-probabilities so that the mean probabilities equal given class frequencies.

    Saerens, Latinne & Decaestecker 2002, inverted: the frequencies are known and the offsets are fitted.

    `shares`: class frequencies, summing to 1, shape (classes,). Returns shape (classes,); -inf for a class of frequency
    0.
    """
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    target = np.log(np.maximum(shares, EPSILON))
    offset = np.zeros(len(shares))
    for _ in range(PRIOR_ROUNDS):
        mean = softmax(log_p + offset, axis=1).mean(axis=0)
        step = target - np.log(np.maximum(mean, EPSILON))
        offset += step
        if np.abs(step[shares > 0]).max(initial=0) < 1e-6:
            break
    return np.where(shares > 0, offset, -np.inf)


def assign_per_group(
    logits: Floats, groups: Integers, class_sets: Sequence[Integers] | None = None, set_groups: Integers | None = None
) -> NDArray[np.bool_]:
    """Assign classes within groups so that each class occurs once: the assignment of largest summed log-probability.

    If a group has more samples than classes, each class may occur once more per round. The structure is that of RxRx1:
    a plate holds each perturbation of one of four sets once, and the four plates of an experiment hold different sets.

    Args:
        groups: Group (plate) of each sample, shape (n,); negative for none.
        class_sets: Alternative sets of classes; each group gets the one that fits best.
        set_groups: Group of each sample, shape (n,), whose plates get different sets, chosen by the largest total; a
            set repeats if there are more plates than sets. Negative for none; without it every plate chooses
            independently.
    """
    from scipy.optimize import linear_sum_assignment

    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    decided = np.asarray(argmax_labels(logits))
    candidate_sets = [np.arange(logits.shape[1])] if class_sets is None else list(class_sets)
    group_ids = np.unique(groups[groups >= 0])
    rows = [np.flatnonzero(groups == group) for group in group_ids]
    for group_indices in _groups_with_different_sets(rows, set_groups):
        offers = [
            [_assign_once(log_p, rows[number], classes) for classes in candidate_sets] for number in group_indices
        ]
        totals = np.array([[total for total, _ in offer] for offer in offers])
        rounds = -(-len(group_indices) // len(candidate_sets)) if len(group_indices) > 1 else 1
        set_indices = linear_sum_assignment(np.tile(totals, (1, rounds)), maximize=True)[1] % len(candidate_sets)
        for number, offer, set_index in zip(group_indices, offers, set_indices, strict=True):
            decided[rows[number]] = False
            decided[rows[number], offer[set_index][1]] = True
    return decided


def _groups_with_different_sets(rows: Sequence[Integers], set_groups: Integers | None) -> list[list[int]]:
    """Indices of the groups that must get different sets; a group without a set group stands alone."""
    if set_groups is None:
        return [[number] for number in range(len(rows))]
    by_set_group: dict[int, list[int]] = {}
    for number, group_rows in enumerate(rows):
        set_group = int(set_groups[group_rows[0]])
        by_set_group.setdefault(set_group if set_group >= 0 else -1 - number, []).append(number)
    return list(by_set_group.values())


def _assign_once(log_p: NDArray[np.float64], rows: Integers, classes: Integers) -> tuple[float, Integers]:
    from scipy.optimize import linear_sum_assignment

    offered = np.tile(classes, -(-len(rows) // len(classes)))
    value = log_p[np.ix_(rows, offered)]
    first, second = linear_sum_assignment(value, maximize=True)
    return float(value[first, second].sum()), offered[second]
