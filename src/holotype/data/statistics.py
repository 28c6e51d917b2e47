"""One pass over the pixels: sizes, depths, moments and digests of every image; the one place for each statistic."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data.fingerprint import fingerprint
from holotype.data.images import read_image
from holotype.digest import digest_array
from holotype.errors import DataError
from holotype.runtime import Runtime
from holotype.types import ImageStatistics, ImageTable, Normalisation

__all__ = ["channel_statistics", "dataset_normalisation", "measure_images"]

CHUNK = 256  # rows decoded ahead: enough to keep the threads busy, little enough to stay small


def channel_statistics(pixels: NDArray[Any]) -> dict[str, list[float]]:
    """Statistics of each channel in the image's own units.

    Args:
        pixels: Shape (channels, height, width).

    Returns:
        `mean`, `deviation`, `low`, `high` (extremes) and `nonzero` (share of pixels), one number a channel each.
    """
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    return {
        "mean": flat.mean(axis=1).tolist(),
        "deviation": flat.std(axis=1).tolist(),
        "low": flat.min(axis=1).tolist(),
        "high": flat.max(axis=1).tolist(),
        "nonzero": (flat != 0).mean(axis=1).tolist(),
    }


def measure_images(images: ImageTable, runtime: Runtime) -> ImageStatistics:
    """Decode every image once and note what it is; what cannot be read is noted too, with the reason.

    Args:
        images: The table.
        runtime: For threads and progress.
    """
    facts: list[dict[str, Any]] = []
    with (
        runtime.progress.task("Reading images", len(images)) as task,
        ThreadPoolExecutor(runtime.thread_count) as threads,
    ):
        for start in range(0, len(images), CHUNK):
            rows = range(start, min(start + CHUNK, len(images)))
            facts.extend(threads.map(_facts, (images.files_of_row(row) for row in rows)))
            task.advance(len(rows))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "height": pl.Int64, "width": pl.Int64, "channels": pl.Int64, "depth": pl.String, "digest": pl.String,
        "fingerprint": pl.Binary,
        **{name: pl.List(pl.Float64) for name in ("mean", "deviation", "low", "high", "nonzero")}, "error": pl.String,
    }  # fmt: skip
    frame = pl.DataFrame(facts, schema=schema).insert_column(0, images.frame["id"])
    labelled = images.frame["role"] != "test"
    return ImageStatistics(frame, dataset_normalisation(frame.filter(labelled)))


def dataset_normalisation(frame: pl.DataFrame) -> Normalisation:
    """Mean and standard deviation of each channel over all pixels of all images.

    The total variance is the mean of the images' variances plus the variance of their means, weighted by pixels.

    Args:
        frame: Rows of `ImageStatistics.frame`; unreadable ones are passed over.
    """
    readable = frame.filter(pl.col("error").is_null())
    if readable.height == 0 or readable["channels"].n_unique() > 1:
        return Normalisation((0.0,), (1.0,))  # the audit refuses such a set, and in better words
    weight = (readable["height"] * readable["width"]).to_numpy().astype(np.float64)[:, None]
    mean = np.array(readable["mean"].to_list())
    variance = np.array(readable["deviation"].to_list()) ** 2
    centre = (mean * weight).sum(axis=0) / weight.sum()
    spread = np.sqrt(((variance + (mean - centre) ** 2) * weight).sum(axis=0) / weight.sum())
    spread[spread == 0] = 1.0  # a channel without signal stays at zero
    return Normalisation(tuple(centre.tolist()), tuple(spread.tolist()))


def _facts(files: Iterable[Path]) -> dict[str, Any]:
    try:
        pixels = read_image(list(files))
    except DataError as error:
        return {"error": str(error).rstrip(".")}
    channels, height, width = pixels.shape
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "depth": pixels.dtype.name,
        "digest": digest_array(pixels),
        "fingerprint": fingerprint(pixels),
        **channel_statistics(pixels),
        "error": None,
    }
