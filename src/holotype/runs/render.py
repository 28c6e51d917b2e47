"""Rendering of images and heat maps as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from holotype.data import usable_pixels
from holotype.report.render import composite


def render_image(pixels: NDArray[Any], channels: Sequence[str] | None, side: int) -> bytes:
    """Render an image as PNG.

    `pixels`: shape (channels, height, width); `side`: maximum side of the picture, in pixels.
    """
    step = max(1, min(pixels.shape[1:]) // (4 * side))  # saves memory without a visible difference
    picture = Image.fromarray(composite(usable_pixels(pixels)[:, ::step, ::step], channels))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encode_png(picture)


def encode_png(picture: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def render_heatmap(heat: NDArray[np.float32], side: tuple[int, int]) -> bytes:
    """Render a heat map as a PNG overlay: transparent, then magma's violet, red and yellow.

    `heat`: shape (height, width), 0 to 1; `side`: height and width of the picture, in pixels.
    """
    stops = np.array([[0, 0, 0, 0], [81, 18, 124, 60], [183, 55, 121, 120], [252, 137, 97, 150], [252, 253, 191, 165]])
    positions = np.linspace(0, 1, len(stops))
    colors = np.stack([np.interp(heat, positions, stops[:, part]) for part in range(4)], axis=-1)
    picture = Image.fromarray(colors.astype(np.uint8), "RGBA")
    return encode_png(picture.resize((side[1], side[0]), Image.Resampling.BILINEAR))
