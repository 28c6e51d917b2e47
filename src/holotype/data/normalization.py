"""Whose mean and deviation scale the pixels: the whole set's, an image's own, or those of its plate."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.types import Floats, Normalization

__all__ = ["dataset_normalization", "extreme_rows", "row_normalization"]

OUTLIER_RULES = ((0.1, 20), (0.5, 100))
"""Beyond which quantile of the images' extremes an image is far out, by how many times the range up to there."""
RANGE_MARGIN = 2  # ranges of the training images that a pixel may lie outside of theirs


def dataset_normalization(frame: pl.DataFrame) -> Normalization:
    """Mean and standard deviation of each channel over all pixels of all images, and the values taken as they are.

    Images whose range lies far beyond the others' are left out; the audit names them. Deeper pixels than 8 bits are
    later limited to the range of the other images with twice its length on either side.

    Args:
        frame: Rows of `ImageStatistics.frame`; unreadable ones are passed over.
    """
    readable = frame.filter(pl.col("error").is_null())
    if readable.height == 0 or readable["channels"].n_unique() > 1:
        return Normalization((0.0,), (1.0,))  # the audit refuses such a set, and in better words
    ordinary = readable.filter(pl.Series(~extreme_rows(readable)))
    center, spread = _pool_mean_and_std(ordinary, np.zeros(ordinary.height, np.int64))
    mean_and_std = tuple(center[0].tolist()), tuple(spread[0].tolist())
    if set(ordinary["depth"]) <= {"uint8"}:
        return Normalization(*mean_and_std)
    low, high = (np.array(ordinary[name].to_list(), np.float64) for name in ("min", "max"))
    low, high = low.min(axis=0), high.max(axis=0)
    room = RANGE_MARGIN * (high - low)
    return Normalization(*mean_and_std, tuple((low - room).tolist()), tuple((high + room).tolist()))


def extreme_rows(frame: pl.DataFrame) -> NDArray[np.bool_]:
    """Which images have values far beyond those of the others, as when a detector failed or the unit is another.

    Args:
        frame: Rows of `ImageStatistics.frame`; unreadable ones, and those of an uncommon number of channels, are not
            looked at.

    Returns:
        Shape (rows,); images of one depth are held against each other.
    """
    far = np.zeros(frame.height, bool)
    common = frame["channels"].drop_nulls().mode(maintain_order=True)
    comparable = frame["error"].is_null() & (frame["channels"] == (common[0] if len(common) else 0))
    for depth in frame["depth"].filter(comparable).unique().to_list():
        rows = np.flatnonzero((comparable & (frame["depth"] == depth)).to_numpy())
        low, high = (np.array(frame[name].gather(rows).to_list(), np.float64) for name in ("min", "max"))
        for share, times in OUTLIER_RULES:
            minima = np.quantile(low, share, axis=0, method="higher")
            maxima = np.quantile(high, 1 - share, axis=0, method="lower")
            reach = times * (maxima - minima)
            far[rows] |= ((reach > 0) & ((high > maxima + reach) | (low < minima - reach))).any(axis=1)
    return far


def row_normalization(frame: pl.DataFrame, groups: pl.Series | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel, one row an image.

    Args:
        frame: Rows of `ImageStatistics.frame`, of one number of channels.
        groups: What ties images together (their plate); each gets the moments of all that share its value, of any role.
            Without it, where it is null, and where its range lies far beyond the others', an image has its own.

    Returns:
        Means and deviations, each of shape (rows, channels); 0 and 1 where an image cannot be read.
    """
    is_readable = frame["error"].is_null().to_numpy()
    readable = frame.filter(pl.Series(is_readable))
    image_names = pl.Series([f"image {row}" for row in range(frame.height)])
    names = image_names if groups is None else ("plate " + groups.cast(pl.String)).fill_null(image_names)
    names = (
        names
        if groups is None
        else pl.select(pl.when(pl.Series(extreme_rows(frame))).then(image_names).otherwise(names)).to_series()
    )
    _, codes = np.unique(names.to_numpy().astype(str)[is_readable], return_inverse=True)
    center, spread = _pool_mean_and_std(readable, codes)
    channels = center.shape[1]
    mean, deviation = np.zeros((frame.height, channels), np.float32), np.ones((frame.height, channels), np.float32)
    mean[is_readable], deviation[is_readable] = center[codes], spread[codes]
    return mean, deviation


def _pool_mean_and_std(
    readable: pl.DataFrame, codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments over all pixels of the images of each code, shape (codes, channels).

    The total variance is the mean of the images' variances plus the variance of their means, weighted by pixels.
    """
    weight = (readable["height"] * readable["width"]).to_numpy().astype(np.float64)[:, None]
    mean = np.array(readable["mean"].to_list())
    variance = np.array(readable["deviation"].to_list()) ** 2
    total = _sum_by_code(weight, codes)
    center = _sum_by_code(mean * weight, codes) / total
    spread = np.sqrt(_sum_by_code((variance + (mean - center[codes]) ** 2) * weight, codes) / total)
    spread[spread == 0] = 1.0  # a channel without signal stays at zero
    return center, spread


def _sum_by_code(values: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.zeros((int(codes.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums
