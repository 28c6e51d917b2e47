"""Normalization of measurements to the rows, or the control rows, of their plate, as pycytominer's `normalize`.

`standardize` subtracts the mean and divides by the standard deviation (of the population); `mad-robustize` takes the
median and the median absolute deviation (MAD), times 1.4826, which is the standard deviation of a normal distribution.
No label is used, so one normalization serves all folds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holotype.types import Integers

__all__ = ["CenterAndScale", "center_and_scale", "normalize_rows"]

Array = NDArray[np.float64]
MAD_TO_DEVIATION = 1.4826
CONSTANT_RANGE = 1e-9
"""Largest range of a constant column, relative to its largest magnitude; rounding of sums causes that much."""


@dataclass(frozen=True)
class CenterAndScale:
    """Center and scale of the columns in one plate.

    Args:
        center: Shape (columns,); NaN if there are no values.
        scale: Shape (columns,); 0 for a constant column.
        replaced: Number of columns whose scale is that of other rows or of the other method, as theirs is zero.
    """

    center: Array
    scale: Array
    replaced: int


def center_and_scale(values: Array, controls: NDArray[np.bool_] | None, method: str) -> CenterAndScale:
    """Estimate the center and scale of each column in one plate; missing values do not count.

    A scale of zero is replaced by the standard deviation of the same rows, then by that of all rows of the plate.

    Args:
        values: Rows of the plate, shape (rows, columns), with NaN for missing values.
        controls: Mask of the rows to estimate from; None for all.
        method: `standardize` or `mad-robustize`.
    """
    reference = values if controls is None else values[controls]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without values
        if method == "standardize":
            center, scale = np.nanmean(reference, axis=0), np.nanstd(reference, axis=0)
        else:
            center = np.nanmedian(reference, axis=0)
            scale = np.nanmedian(np.abs(reference - center), axis=0) * MAD_TO_DEVIATION
        scale = np.where(_is_constant(reference), 0.0, scale)
        replaced = np.zeros(values.shape[1], bool)
        for rows in (reference, values):
            zero = (scale == 0) & ~_is_constant(rows)
            scale[zero] = np.nanstd(rows[:, zero], axis=0)
            replaced |= zero
    return CenterAndScale(center, scale, int(replaced.sum()))


def normalize_rows(values: Array, groups: Integers, center: Array, scale: Array) -> Array:
    """Subtract the center and divide by the scale of each row's plate; a column that is constant there becomes 0.

    Args:
        values: Shape (rows, columns).
        groups: Plate of each row, shape (rows,); rows with negative numbers become NaN.
        center: Shape (plates, columns).
        scale: Shape (plates, columns).
    """
    result = np.full(values.shape, np.nan)
    for group in range(len(center)):
        rows = groups == group
        distance = values[rows] - center[group]
        divided = distance / np.where(scale[group] == 0, 1.0, scale[group])
        result[rows] = np.where((scale[group] == 0) & ~np.isnan(distance), 0.0, divided)
    return result


def _is_constant(values: Array) -> NDArray[np.bool_]:
    """Mask of the columns whose values are equal but for rounding, or missing."""
    if not len(values):
        return np.ones(values.shape[1], bool)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    return np.asarray(~(high - low > CONSTANT_RANGE * np.maximum(np.abs(low), np.abs(high))))
