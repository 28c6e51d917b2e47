"""One pass over the pixels: sizes, depths, moments and digests of every image; the one place for each statistic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data.fingerprint import fingerprint
from holotype.data.images import read_row
from holotype.data.normalisation import dataset_normalisation
from holotype.digest import digest_array
from holotype.errors import DataError
from holotype.runtime import Runtime
from holotype.types import ImageStatistics, ImageTable, Normalisation

__all__ = [
    "channel_statistics",
    "gather_statistics",
    "image_features",
    "measure_image",
    "measure_images",
    "unmeasured",
]

LISTS = (
    "mean", "deviation", "low", "high", "nonzero", "nonzero_mean", "top", "percentiles", "correlation", "masked_mean",
)  # fmt: skip
PERCENTILES = (1, 25, 50, 75, 99)
CHUNK = 256  # rows decoded ahead: enough to keep the threads busy, little enough to stay small


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "height": pl.Int64, "width": pl.Int64, "channels": pl.Int64, "depth": pl.String, "digest": pl.String,
    "fingerprint": pl.Binary,
    **{name: pl.List(pl.Float64) for name in LISTS}, "error": pl.String,
}  # fmt: skip


def channel_statistics(pixels: NDArray[Any]) -> dict[str, list[float]]:
    """Statistics of each channel and of each two, in the image's own units.

    Args:
        pixels: Shape (channels, height, width).

    Returns:
        One number a channel each: `mean`, `deviation`, `low`, `high` (extremes), `nonzero` (share of pixels),
        `nonzero_mean` (mean of those), `top` (share of pixels at the largest value of the depth; of the image, for
        floats). Five a channel: `percentiles` (1, 25, 50, 75, 99). One for each two channels i < j: `correlation`
        (0 where a channel is constant) and `masked_mean` (mean of j where i is above its own mean).
    """
    flat = pixels.reshape(len(pixels), -1)
    values = flat.astype(np.float64)
    mean, deviation = values.mean(axis=1), values.std(axis=1)
    lit = flat != 0
    count = lit.sum(axis=1)
    top = np.iinfo(flat.dtype).max if flat.dtype.kind == "u" else flat.max()
    first, second = np.triu_indices(len(flat), 1)
    covariance = values @ values.T / values.shape[1] - np.outer(mean, mean)
    spread = np.outer(deviation, deviation)[first, second]
    correlation = covariance[first, second] / np.where(spread > 0, spread, 1)
    bright = values > mean[:, None]
    masked = (bright.astype(np.float64) @ values.T)[first, second] / np.maximum(bright.sum(axis=1), 1)[first]
    return {
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "low": flat.min(axis=1).astype(float).tolist(),
        "high": flat.max(axis=1).astype(float).tolist(),
        "nonzero": (count / flat.shape[1]).tolist(),
        "nonzero_mean": (values.sum(axis=1) / np.maximum(count, 1)).tolist(),
        "top": (flat == top).mean(axis=1).tolist(),
        "percentiles": _percentiles(flat).ravel().tolist(),
        "correlation": np.clip(np.where(spread > 0, correlation, 0), -1, 1).tolist(),
        "masked_mean": masked.tolist(),
    }


def _percentiles(flat: NDArray[Any]) -> NDArray[np.float64]:
    """The nearest pixel values, shape (channels, 5): a partial sort, with nothing between two pixels made up."""
    places = np.rint(np.array(PERCENTILES) / 100 * (flat.shape[1] - 1)).astype(int)
    return np.partition(flat, places, axis=1)[:, places].astype(np.float64)


def image_features(frame: pl.DataFrame) -> tuple[list[str], NDArray[np.float32]]:
    """The statistics as a table of numbers, for whatever learns from them.

    Args:
        frame: Rows of `ImageStatistics.frame`, all of one number of channels but the unreadable ones.

    Returns:
        The columns' names, and values of shape (n, columns); NaN where an image cannot be read.
    """
    names, columns = ["height", "width"], [frame["height"].to_numpy(), frame["width"].to_numpy()]
    usual = frame["channels"].drop_nulls().mode(maintain_order=True)
    known = (frame["channels"] == usual[0]).fill_null(False) if usual.len() else frame["channels"].is_not_null()
    for name in LISTS:
        if name not in frame.columns:
            continue
        width = int(frame[name].filter(known).list.len().max() or 0)  # type: ignore[arg-type]
        for place in range(width):
            names.append(f"{name}.{place}")
            columns.append(frame[name].list.get(place, null_on_oob=True).to_numpy())
    table = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    table[~known.to_numpy()] = np.nan
    return names, table


def unmeasured(images: ImageTable) -> ImageStatistics:
    """What is known of rows without images: nothing.

    Args:
        images: The table.
    """
    frame = pl.DataFrame(schema=_SCHEMA).insert_column(0, images.frame["id"].clear())
    frame = pl.concat([images.frame.select("id"), frame], how="diagonal")
    return ImageStatistics(frame, Normalisation((0.0,), (1.0,)))


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
            facts.extend(threads.map(lambda row: _facts(images, row), rows))
            task.advance(len(rows))
    return gather_statistics(images, facts)


def gather_statistics(images: ImageTable, facts: list[dict[str, Any]]) -> ImageStatistics:
    """What was found in every image, as one table.

    Args:
        images: The table.
        facts: One entry an image, from `measure_image`.
    """
    frame = pl.DataFrame(facts, schema=_SCHEMA).insert_column(0, images.frame["id"])
    labelled = images.frame["role"] != "test"
    return ImageStatistics(frame, dataset_normalisation(frame.filter(labelled)))


def _facts(images: ImageTable, row: int) -> dict[str, Any]:
    try:
        pixels = read_row(images, row)
    except DataError as error:
        return {"error": str(error).rstrip(".")}
    return {**measure_image(pixels), "digest": digest_array(pixels), "fingerprint": fingerprint(pixels)}


def measure_image(pixels: NDArray[Any]) -> dict[str, Any]:
    """What is noted of one image, but for what tells it from others.

    Args:
        pixels: Shape (channels, height, width), from `read_image`.
    """
    channels, height, width = pixels.shape
    facts = {"height": height, "width": width, "channels": channels, "depth": pixels.dtype.name}
    return {**facts, **channel_statistics(pixels), "error": None}
