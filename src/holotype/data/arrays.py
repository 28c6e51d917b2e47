"""Images in arrays: NumPy files of one image or of all, OME-Zarr, and what microscopes write."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.data.addresses import Address, is_remote, opened, without_row
from holotype.errors import DataError

__all__ = ["ARRAYS", "MOST_PIXELS", "VENDOR", "count_rows", "named_axes", "read_array", "read_vendor", "read_zarr"]

ARRAYS = (".npy", ".npz")
VENDOR = (".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".dv")
MOST_PIXELS = 200_000_000  # an image beyond this is a mistake or an attack, and would not fit in memory beside others
MOST_CHANNELS = 32  # an axis that is longer is a side of the image
NO_EXTRA = 'pip install "holotype[bio]"'


def read_array(address: Address, most: int = MOST_PIXELS) -> NDArray[Any]:
    """One image of a NumPy file: the whole file, or the row that follows `#`.

    Args:
        address: As in `images.npy#12` or `a.npy`; the only array of an `.npz`.
        most: Values beyond which an image is refused.

    Returns:
        Shape (channels, height, width).

    Raises:
        DataError: There is no such row, or the axes cannot be told apart.
        FileNotFoundError: There is no such file.
    """
    file, row = without_row(address)
    array = _open_array(file)
    if row is not None:
        if row >= len(array):
            raise DataError(f"{file} has {len(array):,} rows and no row {row}")
        array = array[row]
    return _channels_first(_of_bearable_size(array, str(address), most), str(address))


def count_rows(file: Address) -> int:
    """How many images an array of images holds.

    Args:
        file: A NumPy file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return len(_open_array(file))
    except FileNotFoundError:
        raise DataError(f"{file} does not exist", field="data.images") from None
    except (ValueError, OSError, TypeError) as error:
        raise DataError(f"{file} is no array of images: {error}", field="data.images") from error


def read_zarr(folder: Address) -> NDArray[Any]:
    """The full resolution of an OME-Zarr image (Moore et al. 2021), or a plain Zarr array.

    Args:
        folder: Ends in `.zarr`.

    Returns:
        Shape (channels, height, width).

    Raises:
        DataError: Zarr is not installed, or there is more than one plane or time.
        FileNotFoundError: There is no such folder.
    """
    try:
        import zarr
    except ImportError as error:
        raise DataError(f"{folder} is a Zarr, which needs the extra `bio`", remedy=NO_EXTRA) from error
    if not is_remote(folder) and not Path(folder).is_dir():
        raise FileNotFoundError(folder)
    store = zarr.open(str(folder), mode="r")
    scales = dict(store.attrs).get("multiscales")
    if not scales:
        if not hasattr(store, "shape"):
            raise DataError(f"{folder} holds no image", remedy="save it as OME-Zarr, one image a folder")
        return _channels_first(_of_bearable_size(store, str(folder)), str(folder))
    array = store[scales[0]["datasets"][0]["path"]]
    axes = [axis["name"] if isinstance(axis, dict) else axis for axis in scales[0].get("axes", "tczyx")]
    return named_axes(_of_bearable_size(array, str(folder)), "".join(axes).upper(), str(folder))


def read_vendor(file: Address) -> NDArray[Any]:
    """An image in a microscope's own format, read by bioio.

    Args:
        file: Ends in one of `VENDOR`.

    Returns:
        Shape (channels, height, width).

    Raises:
        DataError: Bioio is not installed, or there is more than one plane or time.
    """
    try:
        from bioio import BioImage
    except ImportError as error:
        raise DataError(f"{file} is in a microscope's own format, which needs the extra `bio`",
                        remedy=f"{NO_EXTRA}, and bioio's reader of this format") from error  # fmt: skip
    image = BioImage(str(file))
    if len(image.scenes) > 1:
        raise DataError(f"{file} holds {len(image.scenes)} scenes", remedy="save one scene a file")
    return named_axes(np.asarray(image.data), str(image.dims.order), str(file))


def named_axes(pixels: NDArray[Any], axes: str, name: str) -> NDArray[Any]:
    """An array whose axes have names, as channels, height and width.

    Args:
        pixels: Any shape that has the axes Y and X.
        axes: A letter an axis: `TCZYX`, `YXS`.
        name: The file, for messages.

    Returns:
        Shape (channels, height, width).

    Raises:
        DataError: There is more than one plane (Z) or time (T), or channels lie along two axes.
    """
    sizes = dict(zip(axes, pixels.shape, strict=True))
    for axis, what in (("Z", "planes"), ("T", "times")):
        if sizes.get(axis, 1) > 1:
            raise DataError(f"{name} holds {sizes[axis]} {what}",
                            remedy="save one, or a projection such as the maximum over them")  # fmt: skip
    if not {"Y", "X"} <= set(axes):
        raise DataError(f"{name} has the axes {axes} of shape {pixels.shape}, and none named Y and X")
    along = [axis for axis in axes if axis not in "YX" and sizes[axis] > 1]
    if len(along) > 1:
        raise DataError(f"{name} has the axes {axes} of shape {pixels.shape}",
                        remedy="save it as (channels, height, width)")  # fmt: skip
    order = [axes.index(axis) for axis in (*along, "Y", "X")]
    rest = [number for number in range(len(axes)) if number not in order]
    plane = pixels.transpose(*rest, *order).reshape([pixels.shape[number] for number in order])
    return plane if along else plane[None]


def _of_bearable_size(array: Any, name: str, most: int = MOST_PIXELS) -> NDArray[Any]:
    if np.prod(array.shape, dtype=np.float64) > most:
        raise DataError(f"{name} has {' x '.join(map(str, array.shape))} values, more than {most:,}")
    return np.asarray(array[...])


def _channels_first(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Grey, (channels, height, width) or (height, width, channels): the axis of the channels is the short one."""
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise DataError(f"{name} has the shape {array.shape}", remedy="save an image as (channels, height, width)")
    first, last = array.shape[0], array.shape[2]
    if min(first, last) > MOST_CHANNELS or first == last:
        raise DataError(f"{name} has the shape {array.shape}, in which the channels cannot be told from the sides",
                        remedy="save an image as (channels, height, width)")  # fmt: skip
    return array if first < last else np.moveaxis(array, -1, 0)


def _open_array(file: Address) -> NDArray[Any]:
    """The array of a file; a local `.npy` stays on the disk and is read where it is asked for."""
    source = opened(file)
    if isinstance(source, Path) and source.suffix.lower() == ".npy":
        return np.load(source, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    version = source.stat().st_mtime_ns if isinstance(source, Path) else 0
    return _loaded(str(file), version)


@lru_cache(maxsize=4)  # every row of a compressed file would unpack all of them
def _loaded(file: str, version: int) -> NDArray[Any]:
    held = np.load(opened(file), allow_pickle=False)
    if isinstance(held, np.ndarray):
        return held
    with held:
        if len(held.files) != 1:
            raise DataError(f"{file} holds {len(held.files)} arrays", remedy="save one, or one `.npy` each")
        return held[held.files[0]]  # type: ignore[no-any-return]
