"""The one image reader: files in, an array (C, H, W) at the files' own depth out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from holotype.errors import DataError

__all__ = ["MOST_PIXELS", "read_image"]

MOST_PIXELS = 200_000_000  # a picture beyond this is a mistake or an attack, and would not fit in memory beside others
KEPT_MODES = {"L", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"}
COLOURS_REFUSED = {"PALETTE", "SEPARATED", "CIELAB", "ICCLAB", "ITULAB"}  # TIFF's names; SEPARATED is CMYK
Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and an error rather than a warning


def read_image(files: Sequence[Path]) -> NDArray[Any]:
    """Read one image from one file, or from one file a channel.

    Args:
        files: One file with all channels, or one single-channel file for each, in order.

    Returns:
        Shape (channels, height, width), uint8, uint16 or float32.

    Raises:
        DataError: A file is missing or broken, or the channels differ in size or depth.
    """
    if len(files) == 1:
        return _read_file(files[0])
    planes = []
    for file in files:
        plane = _read_file(file)
        if len(plane) != 1:
            raise DataError(f"{file} holds {len(plane)} channels where one file a channel was announced",
                            remedy="save it in grey, or leave {channel} out of `data.images`")  # fmt: skip
        planes.append(plane[0])
    shapes = {(plane.shape, plane.dtype.name) for plane in planes}
    if len(shapes) > 1:
        sizes = ", ".join(f"{file.name} {plane.shape[1]}x{plane.shape[0]} {plane.dtype}"
                          for file, plane in zip(files, planes, strict=True))  # fmt: skip
        raise DataError(f"the channels of one image differ in size or depth: {sizes}")
    return np.stack(planes)


def _read_file(file: Path) -> NDArray[Any]:
    try:
        pixels = _read_tiff(file) if file.suffix.lower() in {".tif", ".tiff"} else _read_picture(file)
    except FileNotFoundError:
        raise DataError(f"{file} does not exist") from None
    except DataError:
        raise
    except (UnidentifiedImageError, tifffile.TiffFileError):
        raise DataError(f"{file} is not an image of a known form") from None
    except Exception as error:  # decoders raise whatever they like on broken files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file} cannot be decoded: {reason}") from error
    return _at_a_kept_depth(pixels, file)


def _read_picture(file: Path) -> NDArray[Any]:
    with Image.open(file) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise DataError(f"{file} has {picture.width}x{picture.height} pixels, more than {MOST_PIXELS:,}")
        frames = getattr(picture, "n_frames", 1)
        if frames > 1:
            raise DataError(f"{file} is an animation of {frames} frames", remedy="save one frame")
        if picture.mode == "1":
            return np.asarray(picture.convert("L"))[None]  # one bit is black and white
        if picture.mode not in KEPT_MODES:
            raise DataError(f"{file} has the colour mode {picture.mode}", remedy="save it in grey or RGB")
        pixels = _deep_colours(file) if _has_deep_colours(file) else np.asarray(picture)
    if pixels.dtype == np.int32:
        if pixels.size and (pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max):
            raise DataError(f"{file} holds 32-bit whole numbers beyond 16 bits", remedy="save it as a float TIFF")
        pixels = pixels.astype(np.uint16)  # how Pillow opens some 16-bit PNGs
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _has_deep_colours(file: Path) -> bool:
    """Whether a file is a PNG with 16 bits a channel and more than grey, of which Pillow keeps the upper 8 bits."""
    with file.open("rb") as stream:
        head = stream.read(26)
    return head.startswith(b"\x89PNG") and head[24] == 16 and head[25] != 0


def _deep_colours(file: Path) -> NDArray[Any]:
    pixels = imagecodecs.png_decode(file.read_bytes())
    if pixels.ndim == 3 and pixels.shape[-1] == 2:
        raise DataError(f"{file} has the colour mode LA", remedy="save it in grey or RGB")
    return pixels


def _read_tiff(file: Path) -> NDArray[Any]:
    with tifffile.TiffFile(file) as tiff:
        every = [series for series in tiff.series if not series.keyframe.is_reduced]  # thumbnails are passed over
        if not every:
            raise DataError(f"{file} holds no picture", remedy="it may have been cut off; copy it anew")
        axes, shape = every[0].axes, every[0].shape
        if sum(int(np.prod(series.shape)) for series in every) > MOST_PIXELS:
            raise DataError(f"{file} has {' x '.join(map(str, shape))} values, more than {MOST_PIXELS:,}")
        colours = getattr(every[0].keyframe.photometric, "name", "")
        if colours in COLOURS_REFUSED:
            raise DataError(f"{file} has the colour mode {colours}", remedy="save it in grey or RGB")
        if len(every) > 1:
            return _stacked(file, every)
        pixels = every[0].asarray()
    if pixels.ndim == 2:
        return pixels[None]
    if pixels.ndim == 3 and axes[-1] == "S":
        return np.moveaxis(pixels, -1, 0)
    if pixels.ndim == 3:
        return pixels  # pages are channels
    raise DataError(f"{file} has the axes {axes} of shape {shape}", remedy="save it as (channels, height, width)")


def _stacked(file: Path, every: list[Any]) -> NDArray[Any]:
    """Pages that were written one by one; they are channels if they are alike."""
    if len({(series.shape, series.dtype) for series in every}) > 1 or len(every[0].shape) != 2:
        shapes = ", ".join(" x ".join(map(str, series.shape)) for series in every[:5])
        raise DataError(f"{file} holds {len(every)} pictures of shapes {shapes}", remedy="save one picture a file")
    return np.stack([series.asarray() for series in every])


def _at_a_kept_depth(pixels: NDArray[Any], file: Path) -> NDArray[Any]:
    if pixels.size == 0:
        raise DataError(f"{file} has no pixels")
    if pixels.dtype == np.bool_:
        return np.ascontiguousarray(pixels.astype(np.uint8) * 255)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            pixels = np.ascontiguousarray(pixels, dtype=np.float32)
        if not np.isfinite(pixels).all():
            raise DataError(f"{file} holds values that are not finite", remedy="replace NaN and infinity")
        return pixels
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    raise DataError(f"{file} holds {pixels.dtype} values", remedy="save it with 8 or 16 bits, or as 32-bit float")
