"""Image reader: files to an array (channels, height, width) at their own depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.data.array_formats import MICROSCOPE_SUFFIXES, NUMPY_SUFFIXES, read_array, read_bioformats
from holotype.data.formats import HEAD, OTHER_FORMATS, PILLOW_FORMATS, file_format
from holotype.data.interpretation import keep_depth
from holotype.data.limits import MAX_PIXELS, ReadOptions, read_options
from holotype.data.pictures import read_picture
from holotype.data.tiff import read_tiff
from holotype.data.uris import Address, basename, missing_file_message, open_file, strip_file_scheme, suffix
from holotype.data.zarr_images import is_zarr, read_zarr
from holotype.types import ImageTable

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk", ".qptiff")
PHOTO_SUFFIXES = (
    ".png .apng .jpg .jpeg .jpe .jfif .mpo .bmp .dib .gif .webp .avif .jp2 .j2k .j2c .jpc .jpx .jxl .jxr .wdp "
    ".ppm .pgm .pbm .pnm"
)
IMAGE_SUFFIXES = (*PHOTO_SUFFIXES.split(), *TIFF_SUFFIXES, ".npy", ".zarr", *MICROSCOPE_SUFFIXES)
"""File suffixes of readable images. The content determines the format, the suffix only whether a file is an image."""
OPAQUE_CHANNELS = 4


def read_image(
    files: Sequence[Address],
    max_pixels: int = MAX_PIXELS,
    channels: Sequence[str] | None = None,
    projection: str | None = None,
) -> NDArray[Any]:
    """Read one image from one file, or from one file for each channel.

    Orientation (EXIF, TIFF), white-is-zero, palettes, and the axes of ImageJ and OME are respected. The format is
    detected from the content, not from the suffix. Only the given files are opened, and only regular files and `.zarr`
    folders. Sizes are checked before decoding: an image takes at most 400 MB decoded (4 bytes a pixel if `max_pixels`
    is smaller), and reading it at most four times that.

    If one file holds channels named red, green and blue, a gray image becomes three equal channels, and a fourth
    channel that is opaque everywhere is dropped.

    Nothing is kept between calls except the last `.npz` read by rows, and arguments and result can be pickled, so it
    may run in a separate process with limits on time and memory.

    Args:
        files: One file with all channels, or one single-channel file for each, in order; paths, or addresses for
            fsspec; an entry of an array of images is written `images.npy#12`.
        max_pixels: Height x width beyond which a file is refused before it is decoded.
        projection: Projection of planes (Z) or times (T): `max`, `mean`, `sum`, `first` or `middle`; without it a file
            with several is refused.

    Returns:
        Shape (channels, height, width), uint8, uint16 or float32; NaN and infinity are pixels without data.

    Raises:
        DataError: A file is missing or broken, or the channels differ in size or depth.
    """
    return _read_files(files, read_options(max_pixels, channels, projection))


def _read_files(files: Sequence[Address], options: ReadOptions) -> NDArray[Any]:
    if len(files) == 1:
        pixels = _read_file(files[0], options)
        return _drop_opaque_alpha(pixels, files[0]) if options.rgb else pixels
    planes = []
    for file in files:
        plane = _read_file(file, options.for_single_channel())
        if len(plane) != 1:
            raise DataError(
                f"{file} holds {len(plane)} channels, but data.images names a file for each channel",
                remedy="save it in gray, or leave {channel} out of `data.images`",
            )
        planes.append(plane[0])
    shapes = {(plane.shape, plane.dtype.name) for plane in planes}
    if len(shapes) > 1:
        sizes = ", ".join(
            f"{basename(file)} {plane.shape[1]}x{plane.shape[0]} {plane.dtype}"
            for file, plane in zip(files, planes, strict=True)
        )
        raise DataError(f"the channels of one image differ in size or depth: {sizes}")
    return np.stack(planes)


def read_row(images: ImageTable, row: int) -> NDArray[Any]:
    """Read one image of a table, with its channel names and projection. Raises DataError as `read_image`."""
    return read_image(images.files_of_row(row), channels=images.channels, projection=images.projection)


def read_row_and_count_channels(images: ImageTable, row: int) -> tuple[NDArray[Any], int]:
    """Read one image of a table, and count its channels in files that the table does not name (OME-TIFF)."""
    files, elsewhere = images.files_of_row(row), [0]
    options = read_options(MAX_PIXELS, images.channels, images.projection)
    pixels = _read_files(files, replace(options, on_channels_elsewhere=elsewhere.append))
    return pixels, max(max(elsewhere) - (len(files) - 1), 0)


def _drop_opaque_alpha(pixels: NDArray[Any], file: Address) -> NDArray[Any]:
    if len(pixels) == 1:
        return np.repeat(pixels, 3, axis=0)
    if len(pixels) not in {2, OPAQUE_CHANNELS}:
        return pixels
    opaque = 1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    if (pixels[-1] != opaque).any():
        raise DataError(
            f"{file} has pixels that are not opaque", remedy="lay it on a background, or name four channels"
        )
    return _drop_opaque_alpha(pixels[:-1], file) if len(pixels) == 2 else np.ascontiguousarray(pixels[:-1])


def _read_file(file: Address, options: ReadOptions) -> NDArray[Any]:
    try:
        return keep_depth(_decode(strip_file_scheme(file), options), str(file))
    except FileNotFoundError:
        raise DataError(missing_file_message(file)) from None
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{file} does not fit in memory", remedy="save a part of it, or a smaller copy") from error
    except Exception as error:  # decoders raise many kinds of errors on broken files
        reason = str(error).splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{file} cannot be decoded: {reason}", remedy="it may have been cut off or damaged; copy or save it anew"
        ) from error


def _decode(file: Address, options: ReadOptions) -> NDArray[Any]:
    last = suffix(file)
    if last in NUMPY_SUFFIXES and "#" in str(file):
        return read_array(file, options)
    if last == ".zarr":
        return read_zarr(file, options)
    try:
        stream = open_file(file)
    except DataError:
        if is_zarr(file):
            return read_zarr(file, options)
        raise
    with stream:
        head = stream.read(HEAD)
        stream.seek(0)
        kind = file_format(head)
        if last in MICROSCOPE_SUFFIXES and kind not in PILLOW_FORMATS:
            return read_bioformats(file, options)
        if kind == "tiff":
            return read_tiff(stream, str(file), basename(file), options)
        if kind in PILLOW_FORMATS or kind in {"jxl", "jxr"}:
            return read_picture(stream, kind, str(file), options)
        if kind == "npy" or (kind == "zip" and last in NUMPY_SUFFIXES):
            return read_array(file, options)
    raise _unknown_format_error(file, kind, head)


def _unknown_format_error(file: Address, kind: str, head: bytes) -> DataError:
    if not head:
        return DataError(f"{file} is not an image of a known format: it is empty", remedy="copy it anew")
    what = OTHER_FORMATS.get(kind)
    if kind == "dicom":
        return DataError(f"{file} is a DICOM file, which is not read", remedy="convert it to TIFF, one plane a file")
    reason = f": it is {what}" if what else ""
    return DataError(f"{file} is not an image of a known format{reason}", remedy="save it as PNG or TIFF")
