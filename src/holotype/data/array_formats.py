"""NumPy arrays and vendor microscopy formats."""

from __future__ import annotations

import os
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.data.axes import arrange_named, plan_axes
from holotype.data.limits import MAX_CHANNELS, ReadOptions, require_size
from holotype.data.uris import Address, is_remote, missing_file_message, open_file, strip_row_index

NUMPY_SUFFIXES = (".npy", ".npz")
MICROSCOPE_SUFFIXES = (".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".dv")
NUMERIC_KINDS = "biuf"
MAX_UNPACKED_BYTES = 2_000_000_000  # largest unpacked size of a compressed array
INSTALL_BIO_EXTRA = 'pip install "holotype[bio]"'


def read_array(address: Address, options: ReadOptions) -> NDArray[Any]:
    """Read one image of a NumPy file: the whole file, or the row after `#`, shape (channels, height, width).

    `address`: such as `images.npy#12` or `a.npy`; an `.npz` must hold a single array.
    """
    file, row = strip_row_index(address)
    shape, dtype = _read_shape_and_dtype(file)
    if row is not None:
        if not shape or row >= shape[0]:
            raise DataError(f"{file} has {shape[0] if shape else 0:,} rows and no row {row}")
        shape = shape[1:]
    last = plan_array(shape, dtype, str(address), options)
    array = _open_array(file, dtype, row is not None)
    image = np.array(array if row is None else array[row])
    return np.moveaxis(image, -1, 0) if last else image.reshape(-1, *shape[-2:])


def plan_array(shape: tuple[int, ...], dtype: np.dtype[Any], name: str, options: ReadOptions) -> bool:
    """Check the header of an array without axis names; True if its channels come last.

    `shape`: (height, width), (channels, height, width) or (height, width, channels); the channel axis is the short one.
    """
    if dtype.kind not in NUMERIC_KINDS:
        raise DataError(f"{name} holds {dtype} values", remedy="save it with 8 or 16 bits, or as 32-bit float")
    if len(shape) not in {2, 3}:
        raise DataError(f"{name} has the shape {shape}", remedy="save an image as (channels, height, width)")
    first, last = (shape[0], shape[2]) if len(shape) == 3 else (1, shape[1])
    max_channels = max(MAX_CHANNELS, len(options.channels))
    if len(shape) == 3 and (min(first, last) > max_channels or first == last):
        raise DataError(
            f"{name} has the shape {shape}, whose channel axis is ambiguous",
            remedy="save an image as (channels, height, width)",
        )
    channels_last = len(shape) == 3 and last < first
    sides = (shape[0], shape[1]) if channels_last else (shape[-2], shape[-1])
    require_size(name, sides, last if channels_last else first, dtype, options)
    return channels_last


def count_rows(file: Address) -> int:
    """Number of images in an array of images. Raises DataError if it cannot be read."""
    try:
        shape, _ = _read_shape_and_dtype(file)
    except FileNotFoundError:
        raise DataError(missing_file_message(file), field="data.images") from None
    except (ValueError, OSError, TypeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} is not an array of images: {error}", field="data.images") from error
    if not shape:
        raise DataError(f"{file} is not an array of images: it holds one number", field="data.images")
    return shape[0]


def read_bioformats(file: Address, options: ReadOptions) -> NDArray[Any]:
    """Read an image in a vendor's microscopy format with bioio. Returns shape (channels, height, width)."""
    try:
        from bioio import BioImage
    except ImportError as error:
        raise DataError(
            f"{file} is in a vendor's microscopy format, which needs the extra `bio`",
            remedy=f"{INSTALL_BIO_EXTRA}, and bioio's reader of this format",
        ) from error
    image = BioImage(str(file))
    if len(image.scenes) > 1:
        raise DataError(f"{file} holds {len(image.scenes)} scenes", remedy="save one scene a file")
    axes = str(image.dims.order)
    plan_axes(axes, image.shape, str(file), image.dtype, options)
    return arrange_named(np.asarray(image.data), axes, str(file), options)


def _read_shape_and_dtype(file: Address) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with open_file(file) as stream:
        if not _is_zip(stream):
            shape, _, dtype = _read_header(stream)
            return shape, dtype
        with zipfile.ZipFile(stream) as archive, archive.open(_only_entry(archive, file)) as entry:
            shape, _, dtype = _read_header(entry)  # type: ignore[arg-type]
            return shape, dtype


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = reader(stream)
    return tuple(int(side) for side in shape), bool(fortran), dtype


def _is_zip(stream: BinaryIO) -> bool:
    start = stream.read(2)
    stream.seek(0)
    return start == b"PK"


def _only_entry(archive: zipfile.ZipFile, file: Address) -> str:
    names = archive.namelist()
    if len(names) != 1:
        raise DataError(f"{file} holds {len(names)} arrays", remedy="save one, or one `.npy` each")
    return names[0]


def _open_array(file: Address, dtype: np.dtype[Any], rows: bool) -> NDArray[Any]:
    """Array of a file; a local `.npy` is memory-mapped, so that only the requested row is read."""
    with open_file(file) as stream:
        if _is_zip(stream):
            version = _file_version(stream) if rows and not is_remote(file) else None
            if version is None:
                return _unpack(stream, file)
            return _unpack_cached(str(file), version)
        if is_remote(file):
            return np.asarray(np.load(stream, allow_pickle=False))
        shape, fortran, _ = _read_header(stream)
        order = "F" if fortran else "C"
        return np.memmap(stream, dtype, "r", stream.tell(), shape, order)  # type: ignore[call-overload,no-any-return]


def _file_version(stream: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(stream.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=2)  # otherwise reading any row would unpack the whole file
def _unpack_cached(file: str, version: tuple[int, ...]) -> NDArray[Any]:
    with open_file(Path(file)) as stream:
        return _unpack(stream, file)


def _unpack(stream: BinaryIO, file: Address) -> NDArray[Any]:
    with zipfile.ZipFile(stream) as archive:
        name = _only_entry(archive, file)
        size = archive.getinfo(name).file_size
        if size > MAX_UNPACKED_BYTES:
            raise DataError(
                f"{file} is {size / 1e9:,.1f} GB unpacked, more than {MAX_UNPACKED_BYTES / 1e9:,.0f} GB",
                remedy="save it as `.npy`, whose rows are read one by one",
            )
        with archive.open(name) as entry:
            return np.asarray(npy.read_array(entry, allow_pickle=False))  # type: ignore[arg-type]
