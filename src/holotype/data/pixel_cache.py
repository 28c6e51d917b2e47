"""Pixel cache: every image decoded once, stored at its own depth and input size, and read by row."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.digest import digest_array
from holotype.core.errors import DataError, StoreError, byte_size, join_names
from holotype.core.runtime import Runtime
from holotype.data.images import read_row
from holotype.data.reserve import reserve_space
from holotype.data.resize import letterbox, resize_image, round_size
from holotype.data.validity import usable_pixels
from holotype.types import ImageStatistics, ImageTable

ResizeMode = Literal["fit", "stretch"]
FREE_SPACE_FACTOR = 1.05  # required free space relative to the pixel cache
CHUNK = 256
BLOCK = 8 * CHUNK  # images between two records of progress
PROGRESS_MIN_BYTES = 100_000_000  # smaller caches are not announced
PROGRESS_FILE = "progress.json"


@dataclass(frozen=True)
class CacheFormat:
    """Storage format of the pixel cache.

    Args:
        shape: (rows, channels, height, width).
        resize_mode: `fit` keeps the aspect ratio, `stretch` does not.
        scale: Largest scale of an image, if the aspect ratio is kept.
        fill: Value of no-data pixels, one a channel; the mean of the image's own data without it.
    """

    shape: tuple[int, int, int, int]
    depth: str
    resize_mode: ResizeMode
    skipped: frozenset[int] = frozenset()
    scale: float = 1.0
    fill: tuple[float, ...] | None = None

    @property
    def bytes(self) -> int:
        """Size on disk in bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.depth).itemsize


