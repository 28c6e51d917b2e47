"""The pack: every image decoded once, kept at its own depth at the size it is used, and read by row from then on."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from holotype.data.images import read_image
from holotype.errors import DataError, StoreError
from holotype.runtime import Runtime
from holotype.types import ImageStatistics, ImageTable

__all__ = ["Pack", "PackPlan", "input_size", "open_pack", "pack_images", "plan_pack", "resize_image"]

Fitting = Literal["fit", "stretch"]
SPARE = 1.05  # room that must be left on the disk beside the pack
CHUNK = 256


@dataclass(frozen=True)
class PackPlan:
    """The form in which images are stored.

    Args:
        shape: (rows, channels, height, width).
        depth: NumPy's name of the pixels' type.
        fitting: Whether the network sees the stored picture with its aspect ratio kept, or stretched to a square.
    """

    shape: tuple[int, int, int, int]
    depth: str
    fitting: Fitting

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return int(np.prod(self.shape)) * np.dtype(self.depth).itemsize


@dataclass(frozen=True)
class Pack:
    """Stored images.

    Args:
        pixels: Shape (rows, channels, height, width); a read-only memory map, or an array in memory.
        fitting: As in `PackPlan`.
    """

    pixels: NDArray[Any]
    fitting: Fitting


def plan_pack(statistics: ImageStatistics, size: int, resize: str) -> PackPlan:
    """Decide how images are stored: never enlarged, no larger than the network's input, aspect ratios kept by `fit`.

    Args:
        statistics: Sizes and depths of all images.
        size: Side of the network's square input in pixels.
        resize: `auto`, `none`, `fit` or `stretch`, as in the recipe.

    Raises:
        DataError: `none` was asked for and an image has another size.
    """
    frame = statistics.frame
    heights, widths = frame["height"].to_numpy(), frame["width"].to_numpy()
    if resize == "none" and ((heights != size) | (widths != size)).any():
        row = int(np.flatnonzero((heights != size) | (widths != size))[0])
        raise DataError(
            f"resize is 'none', the input size is {size}, and {frame['id'][row]!r} has "
            f"{widths[row]}x{heights[row]} pixels",
            field="members.input.resize",
            remedy="write the images' own size as `size`, or `fit` or `stretch` as `resize`",
        )
    depth = str(np.result_type(*(np.dtype(name) for name in frame["depth"].unique().to_list())))
    if resize == "stretch":
        side = (min(int(heights.max()), size), min(int(widths.max()), size))
    else:
        scale = np.minimum(1.0, size / np.maximum(heights, widths))
        side = (_whole(heights * scale), _whole(widths * scale))
    shape = (frame.height, int(frame["channels"][0]), *side)
    return PackPlan(shape, depth, "stretch" if resize == "stretch" else "fit")


def pack_images(images: ImageTable, plan: PackPlan, folder: Path | None, runtime: Runtime) -> NDArray[Any]:
    """Decode and store every image.

    Args:
        images: The table.
        plan: The form to store them in.
        folder: Where to write `pixels.npy` and `pack.json`; without it they stay in memory.
        runtime: For threads and progress.

    Returns:
        Shape as planned.

    Raises:
        StoreError: The disk has no room for it.
    """
    pixels = np.empty(plan.shape, plan.depth) if folder is None else _memory_map(plan, folder)

    def store(row: int) -> None:
        image = read_image(images.files_of_row(row)).astype(plan.depth, copy=False)
        height, width = plan.shape[2:]
        if plan.fitting == "stretch":
            pixels[row] = resize_image(image, height, width)
        else:
            scale = min(1.0, height / image.shape[1], width / image.shape[2])
            smaller = resize_image(image, _whole(image.shape[1] * scale), _whole(image.shape[2] * scale))
            pixels[row] = _centred(smaller, height, width)

    with (
        runtime.progress.task(f"Packing images ({plan.bytes / 1e6:,.0f} MB)", len(images)) as task,
        ThreadPoolExecutor(runtime.thread_count) as threads,
    ):
        for start in range(0, len(images), CHUNK):
            rows = range(start, min(start + CHUNK, len(images)))
            for _ in threads.map(store, rows):
                pass
            task.advance(len(rows))
    if folder is not None and isinstance(pixels, np.memmap):
        pixels.flush()
        (folder / "pack.json").write_text(
            json.dumps({"shape": plan.shape, "depth": plan.depth, "fitting": plan.fitting})
        )
    return pixels


def open_pack(folder: Path) -> Pack:
    """A pack that was written before.

    Args:
        folder: Holds `pixels.npy` and `pack.json`.
    """
    facts = json.loads((folder / "pack.json").read_text())
    return Pack(np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False), facts["fitting"])


def resize_image(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Resize every channel at full depth, averaging over what becomes one pixel.

    Args:
        image: Shape (channels, H, W).
        height: New height in pixels.
        width: New width in pixels.

    Returns:
        Shape (channels, height, width), of the same type.
    """
    if image.shape[1:] == (height, width):
        return image
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
        for plane in image
    ]
    resized = np.stack(planes)
    if image.dtype.kind == "u":
        resized = np.clip(np.rint(resized), 0, np.iinfo(image.dtype).max)
    return resized.astype(image.dtype)


def _centred(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """The image in the middle of a larger canvas, its edges drawn out."""
    rows, columns = height - image.shape[1], width - image.shape[2]
    if rows == columns == 0:
        return image
    margins = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(image, margins, mode="edge")


def _memory_map(plan: PackPlan, folder: Path) -> NDArray[Any]:
    free = shutil.disk_usage(folder).free
    if free < plan.bytes * SPARE:
        raise StoreError(
            f"the pack needs {plan.bytes / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free",
            remedy="free some room, set HOLOTYPE_STORE to a larger disk, or write a smaller `input.size`",
        )
    return np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=plan.depth, shape=plan.shape)


def _whole(side: Any) -> int:
    return max(1, int(np.max(np.rint(side))))


def input_size(statistics: ImageStatistics, size: int | str) -> int:
    """The side of a network's input.

    Args:
        statistics: Sizes of all images.
        size: As the recipe says; `auto` is the images' longest side, between 64 and 224, in steps of 32.
    """
    if isinstance(size, int):
        return size
    longest = int(statistics.frame.select(pl.max_horizontal("height", "width").max()).item() or 0)
    return min(max(-(-longest // 32) * 32, 64), 224)
