"""Image headers: size, channels and bit depth without decoding the pixels, if the format allows it."""

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

HEADER_SCHEMA = {"file": pl.String, "height": pl.Int64, "width": pl.Int64, "channels": pl.Int64, "bits": pl.Int64}
DECODED = (".npy", ".npz", ".zarr", *MICROSCOPE_SUFFIXES)
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 4}
PILLOW_CHANNELS = {"P": 3, "PA": 3, "LA": 1}
"""Channels of modes for which the reader does not return the bands: palettes are colors, opaque gray is gray."""
ORIENTATION = 274  # EXIF tag
PILLOW_BITS = {"I;16": 16, "I;16B": 16, "I": 32, "F": 32}


def spread_positions(count: int, max_count: int) -> list[int]:
    """Spread at most `max_count` indices evenly over a list of length `count`."""
    indices: list[int] = np.unique(np.linspace(0, count - 1, min(count, max_count)).round()).astype(int).tolist()
    return indices


def read_headers(folder: Path, files: list[str]) -> pl.DataFrame:
    """Read the headers of images; unreadable files are left out.

    Returns columns `file`, `height`, `width`, `channels`, `bits` (per channel).
    """
    rows = []
    for name in files:
        try:
            rows.append((name, *read_header(folder / name)))
        except (OSError, ValueError, struct.error, IndexError, KeyError, DataError):
            continue  # the audit reports unreadable files; a proposal only needs a sample
    return pl.DataFrame(rows, schema=HEADER_SCHEMA, orient="row")


def read_header(path: Path) -> tuple[int, int, int, int]:
    """Read height, width, channels and bits per channel of an image.

    Arrays and microscope formats are decoded. The content, not the extension, decides on the format. Raises OSError if
    the file cannot be read. Raises ValueError if the file is not a supported image. Raises DataError if a package that
    reads the format is not installed.
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
    """Read the first chunk of a PNG, because Pillow opens 16-bit color as 8-bit."""
    width, height, bits, color = struct.unpack(">IIBB", head[16:26])
    return height, width, PNG_CHANNELS[color], max(8, bits)
