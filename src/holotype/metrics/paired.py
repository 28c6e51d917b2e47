"""What changed from one set of decisions to another, class by class, on the same samples and the same draws."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from holotype.errors import DataError
from holotype.metrics.counts import count_groups, f1_of_classes
from holotype.metrics.draws import Draws
from holotype.metrics.judged import Judged
from holotype.types import LabelMatrix, same_labels

__all__ = ["class_differences"]

FEWEST_GROUPS = 3
TAIL = 0.025
Doubles = NDArray[np.float64]


def class_differences(before: Judged, after: Judged, draws: Draws) -> tuple[Doubles, Doubles, Doubles]:
    """The change of each class's F1, and its 95 % interval from draws that hold the class.

    Args:
        before: The samples as they were decided on one side.
        after: The same samples as they were decided on the other.
        draws: Draws of their groups.

    Returns:
        Change (after less before), lower and upper end, each of shape (classes,); NaN for a class without a positive
        sample, and ends that are NaN where its positives lie in fewer than three groups.

    Raises:
        DataError: The two sides are not the same samples.
    """
    if not same_labels(before.truth, after.truth):
        raise DataError("a paired difference needs the same samples with the same labels on both sides")
    values, drawn = [], []
    for side in (before, after):
        table = count_groups(side.truth, side.decided, None, side.kind, draws.groups)
        values.append(f1_of_classes(table.drawn())[0])
        drawn.append(np.concatenate([f1_of_classes(part) for part in table.in_parts(draws.same)]))
    change, steps = values[1] - values[0], drawn[1] - drawn[0]
    labels = LabelMatrix.of(before.truth)
    pairs = np.unique(draws.groups[labels.owners] * labels.classes + labels.numbers)
    groups = np.bincount(pairs % labels.classes, minlength=labels.classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without a positive sample: NaN
        centre = 2 * change - np.nanmean(steps, axis=0)
        spread = np.nanstd(steps, axis=0) * np.sqrt(groups / np.maximum(groups - 1, 1))
    half = t.ppf(1 - TAIL, np.maximum(groups - 1, 1)) * spread
    few = groups < FEWEST_GROUPS
    low, high = np.minimum(change, centre - half), np.maximum(change, centre + half)
    return change, np.where(few, np.nan, np.maximum(low, -1)), np.where(few, np.nan, np.minimum(high, 1))
