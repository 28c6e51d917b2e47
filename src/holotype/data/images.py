"""The one image reader: files in, an array (C, H, W) at the files' own depth out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from holotype.data.addresses import Address, ending, name_of, opened
from holotype.data.arrays import ARRAYS, MOST_PIXELS, VENDOR, read_array, read_vendor, read_zarr
from holotype.data.tiff import read_tiff
from holotype.errors import DataError
from holotype.types import ImageTable

__all__ = ["ENDINGS", "UNREAD_ENDINGS", "read_image", "read_row"]

TIFFS = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk", ".svs", ".ndpi", ".scn", ".qptiff")
PHOTOGRAPHS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".gif", ".webp", ".avif",
    ".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jxl", ".jxr", ".wdp", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
ENDINGS = (*PHOTOGRAPHS, *TIFFS, ".npy", ".zarr", *VENDOR)
"""File endings of images that are read. The content decides how; the ending only whether a file is an image at all."""
UNREAD_ENDINGS = (
    ".heic", ".heif", ".dcm", ".dicom", ".nii", ".mrxs", ".ims", ".h5", ".hdf5", ".ics", ".ids", ".mrc", ".exr", ".psd",
    ".svg", ".eps", ".pdf", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".dng",
)  # fmt: skip
"""File endings of images that are known and not read; they are counted and named, never passed over in silence."""
COLOURS = ("red", "green", "blue")
SPELT_OUT = {"P", "PA", "LA", "La"}  # palettes and grey with transparency, which become colours where those are named
KEPT_MODES = {"L", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"}
Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and an error rather than a warning


def read_image(
    files: Sequence[Address], most: int = MOST_PIXELS, channels: Sequence[str] | None = None
) -> NDArray[Any]:
    """Read one image from one file, or from one file a channel.

    Where one file holds channels that are called red, green and blue, grey becomes three equal channels, palettes are
    spelt out, and a fourth channel that is opaque everywhere is left out: photographs come so mixed.

    Args:
        files: One file with all channels, or one single-channel file for each, in order; paths, or addresses for
            fsspec; an entry of an array of images is written `images.npy#12`.
        most: Pixels of a file beyond which it is refused before it is decoded.
        channels: What they are called, if they are.

    Returns:
        Shape (channels, height, width), uint8, uint16 or float32; NaN and infinity stand for pixels without data.

    Raises:
        DataError: A file is missing or broken, or the channels differ in size or depth.
    """
    if len(files) == 1:
        coloured = tuple(name.lower() for name in channels or ()) == COLOURS
        pixels = _read_file(files[0], most, coloured)
        return _in_colours(pixels, files[0]) if coloured else pixels
    planes = []
    for file in files:
        plane = _read_file(file, most)
        if len(plane) != 1:
            raise DataError(f"{file} holds {len(plane)} channels where one file a channel was announced",
                            remedy="save it in grey, or leave {channel} out of `data.images`")  # fmt: skip
        planes.append(plane[0])
    shapes = {(plane.shape, plane.dtype.name) for plane in planes}
    if len(shapes) > 1:
        sizes = ", ".join(f"{name_of(file)} {plane.shape[1]}x{plane.shape[0]} {plane.dtype}"
                          for file, plane in zip(files, planes, strict=True))  # fmt: skip
        raise DataError(f"the channels of one image differ in size or depth: {sizes}")
    return np.stack(planes)


def read_row(images: ImageTable, row: int) -> NDArray[Any]:
    """Read one image of a table, its channels called as the table says.

    Args:
        images: The table.
        row: The image's row.

    Returns:
        As `read_image`.

    Raises:
        DataError: As `read_image`.
    """
    return read_image(images.files_of_row(row), channels=images.channels)


def _in_colours(pixels: NDArray[Any], file: Address) -> NDArray[Any]:
    if len(pixels) == 1:
        return np.repeat(pixels, len(COLOURS), axis=0)
    if len(pixels) != len(COLOURS) + 1:
        return pixels
    opaque = 1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    if (pixels[-1] != opaque).any():
        raise DataError(f"{file} has pixels that are not opaque",
                        remedy="lay it on a background, or name four channels")  # fmt: skip
    return np.ascontiguousarray(pixels[:-1])


def _read_file(file: Address, most: int, coloured: bool = False) -> NDArray[Any]:
    try:
        pixels = _decoded(file, most, coloured)
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


def _decoded(file: Address, most: int, coloured: bool) -> NDArray[Any]:
    kind = ending(file)
    if kind in ARRAYS:
        return read_array(file, most)
    if kind == ".zarr":
        return read_zarr(file)
    if kind in VENDOR:
        return read_vendor(file)
    source = opened(file)
    return read_tiff(source, str(file), most) if kind in TIFFS else _read_picture(source, str(file), most, coloured)


def _read_picture(source: Path | io.BytesIO, file: str, most: int, coloured: bool) -> NDArray[Any]:
    with Image.open(source) as picture:
        if picture.width * picture.height > most:
            raise DataError(f"{file} has {picture.width}x{picture.height} pixels, more than {most:,}")
        frames = getattr(picture, "n_frames", 1)
        if frames > 1:
            raise DataError(f"{file} is an animation of {frames} frames", remedy="save one frame")
        if picture.mode == "1":
            return np.asarray(picture.convert("L"))[None]  # one bit is black and white
        if coloured and picture.mode in SPELT_OUT:
            return np.moveaxis(np.asarray(picture.convert("RGBA")), -1, 0)
        if picture.mode not in KEPT_MODES:
            way = ", or write data.channels: [red, green, blue]" if picture.mode in SPELT_OUT else ""
            raise DataError(f"{file} has the colour mode {picture.mode}", remedy=f"save it in grey or RGB{way}")
        deep = _as_deep_colours(source, file)
        pixels = np.asarray(picture) if deep is None else deep
    if pixels.dtype == np.int32:
        if pixels.size and (pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max):
            raise DataError(f"{file} holds 32-bit whole numbers beyond 16 bits", remedy="save it as a float TIFF")
        pixels = pixels.astype(np.uint16)  # how Pillow opens some 16-bit PNGs
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _as_deep_colours(source: Path | io.BytesIO, file: str) -> NDArray[Any] | None:
    """The pixels of a PNG with 16 bits a channel and more than grey, of which Pillow keeps the upper 8 bits."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            head = stream.read(26)
    else:
        head = source.getvalue()[:26]
    if not head.startswith(b"\x89PNG") or head[24] != 16 or head[25] == 0:
        return None
    pixels = imagecodecs.png_decode(source.read_bytes() if isinstance(source, Path) else source.getvalue())
    if pixels.ndim == 3 and pixels.shape[-1] == 2:
        raise DataError(f"{file} has the colour mode LA", remedy="save it in grey or RGB")
    return pixels


def _at_a_kept_depth(pixels: NDArray[Any], file: Address) -> NDArray[Any]:
    if pixels.size == 0:
        raise DataError(f"{file} has no pixels")
    if pixels.dtype == np.bool_:
        return np.ascontiguousarray(pixels.astype(np.uint8) * 255)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            pixels = np.ascontiguousarray(pixels, dtype=np.float32)
        if not np.isfinite(pixels).any():  # some are pixels without data, which statistics and networks pass over
            raise DataError(f"{file} holds no finite value", remedy="replace NaN and infinity")
        return pixels
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    raise DataError(f"{file} holds {pixels.dtype} values", remedy="save it with 8 or 16 bits, or as 32-bit float")
