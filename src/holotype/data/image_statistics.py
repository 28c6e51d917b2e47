"""Image statistics: sizes, pixel types, moments and digests of every image, in one pass over the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.digest import digest_array
from holotype.core.errors import DataError
from holotype.core.runtime import Runtime
from holotype.data.images import read_row_and_count_channels
from holotype.data.normalization import dataset_normalization
from holotype.data.thumbnails import fingerprint
from holotype.data.validity import isolated_limits, limit_isolated, missing_pixels, usable_pixels
from holotype.types import ImageStatistics, ImageTable, Normalization

LISTS = (
    "mean",
    "deviation",
    "min",
    "max",
    "nonzero",
    "nonzero_mean",
    "saturated_share",
    "percentiles",
    "correlation",
    "masked_mean",
)
VALIDITY = ("lowest", "highest", "missing")  # reported in warnings, never used as features
PERCENTILES = (1, 25, 50, 75, 99)
PAIRED_CHANNELS = 32  # beyond it pairwise statistics would be larger than the image
BLOCK = 1 << 21  # values converted to float64 at a time
CHUNK = 256  # rows decoded ahead: enough to keep the threads busy without using much memory


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "height": pl.Int64,
    "width": pl.Int64,
    "channels": pl.Int64,
    "depth": pl.String,
    "digest": pl.String,
    "fingerprint": pl.Binary,
    **{name: pl.List(pl.Float64) for name in (*LISTS, *VALIDITY)},
    "channels_elsewhere": pl.Int64,  # named by OME-XML, in files that the table does not name
    "error": pl.String,
}


def channel_statistics(pixels: NDArray[Any]) -> dict[str, list[float]]:
    """Statistics of each channel and each pair of channels, in the image's own units, over valid pixels.

    Isolated values (see `holotype.data.validity`) count as the median of their neighbors. Memory use is one extra
    channel and about 100 MB.

    `pixels`: shape (channels, height, width). Returns one number a channel each: `mean`, `deviation`, `min`, `max`,
    `nonzero` (share of pixels), `nonzero_mean` (mean of those), `saturated_share` (share of pixels at the largest value
    of the type; of the image, for floats), `lowest`, `highest` (raw extremes of the finite values), `missing` (share
    without data). Five a channel: `percentiles` (1, 25, 50, 75, 99). One for each pair of channels i < j, for up to 32
    channels: `correlation` (0 if a channel is constant) and `masked_mean` (mean of j where i is above its mean).
    """
    missing = missing_pixels(pixels)
    flat = pixels.reshape(len(pixels), -1)
    absent = None if missing is None else missing.reshape(len(pixels), -1)
    planes = [_plane_statistics(plane, None if absent is None else absent[row]) for row, plane in enumerate(flat)]
    low, high = (np.array([plane[name] for plane in planes])[:, None] for name in ("min", "max"))
    top = float(np.iinfo(flat.dtype).max) if flat.dtype.kind == "u" else float(high.max())
    sums = _Sums(len(flat))
    pairs = np.triu_indices(len(flat) if len(flat) <= PAIRED_CHANNELS else 0, 1)
    flat = limit_isolated(pixels, missing).reshape(flat.shape)
    parts = _iterate_blocks(flat, absent)
    first = next(parts) if flat.size <= BLOCK else None  # convert small images only once
    for values, valid in (first,) if first else parts:
        sums.add_counts(values, valid, top)
    for values, valid in (first,) if first else _iterate_blocks(flat, absent):
        sums.add_deviations(values, valid, len(pairs[0]) > 0)
    pixels_of_data = np.maximum(sums.valid, 1)
    variance = sums.products[pairs] if len(pairs[0]) else np.empty(0)
    spread = np.sqrt(np.outer(sums.squares, sums.squares))[pairs] if len(pairs[0]) else np.empty(0)
    correlation = np.divide(variance, spread, out=np.zeros_like(variance), where=spread > 0)
    return {
        "mean": sums.mean.tolist(),
        "deviation": np.where(high > low, np.sqrt(sums.squares / pixels_of_data)[:, None], 0)[:, 0].tolist(),
        "min": low[:, 0].tolist(),
        "max": high[:, 0].tolist(),
        "nonzero": (sums.nonzero / pixels_of_data).tolist(),
        "nonzero_mean": (sums.total / np.maximum(sums.nonzero, 1)).tolist(),
        "saturated_share": (sums.top / pixels_of_data).tolist(),
        "percentiles": [value for plane in planes for value in plane["percentiles"]],
        "correlation": np.clip(correlation, -1, 1).tolist(),
        "masked_mean": (sums.bright[pairs] / np.maximum(sums.bright_pixels[pairs], 1)).tolist()
        if len(pairs[0])
        else [],
        "lowest": [plane["lowest"] for plane in planes],
        "highest": [plane["highest"] for plane in planes],
        "missing": (1 - sums.valid / flat.shape[1]).tolist(),
    }


def _plane_statistics(plane: NDArray[Any], absent: NDArray[np.bool_] | None) -> dict[str, Any]:
    """Extremes and percentiles of one channel; percentiles are pixel values (nearest rank), not interpolated."""
    valid = plane if absent is None else plane[~absent]
    finite = plane if absent is None else plane[np.isfinite(plane)]
    extremes = {
        name: float(of(finite)) if finite.size else 0.0 for name, of in (("lowest", np.min), ("highest", np.max))
    }
    if not valid.size:
        return {"min": 0.0, "max": 0.0, "percentiles": [0.0] * len(PERCENTILES), **extremes}
    low, high = isolated_limits(valid)
    ranks = np.rint(np.array(PERCENTILES) / 100 * (valid.size - 1)).astype(int)
    percentiles = _at_ranks(valid, ranks).astype(np.float64).tolist()
    return {"min": low, "max": high, "percentiles": percentiles, **extremes}


def _at_ranks(values: NDArray[Any], ranks: NDArray[np.int_]) -> NDArray[Any]:
    """Values at some ranks; 8-bit values are counted, which is faster."""
    if values.dtype == np.uint8:
        return np.searchsorted(np.cumsum(np.bincount(values, minlength=256)), ranks, side="right")
    return np.partition(values, ranks)[ranks]  # type: ignore[no-any-return]


class _Sums:
    """Sums over blocks of pixels: first `add_counts` for all blocks, then `add_deviations` for all."""

    def __init__(self, channels: int) -> None:
        self.valid, self.total, self.nonzero, self.top, self.squares = (np.zeros(channels) for _ in range(5))
        paired = channels if channels <= PAIRED_CHANNELS else 0
        self.products, self.bright, self.bright_pixels = (np.zeros((paired, paired)) for _ in range(3))

    @property
    def mean(self) -> NDArray[np.float64]:
        return np.asarray(self.total / np.maximum(self.valid, 1))

    def add_counts(self, values: NDArray[np.float64], valid: NDArray[np.bool_] | None, top: float) -> None:
        self.valid += values.shape[1] if valid is None else valid.sum(axis=1)
        self.total += values.sum(axis=1) if valid is None else (values * valid).sum(axis=1)
        for sums, mask in ((self.nonzero, values != 0), (self.top, values == top)):
            sums += np.count_nonzero(mask if valid is None else mask & valid, axis=1)

    def add_deviations(self, values: NDArray[np.float64], valid: NDArray[np.bool_] | None, paired: bool) -> None:
        mean = self.mean[:, None]
        centered = values - mean
        if valid is not None:
            centered[~valid] = 0
        if not paired:
            self.squares += np.einsum("cn,cn->c", centered, centered)
            return
        products = centered @ centered.T
        self.products += products
        self.squares += np.diagonal(products)
        bright = (centered > 0).astype(np.float64)
        counts = bright.sum(axis=1)[:, None] if valid is None else bright @ valid.T.astype(np.float64)
        self.bright_pixels += counts
        self.bright += bright @ centered.T + counts * self.mean  # add the mean back, as `centered` is about the mean


def _iterate_blocks(
    flat: NDArray[Any], absent: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_] | None]]:
    width = max(1, BLOCK // len(flat))
    for start in range(0, flat.shape[1], width):
        values = flat[:, start : start + width].astype(np.float64)
        valid = None if absent is None else ~absent[:, start : start + width]
        if valid is not None:
            values[~valid] = 0
        yield values, valid


def image_features(frame: pl.DataFrame) -> tuple[list[str], NDArray[np.float32]]:
    """Image statistics as a feature matrix.

    `frame`: rows of `ImageStatistics.frame`; readable ones share one number of channels. Returns column names, and
    values of shape (n, columns); NaN for unreadable images.
    """
    names, columns = ["height", "width"], [frame["height"].to_numpy(), frame["width"].to_numpy()]
    usual = frame["channels"].drop_nulls().mode(maintain_order=True)
    comparable = (frame["channels"] == usual[0]).fill_null(False) if usual.len() else frame["channels"].is_not_null()
    for name in LISTS:
        if name not in frame.columns:
            continue
        width = int(frame[name].filter(comparable).list.len().max() or 0)  # type: ignore[arg-type]
        for index in range(width):
            names.append(f"{name}.{index}")
            columns.append(frame[name].list.get(index, null_on_oob=True).to_numpy())
    table = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    table[~comparable.to_numpy()] = np.nan
    return names, table


def empty_statistics(images: ImageTable) -> ImageStatistics:
    """Image statistics for a table without images: all null."""
    frame = pl.DataFrame(schema=_SCHEMA).insert_column(0, images.frame["id"].clear())
    frame = pl.concat([images.frame.select("id"), frame], how="diagonal")
    return ImageStatistics(frame, Normalization((0.0,), (1.0,)))


def measure_images(images: ImageTable, runtime: Runtime) -> ImageStatistics:
    """Decode every image once and measure it; unreadable images are recorded with the reason."""
    facts: list[dict[str, Any]] = []
    with (
        runtime.progress.task("Reading images", len(images)) as task,
        ThreadPoolExecutor(runtime.thread_count) as threads,
    ):
        for start in range(0, len(images), CHUNK):
            rows = range(start, min(start + CHUNK, len(images)))
            facts.extend(threads.map(lambda row: _measure_row(images, row), rows))
            task.advance(len(rows))
    return gather_statistics(images, facts)


def gather_statistics(images: ImageTable, facts: list[dict[str, Any]]) -> ImageStatistics:
    """Collect the measurements of all images in one table."""
    frame = pl.DataFrame(facts, schema=_SCHEMA).insert_column(0, images.frame["id"])
    labeled = images.frame["role"] != "test"
    return ImageStatistics(frame, dataset_normalization(frame.filter(labeled)))


def _measure_row(images: ImageTable, row: int) -> dict[str, Any]:
    try:
        pixels, elsewhere = read_row_and_count_channels(images, row)
        digests = {"digest": digest_array(pixels), "fingerprint": fingerprint(usable_pixels(pixels))}
        return {**measure_image(pixels), **digests, "channels_elsewhere": elsewhere}
    except DataError as error:
        return {"error": str(error).rstrip(".")}
    except Exception as error:  # noqa: BLE001  (one image must not stop the measurement of all others)
        reason = (
            "the memory is too small for it" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
        )
        return {"error": f"{' '.join(images.files_of_row(row))} cannot be measured: {reason}"}


def measure_image(pixels: NDArray[Any]) -> dict[str, Any]:
    """Measure one image: size, pixel type and channel statistics, without digest and fingerprint.

    `pixels`: shape (channels, height, width), from `read_image`.
    """
    channels, height, width = pixels.shape
    facts = {"height": height, "width": width, "channels": channels, "depth": pixels.dtype.name}
    return {**facts, **channel_statistics(pixels), "error": None}
