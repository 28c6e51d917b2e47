"""Size, channels and depth of images from their headers, where their form has one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from holotype.core.errors import DataError
from holotype.data.array_formats import MICROSCOPE_SUFFIXES
from holotype.data.formats import HEAD, PILLOW_FORMATS, file_format
from holotype.data.images import read_image
from holotype.data.limits import ReadOptions
from holotype.data.tiff import SIDEWAYS, tiff_size
from holotype.data.uris import open_file

__all__ = ["HEADER_SCHEMA", "read_header", "read_headers", "spread_positions"]

HEADER_SCHEMA = {"file": pl.String, "height": pl.Int64, "width": pl.Int64, "channels": pl.Int64, "bits": pl.Int64}
DECODED = (".npy", ".npz", ".zarr", *MICROSCOPE_SUFFIXES)
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 4}
PILLOW_CHANNELS = {"P": 3, "PA": 3, "LA": 1}
"""Channels where the reader gives others than bands: palettes are colors, opaque grey is grey."""
ORIENTATION = 274  # of EXIF
PILLOW_BITS = {"I;16": 16, "I;16B": 16, "I": 32, "F": 32}


def spread_positions(count: int, max_count: int) -> list[int]:
    """Positions spread evenly over a list.

    Args:
        count: The list's length.
        max_count: How many are taken.
    """
    return (
        [int(position) for position in np.unique(np.linspace(0, count - 1, min(count, max_count)).round())]
        if count
        else []
    )


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
        except (OSError, ValueError, struct.error, IndexError, KeyError, DataError):
            continue  # the audit names what cannot be read; a plan needs a sample only
    return pl.DataFrame(rows, schema=HEADER_SCHEMA, orient="row")


def read_header(path: Path) -> tuple[int, int, int, int]:
    """Height, width, channels and bits a channel of one image.

    Args:
        path: An image; of arrays and of microscopes' own forms the pixels are read. The content decides about its form.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no image of these kinds.
        DataError: It is of a form that something which is not installed would read.
    """
    ending = path.suffix.lower()
    if ending in DECODED:
        return _decode_header(path)
    with open_file(path) as stream:
        kind = file_format(stream.read(HEAD))
        stream.seek(0)
        if kind == "tiff":
            channels, height, width, depth = tiff_size(stream, str(path), path.name, ReadOptions())
            return height, width, channels, 8 * (depth.itemsize if depth in (np.uint8, np.uint16, bool) else 4)
        if kind == "png":
            return _read_png_header(stream.read(26))
        if kind not in PILLOW_FORMATS:
            return _decode_header(path)
        with Image.open(stream, formats=[PILLOW_FORMATS[kind]]) as image:
            channels = 3 if kind == "gif" else PILLOW_CHANNELS.get(image.mode, len(image.getbands()))
            sides = (image.height, image.width)
            if kind == "jpeg" and image.getexif().get(ORIENTATION, 1) in SIDEWAYS:
                sides = sides[::-1]
            return *sides, channels, PILLOW_BITS.get(image.mode, 8)


def _decode_header(path: Path) -> tuple[int, int, int, int]:
    pixels = read_image([path])
    return pixels.shape[1], pixels.shape[2], pixels.shape[0], pixels.dtype.itemsize * 8


def _read_png_header(head: bytes) -> tuple[int, int, int, int]:
    """The first chunk of a PNG: Pillow opens 16-bit color as 8-bit, so it is read here."""
    width, height, bits, color = struct.unpack(">IIBB", head[16:26])
    return height, width, PNG_CHANNELS[color], max(8, bits)
