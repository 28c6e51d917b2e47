"""Image resizing at full depth, and letterboxing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def letterbox(image: NDArray[Any], height: int, width: int, scale: float = 1.0) -> NDArray[Any]:
    """Fit an image into a canvas with its aspect ratio kept, never enlarged, with replicated edges.

    `image`: shape (channels, H, W). Returns shape (channels, height, width), same type.
    """
    smaller = resize_image(image, *_letterbox_size((height, width), image.shape[1:], scale))
    return _pad_centered(smaller, height, width)


def unpadded_region(canvas: tuple[int, ...], image: tuple[int, ...], scale: float = 1.0) -> tuple[slice, slice]:
    """Region of a letterboxed canvas that shows the image, without its padding.

    `canvas`: (height, width) in pixels; `image`: (height, width) of the image before `letterbox`.
    """
    sides = _letterbox_size(canvas, image, scale)
    down, across = ((room - side) // 2 for room, side in zip(canvas, sides, strict=True))
    return slice(down, down + sides[0]), slice(across, across + sides[1])


def resize_image(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize every channel at full depth, averaging when downscaling, shape (channels, height, width), same type.

    `image`: shape (channels, H, W).
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


def round_size(side: Any) -> int:
    """Round the largest of some lengths to whole pixels, at least one."""
    return max(1, int(np.max(np.rint(side))))


def _letterbox_size(canvas: tuple[int, ...], image: tuple[int, ...], scale: float) -> tuple[int, int]:
    scale = min(scale, canvas[0] / image[0], canvas[1] / image[1])
    return round_size(image[0] * scale), round_size(image[1] * scale)


def _pad_centered(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    rows, columns = height - image.shape[1], width - image.shape[2]
    if rows == columns == 0:
        return image
    margins = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(image, margins, mode="edge")
