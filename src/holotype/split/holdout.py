"""Holdout selection by distribution matching: a holdout that resembles the test set as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from holotype.core.seeds import keyed_generator
from holotype.types import Floats, Integers

WAVES = 384  # random Fourier features
BANDWIDTHS = (0.25, 0.5, 1.0)
BINS = 20  # of the test probability
STEPS = 2_500  # number of greedy steps, independent of the number of units
SWAPS = 4_000
CLASS_WEIGHT = 0.3


def matching_features(
    features: Floats, test_probability: NDArray[np.float64], is_test: NDArray[np.bool_], seed: int
) -> Floats:
    """Features whose mean the holdout must share with the test set: random Fourier features of the ranks, and bins.

    The distance between two means of random Fourier features is a maximum mean discrepancy (Rahimi & Recht 2007,
    "Random features for large-scale kernel machines"; Gretton et al. 2012, "A kernel two-sample test").

    Args:
        features: Shape (n, columns); NaN for unknown values.
        test_probability: Out-of-fold probability of being a test sample, shape (n,).
        is_test: Shape (n,).

    Returns:
        Shape (n, random features and bins), each part of about equal weight.
    """
    from scipy.stats import rankdata  # slow import, needed for `like_test` only

    generator = keyed_generator(seed, "split", "like test")
    filled = np.where(np.isnan(features), np.nanmedian(features, axis=0), features)
    ranks = np.stack([rankdata(column) / len(column) for column in filled.T], axis=1) * 2 - 1
    ranks = np.hstack([ranks, (rankdata(test_probability) / len(test_probability) * 2 - 1)[:, None]])
    parts = []
    for bandwidth in BANDWIDTHS:
        waves = generator.normal(0, 1 / (bandwidth * np.sqrt(ranks.shape[1])), (ranks.shape[1], WAVES // 3))
        parts.append(np.cos(ranks @ waves * 2 + generator.uniform(0, 2 * np.pi, WAVES // 3)) / np.sqrt(WAVES))
    edges = np.quantile(test_probability[is_test], np.linspace(0, 1, BINS + 1)[1:-1])
    parts.append(np.eye(BINS)[np.searchsorted(edges, test_probability)] * 0.5)
    parts.append(ranks * 0.5 / np.sqrt(ranks.shape[1]))
    return np.hstack(parts).astype(np.float32)


def choose_like_test(
    matching: Floats, target: Floats, labels: Any, units: Integers, rows: int, seed: int
) -> NDArray[np.bool_]:
    """Choose training samples whose mean features match the test set, with class shares kept.

    Units are added greedily, each time the one that brings the holdout nearest to the target (kernel herding, Chen,
    Welling & Smola 2010), and then swapped as long as that helps.

    Args:
        matching: Features of the training samples, shape (n, features), from `matching_features`.
        target: Mean features of the test samples, shape (features,).
        labels: Classes of the training samples, shape (n, classes), an array or sparse.
        units: Group of each sample, shape (n,); groups are not divided.
        seed: Orders units that are equally good.

    Returns:
        Mask of the holdout samples, shape (n,); every class of at least two units is on both sides.
    """
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    assignment = sp.csr_array((np.ones(len(unit)), (unit, np.arange(len(unit)))), shape=(len(sizes), len(unit)))
    classes = np.asarray(sp.csr_array(labels).astype(np.float64).todense())
    share = classes.mean(axis=0)
    weight = CLASS_WEIGHT / np.sqrt(np.maximum(share, 1 / len(unit)))
    columns = np.hstack([matching - target, (classes - share) * weight])
    sums = np.asarray(assignment @ columns, np.float32)
    order = keyed_generator(seed, "split", "holdout").permutation(len(sizes))
    is_holdout = np.zeros(len(sizes), bool)
    is_holdout[order] = _swap_units(sums[order], sizes[order], _select_greedily(sums[order], sizes[order], rows))
    return _cover_every_class(is_holdout, np.asarray(assignment @ classes) > 0)[unit]


def _select_greedily(sums: Floats, sizes: Integers, rows: int) -> NDArray[np.bool_]:
    is_holdout = np.zeros(len(sums), bool)
    state, row_count = np.zeros(sums.shape[1], np.float32), 0
    square = (sums**2).sum(axis=1)
    at_once = max(1, rows // STEPS)
    while row_count < rows and not is_holdout.all():
        worth = 2 * (sums @ state) + square
        worth[is_holdout | (row_count + sizes > rows + max(sizes.min(), rows // 100))] = np.inf
        best = np.argpartition(worth, at_once - 1)[:at_once]
        best = best[np.isfinite(worth[best])]
        if not len(best):
            break
        is_holdout[best] = True
        state += sums[best].sum(axis=0)
        row_count += int(sizes[best].sum())
    return is_holdout


def _swap_units(sums: Floats, sizes: Integers, is_holdout: NDArray[np.bool_]) -> NDArray[np.bool_]:
    is_holdout = is_holdout.copy()
    state = sums[is_holdout].sum(axis=0)
    square = (sums**2).sum(axis=1)
    for _ in range(SWAPS):
        pull = 2 * (sums @ state)
        leaving = np.where(is_holdout, square - pull, np.inf)
        out = int(leaving.argmin())
        after = state - sums[out]
        coming = np.where(~is_holdout & (sizes == sizes[out]), 2 * (sums @ after) + square, np.inf)
        into = int(coming.argmin())
        if leaving[out] + coming[into] > -1e-6:
            break
        is_holdout[out], is_holdout[into] = False, True
        state = after + sums[into]
    return is_holdout


def _cover_every_class(is_holdout: NDArray[np.bool_], classes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Move one unit of each class that is on one side only to the other side, rarest classes first."""
    is_holdout = is_holdout.copy()
    for number in np.argsort(classes.sum(axis=0)):
        units = np.flatnonzero(classes[:, number])
        if len(units) >= 2 and len(np.unique(is_holdout[units])) == 1:
            light = units[np.argmin(classes[units].sum(axis=1))]
            is_holdout[light] = ~is_holdout[light]
    return is_holdout
