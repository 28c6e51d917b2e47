"""Size, channels and depth of images from their headers, where their form has one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import polars as pl
import tifffile
from PIL import Image

from holotype.data.arrays import VENDOR
from holotype.data.images import read_image
from holotype.errors import DataError

__all__ = ["HEADER_SCHEMA", "read_header", "read_headers", "spread"]

HEADER_SCHEMA = {"file": pl.String, "height": pl.Int64, "width": pl.Int64, "channels": pl.Int64, "bits": pl.Int64}
DECODED = (".npy", ".npz", ".zarr", *VENDOR)
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 4}
PILLOW_CHANNELS = {"P": 3, "PA": 3, "LA": 1}
"""Channels where the reader gives others than bands: palettes are colors, opaque grey is grey."""
PILLOW_BITS = {"I;16": 16, "I;16B": 16, "I": 32, "F": 32}


def spread(count: int, at_most: int) -> list[int]:
    """Positions spread evenly over a list.

    Args:
        count: The list's length.
        at_most: How many are taken.
    """
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(count, at_most)).round())] if count else []


def read_headers(folder: Path, files: list[str]) -> pl.DataFrame:
    """Headers of some images; files that cannot be read are left out.

    Args:
        folder: What the names are relative to.
        files: Names of image files.

    Returns:
        Columns `file`, `height`, `width`, `channels`, `bits` (of one channel).
    """
    rows = []
    for name in files:
        try:
            rows.append((name, *read_header(folder / name)))
        except (OSError, ValueError, struct.error, tifffile.TiffFileError, IndexError, KeyError, DataError):
            continue  # the audit names what cannot be read; a plan needs a sample only
    return pl.DataFrame(rows, schema=HEADER_SCHEMA, orient="row")


def read_header(path: Path) -> tuple[int, int, int, int]:
    """Height, width, channels and bits a channel of one image.

    Args:
        path: An image; of arrays and of microscopes' own forms the pixels are read.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no image of these kinds.
        DataError: It is of a form that something which is not installed would read.
    """
    ending = path.suffix.lower()
    if not path.is_file() and ending != ".zarr":
        raise OSError(f"{path} is no regular file")  # a pipe would never answer
    if ending in {".tif", ".tiff", ".lsm"}:
        return _tiff(path)
    if ending in DECODED:
        pixels = read_image([path])
        return pixels.shape[1], pixels.shape[2], pixels.shape[0], pixels.dtype.itemsize * 8
    if ending == ".png":
        return _png(path)
    with Image.open(path) as image:
        return (
            image.height,
            image.width,
            PILLOW_CHANNELS.get(image.mode, len(image.getbands())),
            PILLOW_BITS.get(image.mode, 8),
        )


def _png(path: Path) -> tuple[int, int, int, int]:
    """The first chunk of a PNG: Pillow opens 16-bit colour as 8-bit, so it is read here."""
    with path.open("rb") as stream:
        head = stream.read(26)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path} is no PNG")
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    return height, width, PNG_CHANNELS[colour], max(8, bits)


def _tiff(path: Path) -> tuple[int, int, int, int]:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        shape, axes, bits = tuple(int(side) for side in series.shape), series.axes, series.dtype.itemsize * 8
    if len(shape) == 2:
        return shape[0], shape[1], 1, bits
    if len(shape) != 3:
        raise ValueError(f"{path} has the axes {axes}")
    return (*shape[:2], shape[2], bits) if axes[-1] == "S" else (*shape[1:], shape[0], bits)
