"""TIFF in all the ways in which microscopes and programs write channels: pages, planes, OME axes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from holotype.data.arrays import MOST_PIXELS, named_axes
from holotype.errors import DataError

__all__ = ["read_tiff"]

COLOURS_REFUSED = {"PALETTE", "SEPARATED", "CIELAB", "ICCLAB", "ITULAB"}  # TIFF's names; SEPARATED is CMYK


def read_tiff(source: Path | io.BytesIO, file: str, most: int = MOST_PIXELS) -> NDArray[Any]:
    """The picture of a TIFF; pages that have no name for what they are count as channels.

    Args:
        source: A path, or the file's bytes.
        file: Its name, for messages.
        most: Values beyond which it is refused before it is decoded.

    Returns:
        Shape (channels, height, width).

    Raises:
        DataError: There is no picture, or several; planes or times; a palette, CMYK or Lab.
    """
    with tifffile.TiffFile(source) as tiff:
        every = [series for series in tiff.series if not series.keyframe.is_reduced]  # thumbnails are passed over
        if not every:
            raise DataError(f"{file} holds no picture", remedy="it may have been cut off; copy it anew")
        axes, shape = every[0].axes, every[0].shape
        if sum(int(np.prod(series.shape)) for series in every) > most:
            raise DataError(f"{file} has {' x '.join(map(str, shape))} values, more than {most:,}")
        colours = getattr(every[0].keyframe.photometric, "name", "")
        if colours in COLOURS_REFUSED:
            raise DataError(f"{file} has the colour mode {colours}", remedy="save it in grey or RGB")
        if len(every) > 1:
            return _stacked(file, every)
        pixels = every[0].asarray()
    return named_axes(pixels, axes, file)


def _stacked(file: str, every: list[Any]) -> NDArray[Any]:
    """Pages that were written one by one; they are channels if they are alike."""
    if len({(series.shape, series.dtype) for series in every}) > 1 or len(every[0].shape) != 2:
        shapes = ", ".join(" x ".join(map(str, series.shape)) for series in every[:5])
        raise DataError(f"{file} holds {len(every)} pictures of shapes {shapes}", remedy="save one picture a file")
    return np.stack([series.asarray() for series in every])
