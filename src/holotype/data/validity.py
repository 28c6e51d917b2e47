"""Pixel validity: no-data values, and isolated values far outside the rest of an image (hot pixels)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def missing_pixels(pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """No-data mask: NaN and infinity, fill values such as -9999 and 3.4e38, and borders of one far value.

    A fill value counts if it is the smallest or largest value of a channel and its distance to the other values exceeds
    their range; a value along a whole edge, if the distance exceeds ten times their range. Zero, and any 8-bit value,
    is always data: masked backgrounds are zero, and white ones 255.

    `pixels`: shape (channels, height, width).
    """
    if pixels.dtype.kind != "f" and not (pixels.dtype == np.uint16 and (pixels == 65535).any()):
        return None
    missing = np.zeros(pixels.shape, bool)
    has_missing = pixels.dtype.kind == "f" and not np.isfinite(pixels).all()
    if has_missing:
        missing = ~np.isfinite(pixels)
    for plane, mask in zip(pixels, missing, strict=True):
        for extreme in (np.min, np.max):
            valid = plane[~mask] if has_missing else plane.ravel()
            if not valid.size or (valid.dtype == np.uint16 and extreme is np.min):
                continue
            value = extreme(valid)
            fill = valid.dtype.kind == "f" and (float(value) in {-9999.0, -99999.0, -32768.0} or abs(value) > 1e19)
            lines = (plane[0], plane[-1], plane[:, 0], plane[:, -1])
            edge = plane.size >= 64 and any((line == value).all() for line in lines)
            if value == 0 or not (fill or edge) or (valid.dtype == np.uint16 and value != 65535):
                continue
            others = valid[valid != value]
            if not others.size:
                continue
            low, high = isolated_limits(others)
            gap = float(others.min()) - float(value) if extreme is np.min else float(value) - float(others.max())
            if (fill and gap > high - low) or (high > low and gap > 10 * (high - low)):
                mask |= plane == value
                has_missing = True
    return missing if missing.any() else None


def isolated_limits(values: NDArray[Any]) -> tuple[float, float]:
    """Value range without isolated values, such as hot pixels.

    Among the largest and smallest thousandth (at least four values), those are isolated that are more than ten times
    further out than all others reach. 8-bit pixels, fewer than 64 values, and signal on a constant background have
    none. `values`: shape (n,), finite, at least one.
    """
    count = max(4, values.size // 1000)
    minimum, maximum = float(values.min()), float(values.max())
    if values.dtype == np.uint8 or values.size < 64:
        return minimum, maximum
    sample = np.sort(values[:: max(1, values.size // 4096)])  # fast check: most images have no isolated values
    inner = sample[[len(sample) // 50, -1 - len(sample) // 50]].astype(np.float64)
    if values.size >= 256 and maximum - minimum <= 10 * (inner[1] - inner[0]):
        return minimum, maximum
    parted = np.partition(values, (count, values.size - 1 - count))
    below = np.sort(parted[: count + 1]).astype(np.float64)
    above = np.sort(parted[-count - 1 :]).astype(np.float64)
    limits = []
    for tail, other_end in ((-below[::-1], -above[0]), (above, below[-1])):  # from the inner end of each tail outwards
        reach = tail[:-1] - other_end
        far = np.flatnonzero((np.diff(tail) > 10 * reach) & (reach[0] > 0))
        limits.append(float(tail[far[0]] if len(far) else tail[-1]))
    return -limits[0], limits[1]


def limit_isolated(pixels: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Replace isolated values by their neighbors, as `replace_isolated` does in each channel.

    `pixels`: shape (channels, height, width).
    """
    if pixels.dtype == np.uint8:
        return pixels
    changed = pixels
    for number, plane in enumerate(pixels):
        absent = np.zeros(plane.shape, bool) if missing is None else missing[number]
        valid = plane.ravel() if missing is None else plane[~absent]
        if not valid.size:
            continue
        low, high = isolated_limits(valid)
        if low > valid.min() or high < valid.max():
            changed = changed.copy() if changed is pixels else changed
            changed[number] = replace_isolated(plane, absent, low, high)
    return changed


def replace_isolated(plane: NDArray[Any], absent: NDArray[np.bool_], low: float, high: float) -> NDArray[Any]:
    """Replace hot pixels by the median of their neighbors: values beyond the limits whose eight neighbors are within.

    If neighbors are beyond the limits too, as in a small bright object, a value is clipped instead. `plane`: shape
    (height, width); `absent`: mask of no-data pixels, which stay and are not used as neighbors.
    """
    far = ((plane < low) | (plane > high)) & ~absent
    limited = np.where(far, np.clip(plane, low, high), plane).astype(plane.dtype)
    rows, columns = np.nonzero(far)
    steps = np.array([(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across])
    down, across = rows[:, None] + steps[:, 0], columns[:, None] + steps[:, 1]
    inside = (down >= 0) & (down < plane.shape[0]) & (across >= 0) & (across < plane.shape[1])
    down, across = np.where(inside, down, 0), np.where(inside, across, 0)
    usable = inside & ~far[down, across] & ~absent[down, across]
    alone = usable.any(axis=1) & ~(inside & far[down, across]).any(axis=1)
    neighbors = np.sort(np.where(usable, limited[down, across].astype(np.float64), np.inf), axis=1)
    middle = np.maximum(usable.sum(axis=1) - 1, 0) // 2  # the lower median is always a pixel value
    medians = neighbors[np.arange(len(rows)), middle]
    limited[rows[alone], columns[alone]] = medians[alone]
    return limited


def fill_missing(pixels: NDArray[Any], missing: NDArray[np.bool_] | None, fill: Any = None) -> NDArray[Any]:
    """Set no-data pixels to one value a channel.

    `pixels`: shape (channels, height, width); `fill`: one value a channel; the mean of the channel's data if None.
    """
    if missing is None:
        return pixels
    filled = pixels.copy()
    for number, mask in enumerate(missing):
        data = pixels[number][~mask]
        mean = float(data.mean(dtype=np.float64)) if data.size else 0.0
        value = mean if fill is None else float(fill[number])
        filled[number][mask] = round(value) if pixels.dtype.kind == "u" else value
    return filled


def usable_pixels(pixels: NDArray[Any], fill: Any = None) -> NDArray[Any]:
    """Prepare an image for statistics and networks: replace isolated values, fill no-data pixels.

    `pixels`: shape (channels, height, width), from `read_image`. Returns the same array if there is nothing to change.
    """
    missing = missing_pixels(pixels)
    return fill_missing(limit_isolated(pixels, missing), missing, fill)
