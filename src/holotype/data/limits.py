"""Size limits of one image, checked against its header before decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from holotype.core.errors import DataError, pluralize

MAX_PIXELS = 200_000_000  # height x width; an image beyond this is a mistake or an attack
MAX_BYTES = 400_000_000  # of all channels and planes, decoded; reading takes at most four times as much
BYTES_PER_PIXEL = 4  # for a smaller pixel limit: RGBA of 8 bits, or one channel of 32
MAX_CHANNELS = 32  # a longer axis is height or width, unless the recipe names as many channels
MAX_PAGES = 4_096  # of one TIFF
MAX_FRAMES = 1_024  # of one animation
MAX_SEGMENTS = 200_000  # strips or tiles of one TIFF, chunks of one Zarr


@dataclass(frozen=True)
class ReadOptions:
    """Options and size limits for reading one file.

    Args:
        max_pixels: Largest height x width.
        max_bytes: Largest decoded size over all channels and planes.
        projection: Projection of planes or times: `max`, `mean`, `sum`, `first`, `middle`, or None to refuse them.
        rgb: Whether the channels are named red, green and blue.
        on_channels_elsewhere: Called with the number of channels that a file's OME-XML places in other files.
    """

    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES
    channels: tuple[str, ...] = ()
    projection: str | None = None
    rgb: bool = False
    on_channels_elsewhere: Callable[[int], None] | None = None

    def for_single_channel(self) -> ReadOptions:
        """Options for a file that holds one channel of several."""
        return replace(self, channels=self.channels[:1], rgb=False)


def read_options(max_pixels: int, channels: Sequence[str] | None, projection: str | None) -> ReadOptions:
    """Make the options for a file that holds the whole image."""
    names = tuple(channels or ())
    rgb = tuple(name.lower() for name in names) == ("red", "green", "blue")
    return ReadOptions(max_pixels, min(MAX_BYTES, BYTES_PER_PIXEL * max_pixels), names, projection, rgb)


def require_size(name: str, sides: tuple[int, int], others: int, dtype: Any, options: ReadOptions) -> None:
    """Raise if an image is too large to be decoded."""
    height, width = (int(side) for side in sides)
    values = height * width * int(others)
    if values <= 0:
        raise DataError(f"{name} has no pixels")
    if height * width > options.max_pixels:
        raise DataError(
            f"{name} has {width}x{height} pixels, more than {options.max_pixels:,}",
            remedy="save a part of it, or a smaller copy",
        )
    size = values * max(1, np.dtype(dtype).itemsize)
    if size > options.max_bytes:
        more = f" in {int(others):,} channels or planes" if others > 1 else ""
        what = f"{name} has {width}x{height} pixels{more}, which are {size / 1e6:,.0f} MB decoded"
        raise DataError(
            f"{what} and more than {options.max_bytes / 1e6:,.0f} MB", remedy="save a part of it, or a smaller copy"
        )


def require_channel_count(name: str, count: int, options: ReadOptions) -> None:
    """Raise if an image has more than 32 channels, unless the recipe names as many."""
    max_channels = max(MAX_CHANNELS, len(options.channels))
    if count > max_channels:
        raise DataError(
            f"{name} holds {pluralize(count, 'channel')}, more than {max_channels}",
            remedy="name them in data.channels, or save the channels that count",
        )
