"""Images and heat maps as pictures for people."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from holotype.data import usable_pixels
from holotype.report.render import composite

__all__ = ["encode_png", "render_heatmap", "render_image"]


def render_image(pixels: NDArray[Any], channels: Sequence[str] | None, side: int) -> bytes:
    """An image as a picture for people.

    Args:
        pixels: Shape (channels, height, width).
        channels: The channels' names.
        side: Of the picture at most, in pixels.

    Returns:
        A PNG.
    """
    step = max(1, min(pixels.shape[1:]) // (4 * side))  # nobody sees the difference, and memory does
    picture = Image.fromarray(composite(usable_pixels(pixels)[:, ::step, ::step], channels))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encode_png(picture)


def encode_png(picture: Image.Image) -> bytes:
    """A picture's bytes.

    Args:
        picture: Of any mode that a PNG has.
    """
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def render_heatmap(heat: NDArray[np.float32], side: tuple[int, int]) -> bytes:
    """A heat map as a picture that lies over another: from nothing over violet and red to yellow (magma's hues).

    Args:
        heat: Shape (height, width), 0 to 1.
        side: Height and width of the picture in pixels.

    Returns:
        A PNG with transparency.
    """
    stops = np.array([[0, 0, 0, 0], [81, 18, 124, 60], [183, 55, 121, 120], [252, 137, 97, 150], [252, 253, 191, 165]])
    positions = np.linspace(0, 1, len(stops))
    colors = np.stack([np.interp(heat, positions, stops[:, part]) for part in range(4)], axis=-1)
    picture = Image.fromarray(colors.astype(np.uint8), "RGBA")
    return encode_png(picture.resize((side[1], side[0]), Image.Resampling.BILINEAR))
