"""Normalization: mean and standard deviation over the whole set, one image, or one plate."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.types import Floats, Normalization

OUTLIER_RULES = ((0.1, 20), (0.5, 100))
"""(quantile, factor): an image is extreme if it exceeds a quantile of the extremes by a multiple of their range."""
RANGE_MARGIN = 2  # pixels are clipped this many ranges outside the training images' range


def dataset_normalization(frame: pl.DataFrame) -> Normalization:
    """Mean and standard deviation of each channel over all pixels of all images, and the value limits.

    Images whose range lies far beyond the others' are left out; the audit names them. Pixels of more than 8 bits are
    later clipped to the range of the other images, extended by twice its length on either side.

    `frame`: rows of `ImageStatistics.frame`; unreadable ones are ignored.
    """
    readable = frame.filter(pl.col("error").is_null())
    if readable.height == 0 or readable["channels"].n_unique() > 1:
        return Normalization((0.0,), (1.0,))  # the audit raises a better error for such a set
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
    """Mask of images with values far beyond the others' (a failed detector, another unit), shape (rows,).

    Images are compared with those of the same depth.

    `frame`: rows of `ImageStatistics.frame`; unreadable ones, and those with an uncommon number of channels, are
    ignored.
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
        frame: Rows of `ImageStatistics.frame`, with one number of channels.
        groups: Plate of each image; all images of a plate, of any role, share their moments. An image has its own if
            there are no groups, if its value is null, or if its range lies far beyond the others'.

    Returns:
        Means and standard deviations, each of shape (rows, channels); 0 and 1 for unreadable images.
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
    """Pooled moments over all pixels of the images of each code, shape (codes, channels).

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
