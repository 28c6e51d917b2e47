"""Fingerprints: each channel of an image as a small square, by which images that look alike are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["FINGERPRINT_SIDE", "Fingerprints", "fingerprint", "unpack_fingerprints"]

FINGERPRINT_SIDE = 32
VERSION = 1
LARGEST = 1e30
HEADER = np.dtype([("version", "u1"), ("channels", "u2"), ("aspect", "<f4")])
CHANNEL = np.dtype([("contrast", "<f4"), ("pixels", "u1", (FINGERPRINT_SIDE, FINGERPRINT_SIDE))])


@dataclass(frozen=True)
class Fingerprints:
    """Some fingerprints side by side.

    Args:
        pixels: Shape (n, channels, 32, 32), uint8; every channel stretched over the whole range by itself.
        contrast: Shape (n, channels): the standard deviation of the channel's square over the largest value of its
            depth; 0 for a channel without structure.
        aspect: Height over width, shape (n,).
    """

    pixels: NDArray[np.uint8]
    contrast: NDArray[np.float32]
    aspect: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)


def fingerprint(pixels: NDArray[Any]) -> bytes:
    """An image as a few small squares, averaged over areas and stretched over the range of a byte.

    Args:
        pixels: Shape (channels, height, width), of any depth.

    Returns:
        A header of 7 bytes, then 1,028 bytes a channel.
    """
    channels, height, width = pixels.shape
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else float(np.abs(pixels).max() or 1.0)
    if top > LARGEST:  # sums of such values would overflow
        pixels, top = (pixels / np.float32(top)).astype(np.float32), 1.0
    small = np.stack([_averaged(plane) for plane in pixels])
    low, high = small.min(axis=(1, 2), keepdims=True), small.max(axis=(1, 2), keepdims=True)
    spread = np.where(high > low, high - low, 1)
    parts = np.empty(channels, CHANNEL)
    parts["pixels"] = np.rint((small - low) * (255 / spread))
    parts["contrast"] = small.std(axis=(1, 2)) / top
    return np.array((VERSION, channels, height / width), HEADER).tobytes() + parts.tobytes()


def unpack_fingerprints(packed: Sequence[bytes]) -> Fingerprints:
    """Fingerprints of images with one number of channels.

    Args:
        packed: From `fingerprint`, at least one.

    Raises:
        ValueError: They have different numbers of channels, or are of another version.
    """
    lengths = {len(one) for one in packed}
    if len(lengths) != 1:
        raise ValueError(f"fingerprints of {len(lengths)} lengths cannot stand side by side")
    channels = (lengths.pop() - HEADER.itemsize) // CHANNEL.itemsize
    record = np.dtype([("head", HEADER), ("parts", CHANNEL, (channels,))])
    table = np.frombuffer(b"".join(packed), record)
    if (table["head"]["version"] != VERSION).any():
        raise ValueError("fingerprints of another version; measure the images again")
    return Fingerprints(table["parts"]["pixels"], table["parts"]["contrast"], table["head"]["aspect"])


def _averaged(plane: NDArray[Any]) -> NDArray[np.float32]:
    """The mean of each cell of a grid laid over a channel; small images are enlarged."""
    picture = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
    if plane.dtype == np.uint8 and min(plane.shape) >= 4 * FINGERPRINT_SIDE:
        picture = picture.reduce(min(plane.shape) // (2 * FINGERPRINT_SIDE))  # bytes are cheap to halve
    if picture.mode != "F":
        picture = Image.fromarray(np.asarray(picture, np.float32))
    side = (FINGERPRINT_SIDE, FINGERPRINT_SIDE)
    return np.asarray(picture.resize(side, Image.Resampling.BILINEAR), np.float32)
