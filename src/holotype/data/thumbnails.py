"""Image fingerprints: small thumbnails of each channel, to find images that look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FINGERPRINT_SIDE = 32
VERSION = 2
MAX_VALUE = 1e30
SMALL_CONTENT = 0.6  # of the shorter side: smaller content gets thumbnails of its own
LEAST_CONTENT = 16  # pixels a side with the margin: smaller content has no shape to compare
CONTENT = 0.25  # of the largest distance from the background
LOOK_SIDE = 160  # larger images are downscaled to about this side to find their content
HEADER = np.dtype([("version", "u1"), ("channels", "u2"), ("aspect", "<f4")])
CHANNEL = np.dtype([("contrast", "<f4"), ("pixels", "u1", (FINGERPRINT_SIDE, FINGERPRINT_SIDE))])


@dataclass(frozen=True)
class Fingerprints:
    """Unpacked fingerprints of several images.

    Args:
        pixels: Shape (n, channels, 32, 32), uint8; every channel is stretched over the whole range.
        contrast: Standard deviation of each thumbnail over the largest value of its type, shape (n, channels); 0 for a
            channel without structure.
        aspect: Height over width, shape (n,).
    """

    pixels: NDArray[np.uint8]
    contrast: NDArray[np.float32]
    aspect: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)


def fingerprint(pixels: NDArray[Any]) -> bytes:
    """Pack the thumbnails of an image, averaged over areas and stretched over the range of a byte.

    `pixels`: shape (channels, height, width), of any type. Returns a header of 7 bytes, then 1,028 bytes a channel; as
    many again for the content if it is small.
    """
    channels, height, width = pixels.shape
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else float(np.abs(pixels).max() or 1.0)
    if top > MAX_VALUE:  # sums of such values would overflow
        pixels, top = (pixels / np.float32(top)).astype(np.float32), 1.0
    square = content_square(pixels)
    content = None if square is None else crop_around(pixels, square, square[2])
    parts = [_squares(each, top).tobytes() for each in (pixels, content) if each is not None]
    return np.array((VERSION, channels, height / width), HEADER).tobytes() + b"".join(parts)


def content_square(pixels: NDArray[Any]) -> tuple[int, int, int] | None:
    """Bounding square of the part of an image that differs from the background, with a margin of an eighth.

    `pixels`: shape (channels, height, width). Returns row and column of its center in half pixels, and its side; None
    if it fills the image, or is too small to have a shape.
    """
    room = min(pixels.shape[1:])
    step = max(1, -(-room // LOOK_SIDE))
    planes = np.stack([np.asarray(Image.fromarray(plane.astype(np.float32)).reduce(step)) for plane in pixels])
    away = np.abs(planes - np.median(planes, axis=(1, 2), keepdims=True))
    lit = (away > CONTENT * away.max(axis=(1, 2), keepdims=True)).any(axis=0)
    if not lit.any():
        return None
    ends = [np.flatnonzero(lit.any(axis=axis))[[0, -1]] * step + [0, step] for axis in (1, 0)]
    extent = max(int(high - low) for low, high in ends)
    side = min(extent + 2 * max(2, extent // 8), room)
    if extent > SMALL_CONTENT * room or side < LEAST_CONTENT:
        return None
    down, across = (int(low + high) for low, high in ends)
    return down, across, side


def crop_around(pixels: NDArray[Any], square: tuple[int, int, int], side: int) -> NDArray[Any]:
    """Crop a square around the center of the content, shifted to stay inside the image.

    `pixels`: shape (channels, height, width). Returns shape (channels, side, side), smaller if the image is smaller.
    """
    top, left = (
        int(np.clip((middle - side) // 2, 0, max(length - side, 0)))
        for middle, length in zip(square, pixels.shape[1:], strict=False)
    )
    return pixels[:, top : top + side, left : left + side]


def has_content(packed: bytes) -> bool:
    """Test if a fingerprint has thumbnails of small content."""
    return len(packed) > HEADER.itemsize + int(np.frombuffer(packed, HEADER, 1)["channels"][0]) * CHANNEL.itemsize


def _squares(pixels: NDArray[Any], top: float) -> NDArray[np.void]:
    """Averaged and stretched channels; contrast is relative to the largest value `top`."""
    small = np.stack([_average_cells(plane) for plane in pixels])
    low, high = small.min(axis=(1, 2), keepdims=True), small.max(axis=(1, 2), keepdims=True)
    spread = np.where(high > low, high - low, 1)
    parts = np.empty(len(pixels), CHANNEL)
    parts["pixels"] = np.rint((small - low) * (255 / spread))
    parts["contrast"] = small.std(axis=(1, 2)) / top
    return parts


def unpack_fingerprints(packed: Sequence[bytes], content: bool = False) -> Fingerprints:
    """Unpack fingerprints of images with one number of channels.

    `packed`: from `fingerprint`, at least one; `content`: unpack the thumbnails of the content instead of the whole
    images; all must have them. Raises ValueError if they have different numbers of channels, are of another version, or
    one has no small content.
    """
    heads = np.frombuffer(b"".join(entry[: HEADER.itemsize] for entry in packed), HEADER)
    if (heads["version"] != VERSION).any():
        raise ValueError("fingerprints of another version; measure the images again")
    numbers = set(heads["channels"].tolist())
    if len(numbers) != 1:
        raise ValueError(f"fingerprints of {len(numbers)} numbers of channels cannot be unpacked together")
    channels = numbers.pop()
    record = np.dtype([("head", HEADER), ("parts", CHANNEL, (channels,))])
    begin = record.itemsize if content else HEADER.itemsize
    squares = [entry[begin : begin + channels * CHANNEL.itemsize] for entry in packed]
    if content and not all(squares):
        raise ValueError("a fingerprint has no squares of small content")
    table = np.frombuffer(
        b"".join(entry[: HEADER.itemsize] + part for entry, part in zip(packed, squares, strict=True)), record
    )
    return Fingerprints(table["parts"]["pixels"], table["parts"]["contrast"], table["head"]["aspect"])


def _average_cells(plane: NDArray[Any]) -> NDArray[np.float32]:
    picture = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
    if plane.dtype == np.uint8 and min(plane.shape) >= 4 * FINGERPRINT_SIDE:
        picture = picture.reduce(min(plane.shape) // (2 * FINGERPRINT_SIDE))  # reducing bytes is fast
    if picture.mode != "F":
        picture = Image.fromarray(np.asarray(picture, np.float32))
    side = (FINGERPRINT_SIDE, FINGERPRINT_SIDE)
    return np.asarray(picture.resize(side, Image.Resampling.BILINEAR), np.float32)
