"""Whose mean and deviation scale the pixels: the whole set's, an image's own, or those of its plate."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.types import Floats, Normalisation

__all__ = ["dataset_normalisation", "row_normalisation"]


def dataset_normalisation(frame: pl.DataFrame) -> Normalisation:
    """Mean and standard deviation of each channel over all pixels of all images.

    Args:
        frame: Rows of `ImageStatistics.frame`; unreadable ones are passed over.
    """
    readable = frame.filter(pl.col("error").is_null())
    if readable.height == 0 or readable["channels"].n_unique() > 1:
        return Normalisation((0.0,), (1.0,))  # the audit refuses such a set, and in better words
    centre, spread = _pooled(readable, np.zeros(readable.height, np.int64))
    return Normalisation(tuple(centre[0].tolist()), tuple(spread[0].tolist()))


def row_normalisation(frame: pl.DataFrame, tied: pl.Series | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel, one row an image.

    Args:
        frame: Rows of `ImageStatistics.frame`, of one number of channels.
        tied: What ties images together (their plate); each gets the moments of all that share its value, of any role.
            Without it, and where it is null, an image has its own.

    Returns:
        Means and deviations, each of shape (rows, channels); 0 and 1 where an image cannot be read.
    """
    known = frame["error"].is_null().to_numpy()
    readable = frame.filter(pl.Series(known))
    own = pl.Series([f"image {row}" for row in range(frame.height)])
    names = own if tied is None else ("plate " + tied.cast(pl.String)).fill_null(own)
    _, codes = np.unique(names.to_numpy().astype(str)[known], return_inverse=True)
    centre, spread = _pooled(readable, codes)
    channels = centre.shape[1]
    mean, deviation = np.zeros((frame.height, channels), np.float32), np.ones((frame.height, channels), np.float32)
    mean[known], deviation[known] = centre[codes], spread[codes]
    return mean, deviation


def _pooled(readable: pl.DataFrame, codes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments over all pixels of the images of each code, shape (codes, channels).

    The total variance is the mean of the images' variances plus the variance of their means, weighted by pixels.
    """
    weight = (readable["height"] * readable["width"]).to_numpy().astype(np.float64)[:, None]
    mean = np.array(readable["mean"].to_list())
    variance = np.array(readable["deviation"].to_list()) ** 2
    total = _summed(weight, codes)
    centre = _summed(mean * weight, codes) / total
    spread = np.sqrt(_summed((variance + (mean - centre[codes]) ** 2) * weight, codes) / total)
    spread[spread == 0] = 1.0  # a channel without signal stays at zero
    return centre, spread


def _summed(values: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.zeros((int(codes.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums
