"""Named image axes, and the projection of z-planes or time points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.data.limits import ReadOptions, require_channel_count, require_size

PROJECTIONS = ("max", "mean", "sum", "first", "middle")
PLANES = {"Z": "planes", "T": "times"}
CHANNELS = "CSEQI"  # channel, sample, wavelength, and unnamed pages
UNNAMED = "QI"
OTHER_AXES = {
    "A": "angles",
    "H": "lifetimes",
    "L": "exposures",
    "M": "mosaic tiles",
    "P": "phases",
    "R": "positions",
    "V": "events",
}
NO_PROJECTION = "write data.projection: max (or mean, sum, first, middle), or save one of them"


@dataclass(frozen=True)
class AxisOrder:
    """Positions of the axes of an array."""

    planes: int | None
    channels: int | None
    height: int
    width: int


def plan_axes(axes: str, shape: Sequence[int], name: str, dtype: Any, options: ReadOptions) -> AxisOrder:
    """Assign the axes of an image by their names, before it is decoded.

    `axes`: one letter an axis, as in tifffile and OME: `TCZYX`, `YXS`.
    """
    sides = tuple(int(side) for side in shape)
    sizes = dict(zip(axes, sides, strict=True))
    description = f"{name} has the axes {axes} of shape {sides}"
    if not {"Y", "X"} <= set(axes):
        raise DataError(f"{description}, and none named Y and X", remedy="save it as (channels, height, width)")
    if len(sizes) != len(axes):
        raise DataError(description, remedy="save it as (channels, height, width)")
    longer = [axis for axis in axes if axis not in "YX" and sizes[axis] > 1]
    for axis in longer:
        if axis not in PLANES and axis not in CHANNELS:
            what = OTHER_AXES.get(axis, f"entries of the axis {axis}")
            raise DataError(f"{name} holds {sizes[axis]} {what}", remedy="save one of them")
    planes = _find_plane_axis(name, sizes, longer, options)
    along = [axis for axis in longer if axis != planes]
    if len(along) > 1:
        raise DataError(description, remedy="save it as (channels, height, width)")
    require_channel_count(name, sizes[along[0]] if along else 1, options)
    require_size(name, (sizes["Y"], sizes["X"]), prod(sizes[axis] for axis in longer), dtype, options)
    return AxisOrder(
        None if planes is None else axes.index(planes),
        axes.index(along[0]) if along else None,
        axes.index("Y"),
        axes.index("X"),
    )


def _find_plane_axis(name: str, sizes: dict[str, int], longer: list[str], options: ReadOptions) -> str | None:
    plane_axes = [axis for axis in longer if axis in PLANES]
    if len(plane_axes) > 1:
        raise DataError(
            f"{name} holds {sizes['Z']} planes at each of {sizes['T']} times", remedy="save one time a file"
        )
    if plane_axes:
        if options.projection is None:
            raise DataError(f"{name} holds {sizes[plane_axes[0]]} {PLANES[plane_axes[0]]}", remedy=NO_PROJECTION)
        return plane_axes[0]
    unnamed = [axis for axis in longer if axis in UNNAMED]
    if options.projection is not None and unnamed and sizes[unnamed[0]] != len(options.channels):
        return unnamed[0]
    return None


def arrange(pixels: NDArray[Any], order: AxisOrder, projection: str | None) -> NDArray[Any]:
    """Arrange an array as (channels, height, width) and project its planes."""
    present_axes = [axis for axis in (order.planes, order.channels, order.height, order.width) if axis is not None]
    rest = [axis for axis in range(pixels.ndim) if axis not in present_axes]  # all of length one
    pixels = pixels.transpose(*rest, *present_axes).reshape([pixels.shape[axis] for axis in present_axes])
    if order.planes is not None:
        pixels = project(pixels, projection)
    return pixels if order.channels is not None else pixels[None]


def arrange_named(pixels: NDArray[Any], axes: str, name: str, options: ReadOptions) -> NDArray[Any]:
    """Arrange an array with named axes as (channels, height, width). Raises DataError as `plan_axes`."""
    return arrange(pixels, plan_axes(axes, pixels.shape, name, pixels.dtype, options), options.projection)


def project(pixels: NDArray[Any], projection: str | None) -> NDArray[Any]:
    """Project the first axis to one plane.

    `projection`: `max`, `first` and `middle` (of an even number, the later of the two) keep the pixel type; `mean` and
    `sum` give float32.
    """
    if projection == "max":
        return np.asarray(pixels.max(axis=0))
    if projection == "first":
        return pixels[0]
    if projection == "middle":
        return pixels[len(pixels) // 2]
    total = np.zeros(pixels.shape[1:], np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for plane in pixels:
            total += plane
        return np.asarray(total if projection == "sum" else total / len(pixels), np.float32)
