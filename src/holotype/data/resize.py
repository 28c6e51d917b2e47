"""Sizes: images made smaller at full depth, and set into a canvas."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["fitted", "resize_image", "whole_pixels"]


def fitted(image: NDArray[Any], height: int, width: int, scale: float = 1.0) -> NDArray[Any]:
    """An image brought into a canvas with its aspect ratio kept, never enlarged, its edges drawn out.

    Args:
        image: Shape (channels, H, W).
        height: Of the canvas in pixels.
        width: Of the canvas in pixels.
        scale: How much of its size is kept at most; smaller where the canvas is too small for that.

    Returns:
        Shape (channels, height, width), of the same type.
    """
    scale = min(scale, height / image.shape[1], width / image.shape[2])
    smaller = resize_image(image, whole_pixels(image.shape[1] * scale), whole_pixels(image.shape[2] * scale))
    return _centred(smaller, height, width)


def resize_image(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize every channel at full depth, averaging over what becomes one pixel.

    Args:
        image: Shape (channels, H, W).
        height: New height in pixels.
        width: New width in pixels.

    Returns:
        Shape (channels, height, width), of the same type.
    """
    if image.shape[1:] == (height, width):
        return image
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
        for plane in image
    ]
    resized = np.stack(planes)
    if image.dtype.kind == "u":
        resized = np.clip(np.rint(resized), 0, np.iinfo(image.dtype).max)
    return resized.astype(image.dtype)


def whole_pixels(side: Any) -> int:
    """The largest of some lengths as a whole number of pixels, at least one.

    Args:
        side: A number or an array of numbers.
    """
    return max(1, int(np.max(np.rint(side))))


def _centred(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """The image in the middle of a larger canvas, its edges drawn out."""
    rows, columns = height - image.shape[1], width - image.shape[2]
    if rows == columns == 0:
        return image
    margins = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(image, margins, mode="edge")
