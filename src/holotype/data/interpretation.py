"""Pixel interpretation: orientation, white-is-zero, and the pixel type that is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError

EXACT = 1 << 24  # float32 represents all integers up to here
FLIPS: dict[int, tuple[bool, bool, bool]] = {  # transpose first, then flip rows, then flip columns
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def orient(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an image upright, as `PIL.ImageOps.exif_transpose` does.

    `orientation`: tag 274 of EXIF and TIFF, 1 to 8; any other value counts as 1, upright.
    """
    transpose, rows, columns = FLIPS.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.swapaxes(-1, -2)
    if rows:
        pixels = pixels[..., ::-1, :]
    return pixels[..., ::-1] if columns else pixels


def invert_white(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Invert white-is-zero values (TIFF photometric interpretation 0).

    `bits`: bits of one value: 12 bits in a uint16 are inverted within 12 bits. Returns the same type. Integers are
    mirrored in their range; floats become 1 - x, because white is 1 there (as in libvips and ImageMagick).
    """
    if pixels.dtype == np.bool_:
        return ~pixels
    if pixels.dtype.kind == "u":
        top = np.array(min((1 << bits) - 1, np.iinfo(pixels.dtype).max), pixels.dtype)
        return np.asarray(top - np.minimum(pixels, top))
    if pixels.dtype.kind == "i":
        return ~pixels
    return np.asarray(1 - pixels, pixels.dtype)


def drop_opaque(pixels: NDArray[Any]) -> NDArray[Any]:
    """Drop a last alpha channel if every pixel is opaque. `pixels`: shape (channels, height, width), integers."""
    return pixels[:-1] if (pixels[-1] == np.iinfo(pixels.dtype).max).all() else pixels


def keep_depth(pixels: NDArray[Any], name: str) -> NDArray[Any]:
    """Convert pixels to uint8, uint16 or float32, whichever holds all values.

    The type follows from the stored type alone, never from the values, so that all images of a set get the same one: 8
    and 16 bits stay, one bit becomes 0 and 255, and signed, 32-bit and 64-bit integers and floats become float32. NaN
    and infinity stay: they are pixels without data. Returns the same shape, contiguous, in native byte order.
    """
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if pixels.size == 0:
        raise DataError(f"{name} has no pixels")
    if kind == "b":
        return np.ascontiguousarray(pixels).astype(np.uint8) * np.uint8(255)
    if kind == "u" and size <= 2:
        return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    if kind in "iu":
        if size > 2 and (int(pixels.max()) > EXACT or int(pixels.min()) < -EXACT):
            extremes = f"{int(pixels.min()):,} to {int(pixels.max()):,}"
            raise DataError(
                f"{name} holds whole numbers from {extremes}, which a 32-bit float would round",
                remedy=f"divide them to stay within {EXACT:,}, or save them as 32-bit float",
            )
        return np.ascontiguousarray(pixels, dtype=np.float32)
    if kind != "f":
        raise DataError(f"{name} holds {pixels.dtype} values", remedy="save it with 8 or 16 bits, or as 32-bit float")
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite
        single = np.ascontiguousarray(pixels, dtype=np.float32)
    if not np.isfinite(single).any():  # a few non-finite values are no-data pixels
        raise DataError(f"{name} holds no finite value", remedy="replace NaN and infinity")
    return single
