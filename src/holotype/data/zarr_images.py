"""OME-Zarr images (Moore et al. 2021) and plain Zarr arrays, in the formats of the installed zarr."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holotype.core.errors import DataError
from holotype.data.array_formats import INSTALL_BIO_EXTRA, NUMERIC_KINDS, plan_array
from holotype.data.axes import arrange, plan_axes
from holotype.data.limits import MAX_SEGMENTS, ReadOptions
from holotype.data.uris import Address, is_remote, require_regular

ZARR_FILES = (".zattrs", ".zgroup", ".zarray", "zarr.json")
CODEC_NAMES = (
    "adler32 astype bitround blosc bytes bz2 crc32 crc32c delta endian fixedscaleoffset fletcher32 gzip lz4 lzma "
    "packbits pcodec quantize sharding_indexed shuffle transpose zfpy zlib zstd"
)
CODECS = set(CODEC_NAMES.split())
"""Safe codecs. Numcodecs also has one that unpickles, which can run code in a chunk."""


def is_zarr(address: Address) -> bool:
    """Test if a local folder holds a Zarr, whatever its name."""
    if is_remote(address) or not Path(address).is_dir():
        return False
    return any((Path(address) / mark).is_file() for mark in ZARR_FILES)


def read_zarr(folder: Address, options: ReadOptions) -> NDArray[Any]:
    """Read the full resolution of an OME-Zarr image, or a plain array, shape (channels, height, width).

    `folder`: a local folder, or an address that ends in `.zarr`.
    """
    name = str(folder)
    if not is_remote(folder):
        _require_folder(folder)
    try:
        import zarr
    except ImportError as error:
        raise DataError(f"{folder} is a Zarr, which needs the extra `bio`", remedy=INSTALL_BIO_EXTRA) from error
    if not is_remote(folder) and int(zarr.__version__.split(".")[0]) < 3 and (Path(folder) / "zarr.json").is_file():
        raise DataError(
            f"{folder} is a Zarr of format 3, and zarr {zarr.__version__} reads format 2",
            remedy='pip install "zarr>=3", or save it in format 2',
        )
    store = zarr.open(name if is_remote(folder) else _open_local_store(zarr, Path(folder)), mode="r")
    attributes = dict(store.attrs)
    scales = attributes.get("multiscales") or (attributes.get("ome") or {}).get("multiscales")
    if not scales:
        if not hasattr(store, "shape"):
            raise DataError(f"{folder} holds no image", remedy="save it as OME-Zarr, one image a folder")
        _require_safe_array(store, name)
        last = plan_array(tuple(store.shape), np.dtype(store.dtype), name, options)
        pixels = np.asarray(store[...])
        return np.moveaxis(pixels, -1, 0) if last else pixels.reshape(-1, *pixels.shape[-2:])
    if len(scales) > 1:
        raise DataError(f"{folder} holds {len(scales)} images", remedy="save one image a folder")
    array = store[scales[0]["datasets"][0]["path"]]
    named = [axis["name"] if isinstance(axis, dict) else axis for axis in scales[0].get("axes", "tczyx")]
    axes = "".join(str(axis)[:1] for axis in named).upper()
    _require_safe_array(array, name)
    order = plan_axes(axes, array.shape, name, array.dtype, options)
    return arrange(np.asarray(array[...]), order, options.projection)


def _open_local_store(zarr: Any, folder: Path) -> Any:
    """Store of this folder: zarr would parse a name with `::` as a chain of addresses."""
    return zarr.DirectoryStore(str(folder)) if hasattr(zarr, "DirectoryStore") else folder


def _require_folder(folder: Address) -> None:
    if not Path(folder).exists():
        raise FileNotFoundError(str(folder))
    if not Path(folder).is_dir():
        require_regular(folder)
        raise DataError(f"{folder} is a file and not a folder with a Zarr", remedy="unpack it")
    count = 0
    for parent, _, names in os.walk(folder):
        for entry in names:
            require_regular(Path(parent, entry))
            count += 1
            if count > 4 * MAX_SEGMENTS:
                raise DataError(
                    f"{folder} is stored in more than {4 * MAX_SEGMENTS:,} files", remedy="save it in larger chunks"
                )


def _require_safe_array(array: Any, name: str) -> None:
    dtype = np.dtype(array.dtype)
    if dtype.kind not in NUMERIC_KINDS:
        raise DataError(f"{name} holds {dtype} values", remedy="save it with 8 or 16 bits, or as 32-bit float")
    unknown = sorted(_codec_names(array) - CODECS)
    if unknown:
        raise DataError(
            f"{name} is compressed by {unknown[0]!r}, which is not read", remedy="save it with blosc, zstd or gzip"
        )
    chunks = tuple(int(side) for side in array.chunks)
    count = int(np.prod([-(-side // max(1, chunk)) for side, chunk in zip(array.shape, chunks, strict=True)]))
    if count > MAX_SEGMENTS:
        raise DataError(
            f"{name} is stored in {count:,} chunks, more than {MAX_SEGMENTS:,}", remedy="save it in larger chunks"
        )
    size = int(np.prod(chunks, dtype=np.float64)) * dtype.itemsize
    if size > ReadOptions().max_bytes:
        raise DataError(f"{name} is stored in chunks of {size / 1e6:,.0f} MB", remedy="save it in smaller chunks")


def _codec_names(array: Any) -> set[str]:
    names: set[str] = set()
    metadata = getattr(array, "metadata", None)
    codecs = list(getattr(metadata, "codecs", None) or [])
    for codec in codecs:
        description = codec.to_dict()
        names.add(str(description.get("name", "")).removeprefix("numcodecs."))
        inner = (description.get("configuration") or {}).get("codecs") or []
        names.update(
            str(entry.get("name", "")).removeprefix("numcodecs.") for entry in inner if isinstance(entry, dict)
        )
    if not codecs:
        holder = metadata if hasattr(metadata, "compressor") else array  # format 2, opened by zarr 3 or zarr 2
        parts = [*(getattr(holder, "filters", None) or []), getattr(holder, "compressor", None)]
        names.update(str(part.codec_id) for part in parts if part is not None)
    return {name for name in names if name}