@dataclass(frozen=True)
class PixelCache:
    """Cached images. `pixels`: shape (rows, channels, height, width); a read-only memory map, or an array in memory."""

    pixels: NDArray[Any]
    resize_mode: ResizeMode

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a memory map as its path, and other pixels by value."""
        if isinstance(self.pixels, np.memmap) and self.pixels.filename is not None:
            return open_pixel_cache, (Path(self.pixels.filename).parent,)
        return type(self), (self.pixels, self.resize_mode)


def plan_pixel_cache(statistics: ImageStatistics, size: int, resize: str, tile: int | None = None) -> CacheFormat:
    """Choose the storage format: never enlarged, no larger than the network's input, aspect ratios kept by `fit`.

    Args:
        size: Side of the network's square input in pixels.
        resize: `auto`, `none`, `fit` or `stretch`.
        tile: Side of the tiles that an image is cut into, in its own pixels; `size` is then a tile's.

    Raises:
        DataError: `resize` is `none` and an image has another size.
    """
    channels = statistics.frame["channels"].drop_nulls().mode(maintain_order=True)[0]
    readable = (statistics.frame["channels"] == channels).fill_null(False)
    frame = statistics.frame.filter(readable)
    heights, widths = frame["height"].to_numpy(), frame["width"].to_numpy()
    if resize == "none" and ((heights != size) | (widths != size)).any():
        row = int(np.flatnonzero((heights != size) | (widths != size))[0])
        raise DataError(
            f"resize is 'none', the input size is {size}, and {frame['id'][row]!r} has "
            f"{widths[row]}x{heights[row]} pixels",
            field="models.input.resize",
            remedy="set `size` to the images' size, or `resize` to fit or stretch",
        )
    depth = str(np.result_type(*(np.dtype(name) for name in frame["depth"].unique().to_list())))
    if resize == "stretch":
        side = (min(int(heights.max()), size), min(int(widths.max()), size))
    else:
        scale = np.minimum(1.0, size / (np.maximum(heights, widths) if tile is None else np.full(len(heights), tile)))
        side = (round_size(heights * scale), round_size(widths * scale))
    shape = (statistics.frame.height, int(channels), *side)
    skipped = frozenset(np.flatnonzero(~readable.to_numpy()).tolist())
    max_scale = 1.0 if tile is None else min(1.0, size / tile)
    return CacheFormat(shape, depth, "stretch" if resize == "stretch" else "fit", skipped, max_scale)


def build_pixel_cache(
    images: ImageTable,
    plan: CacheFormat,
    folder: Path | None,
    runtime: Runtime,
    workspace: Path | None = None,
    *,
    digests: Sequence[str | None] | None = None,
) -> NDArray[Any]:
    """Decode and store every image, or resume where an interrupted call stopped.

    Args:
        folder: Folder for `pixels.npy` and `cache.json`; None to keep the pixels in memory.
        workspace: Folder for the unfinished file between calls, on the disk of `folder`; without it an interrupted call
            leaves nothing behind.
        digests: Digest of each image as measured, to detect changed files; None to skip the check.

    Returns:
        Shape as planned; skipped rows hold zeros.

    Raises:
        StoreError: The disk is too full.
        DataError: An image changed after it was measured.
    """
    working_folder = workspace or folder
    if working_folder is None:
        pixels, sums = np.zeros(plan.shape, plan.depth), list[int]()
    else:
        working_folder.mkdir(parents=True, exist_ok=True)
        pixels, sums = _open_storage(plan, working_folder)
        _announce_build(plan, working_folder, len(sums) * BLOCK, runtime)
    done, checks = len(sums) * BLOCK, np.zeros(len(images), np.uint32)

    def store(row: int) -> None:
        if row not in plan.skipped:
            image = read_row(images, row)
            if digests is not None and digest_array(image) != digests[row]:
                raise DataError(
                    f"{join_names(images.files_of_row(row), 3)} changed after it was measured",
                    field="data.images",
                    remedy="run the same command again when nothing writes to the images",
                )
            stored = to_cache_format(image, plan)
            pixels[row], checks[row] = stored, _checksum(stored)

    with (
        runtime.progress.task("Caching images", len(images) - done) as task,
        ThreadPoolExecutor(runtime.thread_count) as threads,
    ):
        for start in range(done, len(images), CHUNK):
            rows = range(start, min(start + CHUNK, len(images)))
            for _ in threads.map(store, rows):
                pass
            if working_folder is not None and rows.stop % BLOCK == 0:
                sums.append(zlib.crc32(checks[rows.stop - BLOCK : rows.stop].tobytes()))
                _save_progress(pixels, working_folder, sums)
            task.advance(len(rows))
    if folder is not None and working_folder is not None:
        if isinstance(pixels, np.memmap):
            pixels.flush()
        (working_folder / "pixels.npy").replace(folder / "pixels.npy")
        facts = {"shape": plan.shape, "depth": plan.depth, "resize_mode": plan.resize_mode}
        (folder / "cache.json").write_text(json.dumps(facts))
        (working_folder / PROGRESS_FILE).unlink(missing_ok=True)
    return pixels


def to_cache_format(pixels: NDArray[Any], plan: CacheFormat) -> NDArray[Any]:
    """Convert one image to the storage format.

    `pixels`: shape (channels, height, width), from `read_image`. Returns shape (channels, height, width) and pixel type
    as planned.
    """
    image, room = usable_pixels(pixels, plan.fill).astype(plan.depth, copy=False), plan.shape[2:]
    return resize_image(image, *room) if plan.resize_mode == "stretch" else letterbox(image, *room, plan.scale)


def _announce_build(plan: CacheFormat, folder: Path, done: int, runtime: Runtime) -> None:
    count, free = plan.shape[0], shutil.disk_usage(folder).free
    if done:
        runtime.progress.info(f"cache: resumes after {done:,} of {count:,} images")
    elif plan.bytes >= PROGRESS_MIN_BYTES:
        height, width = plan.shape[2:]
        runtime.progress.info(
            f"caching {count:,} images at {width}x{height} pixels: {byte_size(plan.bytes)}, with {byte_size(free)} free"
        )


def open_pixel_cache(folder: Path) -> PixelCache:
    """Open a pixel cache in a folder with `pixels.npy` and `cache.json`."""
    facts = json.loads((folder / "cache.json").read_text())
    return PixelCache(np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False), facts["resize_mode"])


def input_size(statistics: ImageStatistics, size: int | str) -> int:
    """Side of a network's input in pixels.

    `size`: as in the recipe; `auto` is the images' longest side, between 64 and 224, in steps of 32.
    """
    if isinstance(size, int):
        return size
    longest = int(statistics.frame.select(pl.max_horizontal("height", "width").max()).item() or 0)
    return min(max(-(-longest // 32) * 32, 64), 224)


def _open_storage(plan: CacheFormat, folder: Path) -> tuple[NDArray[Any], list[int]]:
    pixels_path, progress = folder / "pixels.npy", folder / PROGRESS_FILE
    if pixels_path.is_file() and progress.is_file():
        try:
            pixels = np.load(pixels_path, mmap_mode="r+", allow_pickle=False)
            sums = [int(checksum) for checksum in json.loads(progress.read_text())["checksums"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):  # damaged by the interruption: start again
            pixels, sums = np.empty(0), []
        if pixels.shape == plan.shape and pixels.dtype == np.dtype(plan.depth):
            return pixels, _verify_blocks(pixels, sums, plan.skipped)
    free = shutil.disk_usage(folder).free
    too_small = StoreError(
        f"the pixel cache needs {byte_size(plan.bytes)} and {folder} has {byte_size(free)} free",
        remedy="free disk space, set HOLOTYPE_STORE to a larger disk, or set a smaller `input.size`",
    )
    if free < plan.bytes * FREE_SPACE_FACTOR:
        raise too_small
    pixels = np.lib.format.open_memmap(pixels_path, mode="w+", dtype=plan.depth, shape=plan.shape)
    try:
        reserve_space(pixels_path)
    except OSError as error:
        raise too_small from error
    return pixels, []


def _verify_blocks(pixels: NDArray[Any], sums: Sequence[int], skipped: frozenset[int]) -> list[int]:
    for number, expected in enumerate(sums):
        rows = range(number * BLOCK, min((number + 1) * BLOCK, len(pixels)))
        checks = np.array([0 if row in skipped else _checksum(pixels[row]) for row in rows], np.uint32)
        if zlib.crc32(checks.tobytes()) != expected:
            return list(sums[:number])
    return list(sums)


def _checksum(image: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(image).reshape(-1).view(np.uint8).data)


def _save_progress(pixels: NDArray[Any], folder: Path, sums: Sequence[int]) -> None:
    if isinstance(pixels, np.memmap):
        pixels.flush()
    temporary = folder / f".{PROGRESS_FILE}"
    temporary.write_text(json.dumps({"checksums": list(sums)}))
    temporary.replace(folder / PROGRESS_FILE)
