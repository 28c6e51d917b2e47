"""Images of any depth and channel count as small PNG pictures in the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from holotype.core.errors import DataError

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.8
SIDES = (256, 208, 168, 136, 112, 96, 72, 48)
PIXELATED_BELOW = 128  # pixels on the shorter side; above it, smooth scaling looks better

Color = tuple[float, float, float]
RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
# Distinct hues that stay apart when they are added up; the nucleus is blue wherever it is named.
PALETTE: tuple[Color, ...] = (
    (1.0, 0.22, 0.16),
    (0.22, 0.42, 1.0),
    (1.0, 0.82, 0.1),
    (0.1, 0.88, 0.38),
    (0.93, 0.32, 1.0),
    (0.1, 0.88, 0.95),
)
NAMED_COLORS: dict[str, Color] = {
    "red": PALETTE[0],
    "blue": PALETTE[1],
    "yellow": PALETTE[2],
    "green": PALETTE[3],
    "magenta": PALETTE[4],
    "cyan": PALETTE[5],
}
NUCLEUS = ("nucle", "dna", "dapi", "hoechst")
TRANSMITTED = ("bright", "phase", "trans", "dic", "grey", "gray")
GRAY: Color = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Picture:
    """Picture embedded in a page.

    Args:
        source: `data:` URI with a PNG.
        width: In pixels of the PNG.
        height: In pixels of the PNG.
    """

    source: str
    width: int
    height: int

    @property
    def pixelated(self) -> bool:
        """True if the picture is so small that its pixels should stay visible."""
        return min(self.width, self.height) < PIXELATED_BELOW


def channel_colors(channels: int, names: Sequence[str] | None) -> tuple[Color, ...]:
    """Color of each channel in a composite.

    `names`: channel names. A color name gets that color, a nuclear stain blue, transmitted light gray, any other the
    next free color. Returns red, green and blue from 0 to 1 for each channel.
    """
    words = [name.casefold() for name in names] if names is not None and len(names) == channels else [""] * channels
    if channels == 1:
        return ((1.0, 1.0, 1.0),)
    if channels == 3 and (not any(words) or set(words) <= {"red", "green", "blue", "r", "g", "b"}):
        by_letter = {"r": RED, "g": GREEN, "b": BLUE}
        return tuple(by_letter[word[0]] for word in words) if any(words) else (RED, GREEN, BLUE)
    assigned = [_color_of(word) for word in words]
    free = [color for color in PALETTE if color not in assigned]
    for index in range(channels):
        if assigned[index] is None:
            assigned[index] = free.pop(0) if free else PALETTE[index % len(PALETTE)]
    return tuple(color for color in assigned if color is not None)


def composite(pixels: NDArray[Any], channels: Sequence[str] | None = None) -> NDArray[np.uint8]:
    """RGB composite of all channels, each stretched from its 1st to its 99.8th percentile.

    Three channels without names are a photograph; they are stretched together to keep the hues. `pixels`: shape
    (channels, height, width) or (height, width), any depth. Returns shape (height, width) for one channel, else
    (height, width, 3). Raises DataError if the array is not an image.
    """
    image = np.asarray(pixels)
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or 0 in image.shape:
        raise DataError(f"an image is (channels, height, width) with nothing empty, not {np.shape(pixels)}")
    image = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    named = channels is not None and len(channels) == len(image)
    photograph = len(image) == 3 and not named
    stretched = _stretch(image) if photograph else np.stack([_stretch(plane) for plane in image])
    if len(image) == 1:
        return (stretched[0] * 255 + 0.5).astype(np.uint8)
    colors = np.asarray(channel_colors(len(image), channels), dtype=np.float32)
    mixed = np.einsum("chw,ck->hwk", stretched, colors)
    return (np.clip(mixed, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_pictures(images: Sequence[NDArray[Any]], channels: Sequence[str] | None, budget: int) -> list[Picture]:
    """Composites of images, as large as a byte budget allows.

    `images`: arrays of shape (channels, height, width); `budget`: bytes for all pictures in the page; only the smallest
    size, 48 pixels, may exceed it.
    """
    return fit_pictures([composite(subsample(image), channels) for image in images], budget)


def fit_pictures(rasters: Sequence[NDArray[np.uint8]], budget: int, largest: int = SIDES[0]) -> list[Picture]:
    """Rasters as pictures, as large as a byte budget allows.

    `rasters`: arrays of shape (height, width), (height, width, 3) or (height, width, 4); `budget`: bytes for all
    pictures in the page; only the smallest size, 48 pixels, may exceed it; `largest`: longer side in pixels if the
    budget allows it.
    """
    composites = [Image.fromarray(raster) for raster in rasters]
    a_few = composites[:: max(len(composites) // 8, 1)]
    pictures: list[Picture] = []
    for side in sorted({largest, *(side for side in SIDES if side < largest)}, reverse=True):
        # A few tell whether all could fit; encoding hundreds to find out would take seconds.
        weight = sum(len(_encode(image, side).source) for image in a_few) / max(len(a_few), 1)
        if weight * len(composites) > budget and side != SIDES[-1]:
            continue
        pictures, total = [], 0
        for image in composites:
            pictures.append(_encode(image, side))
            total += len(pictures[-1].source)
            if total > budget and side != SIDES[-1]:
                break
        if total <= budget:
            break
    return pictures


def intensity_range(plane: NDArray[Any]) -> tuple[float, float]:
    """Intensities drawn as black and as full color, in the units of the file."""
    low, high = np.percentile(plane, [LOW_PERCENTILE, HIGH_PERCENTILE])
    if high <= low:  # nearly everything is one value: show what is not
        low, high = plane.min(), plane.max()
    return float(low), float(high)


def tint(plane: NDArray[Any], color: Color) -> NDArray[np.uint8]:
    """Single channel in its color. `plane`: shape (height, width), any depth. Returns shape (height, width, 3)."""
    stretched = _stretch(np.nan_to_num(plane.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))
    full = np.asarray(color, np.float32) / max(color)
    return (stretched[:, :, None] * full * 255 + 0.5).astype(np.uint8)


def subsample(pixels: NDArray[Any]) -> NDArray[Any]:
    """Every n-th pixel of a very large image: saves memory and is not visible at 256 pixels."""
    step = max(1, min(np.shape(pixels)[-2:], default=1) // (4 * SIDES[0]))
    return np.asarray(pixels)[..., ::step, ::step]


def _stretch(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = intensity_range(plane)
    if high <= low:
        return np.zeros_like(plane)
    return np.clip((plane - low) / (high - low), 0, 1).astype(np.float32)


def _encode(image: Image.Image, side: int) -> Picture:
    small = image.copy()
    if max(small.size) > side:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = BytesIO()
    small.save(stream, format="PNG")
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/png;base64,{text}", small.width, small.height)


def _color_of(word: str) -> Color | None:
    if word in NAMED_COLORS:
        return NAMED_COLORS[word]
    if any(stain in word for stain in NUCLEUS):
        return NAMED_COLORS["blue"]
    return GRAY if any(light in word for light in TRANSMITTED) else None
