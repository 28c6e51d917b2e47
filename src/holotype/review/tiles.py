"""Image tiles for the browser: each channel at its own depth, of bounded size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError

MAX_SIDE = 1024
MAX_BYTES = 24_000_000
UINT16_MAX = 65_535


@dataclass(frozen=True)
class Region:
    """Rectangle in image pixels.

    Args:
        width: Columns; 0 for all that follow.
        height: Rows; 0 for all that follow.
    """

    left: int = 0
    top: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Tile:
    """Part of an image as it is sent: integers of one or two bytes, channel by channel, row by row.

    Args:
        planes: Shape (channels, rows, columns), uint8 or uint16.
        facts: `channels`, `rows`, `columns`, `bytes` (per number), `width` and `height` of the full image, `region` (in
            its pixels), `depth` (in words), and `low` and `high`, the values of 0 and of the largest number.
    """

    planes: NDArray[Any]
    facts: dict[str, Any]

    @property
    def content(self) -> bytes:
        """Little-endian bytes of the planes."""
        return self.planes.astype(self.planes.dtype.newbyteorder("<"), copy=False).tobytes()


def cut_tile(pixels: NDArray[Any], region: Region, side: int = MAX_SIDE) -> Tile:
    """Cut a tile, downsampled by an integer factor (block mean) until it fits.

    `pixels`: shape (channels, height, width): uint8, uint16 or float32.
    """
    channels, height, width = pixels.shape
    left, top = max(region.left, 0), max(region.top, 0)
    right = min(left + region.width, width) if region.width > 0 else width
    bottom = min(top + region.height, height) if region.height > 0 else height
    if left >= right or top >= bottom:
        raise DataError(f"the region at {left}, {top} lies outside of the image of {width}x{height} pixels")
    part = pixels[:, top:bottom, left:right]
    max_side = int(min(max(side, 1), MAX_SIDE, max(1, (MAX_BYTES / (2 * channels)) ** 0.5)))
    step = max(1, -(-max(part.shape[1:]) // max_side))
    low, high = _value_range(pixels)
    planes = _quantize(_block_mean(part, step), low, high)
    facts = {
        "channels": channels,
        "rows": planes.shape[1],
        "columns": planes.shape[2],
        "bytes": planes.dtype.itemsize,
        "width": width,
        "height": height,
        "depth": "32-bit float" if pixels.dtype.kind == "f" else f"{8 * pixels.dtype.itemsize}-bit",
        "low": low,
        "high": high,
        "step": step,
        "region": asdict(Region(left, top, right - left, bottom - top)),
    }
    return Tile(planes, facts)


def _block_mean(part: NDArray[Any], step: int) -> NDArray[Any]:
    """Mean of square blocks; blocks at the right and bottom edges may be smaller."""
    if step == 1:
        return part
    channels, height, width = part.shape
    rows, columns = -(-height // step), -(-width // step)
    is_integer = part.dtype.kind != "f" and step * step * UINT16_MAX < 2**32
    down, across = np.diff(np.r_[0:height:step, height]), np.diff(np.r_[0:width:step, width])
    means = np.empty((channels, rows, columns), np.float64)
    for number, plane in enumerate(part):  # sums of shifted planes, each read in its own order
        bands = np.zeros((rows, width), np.uint32 if is_integer else np.float64)
        for shift in range(min(step, height)):
            band = plane[shift::step]
            bands[: len(band)] += band
        means[number] = np.add.reduceat(bands, np.arange(0, width, step), axis=1, dtype=np.float64)
    means /= down[:, None] * across[None, :]
    return means.astype(np.float32) if part.dtype.kind == "f" else np.rint(means).astype(part.dtype)


def _value_range(pixels: NDArray[Any]) -> tuple[float, float]:
    """Values of 0 and of the largest number: the type's range for integers, the data range for floats."""
    if pixels.dtype.kind != "f":
        return 0.0, float(np.iinfo(pixels.dtype).max)
    low, high = float(pixels.min()), float(pixels.max())
    return low, high if high > low else low + 1


def _quantize(planes: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    if planes.dtype.kind != "f":
        return planes
    return np.asarray(np.rint(np.clip((planes.astype(np.float64) - low) / (high - low), 0, 1) * UINT16_MAX), np.uint16)
