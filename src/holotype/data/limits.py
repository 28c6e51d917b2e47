"""Size limits of one image, asked of its header before anything is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from holotype.errors import DataError, counted

__all__ = [
    "MOST_BYTES",
    "MOST_CHANNELS",
    "MOST_FRAMES",
    "MOST_PAGES",
    "MOST_PIXELS",
    "MOST_SEGMENTS",
    "ReadOptions",
    "read_options",
    "require_channel_count",
    "require_size",
]

MOST_PIXELS = 200_000_000  # height x width; an image beyond this is a mistake or an attack
MOST_BYTES = 400_000_000  # of all channels and planes, decoded; reading takes at most four times as much
BYTES_A_PIXEL = 4  # of a smaller limit of pixels: color with opacity in 8 bits, or one channel of 32
MOST_CHANNELS = 32  # an axis that is longer is a side of the image, unless the recipe names so many
MOST_PAGES = 4_096  # of one TIFF
MOST_FRAMES = 1_024  # of one animation
MOST_SEGMENTS = 200_000  # strips or tiles of one TIFF, chunks of one Zarr


@dataclass(frozen=True)
class ReadOptions:
    """How one file is read, and how large it may be.

    Args:
        pixels: Height x width beyond which it is refused.
        bytes: Decoded size, over all channels and planes, beyond which it is refused.
        channels: The channels' names, where the recipe gives them.
        projection: How planes or times become one: `max`, `mean`, `sum`, `first`, `middle`, or None to refuse them.
        rgb: Whether the file holds channels that are called red, green and blue.
    """

    pixels: int = MOST_PIXELS
    bytes: int = MOST_BYTES
    channels: tuple[str, ...] = ()
    projection: str | None = None
    rgb: bool = False

    def of_one_channel(self) -> ReadOptions:
        """The options of a file that holds one channel of several."""
        return replace(self, channels=self.channels[:1], rgb=False)


def read_options(most: int, channels: Sequence[str] | None, projection: str | None) -> ReadOptions:
    """The options of a file that holds the whole image.

    Args:
        most: Height x width beyond which it is refused.
        channels: The channels' names, if they have any.
        projection: As in `ReadOptions`.
    """
    names = tuple(channels or ())
    rgb = tuple(name.lower() for name in names) == ("red", "green", "blue")
    return ReadOptions(most, min(MOST_BYTES, BYTES_A_PIXEL * most), names, projection, rgb)


def require_size(name: str, sides: tuple[int, int], others: int, dtype: Any, options: ReadOptions) -> None:
    """Refuse an image that is too large to be decoded.

    Args:
        name: The file, for messages.
        sides: Height and width.
        others: Channels x planes x times.
        dtype: Of one value.
        options: The limits.

    Raises:
        DataError: It has no pixels, too many, or too many bytes.
    """
    height, width = (int(side) for side in sides)
    values = height * width * int(others)
    if values <= 0:
        raise DataError(f"{name} has no pixels")
    if height * width > options.pixels:
        raise DataError(f"{name} has {width}x{height} pixels, more than {options.pixels:,}",
                        remedy="save a part of it, or a smaller copy")  # fmt: skip
    size = values * max(1, np.dtype(dtype).itemsize)
    if size > options.bytes:
        more = f" in {int(others):,} channels or planes" if others > 1 else ""
        what = f"{name} has {width}x{height} pixels{more}, which are {size / 1e6:,.0f} MB decoded"
        raise DataError(f"{what} and more than {options.bytes / 1e6:,.0f} MB",
                        remedy="save a part of it, or a smaller copy")  # fmt: skip


def require_channel_count(name: str, count: int, options: ReadOptions) -> None:
    """Refuse an image of more channels than any microscope has, unless the recipe names as many.

    Args:
        name: The file, for messages.
        count: How many it holds.
        options: Hold the names.

    Raises:
        DataError: There are too many.
    """
    most = max(MOST_CHANNELS, len(options.channels))
    if count > most:
        raise DataError(f"{name} holds {counted(count, 'channel')}, more than {most}",
                        remedy="name them in data.channels, or save the channels that count")  # fmt: skip
