"""Heat laid over a picture, and signed weights as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from holotype.report.gallery import bounded, composite

__all__ = ["laid_over", "signed_colours"]

# From dark to light as it gets hotter, so that it reads without colours too (a few stops of Matplotlib's "inferno").
STOPS = np.array([
    (0.07, 0.04, 0.20), (0.34, 0.06, 0.43), (0.60, 0.16, 0.38), (0.85, 0.31, 0.22), (0.98, 0.60, 0.04),
    (0.97, 0.90, 0.42), (1.00, 1.00, 0.75),
])  # fmt: skip
GREY = (0.299, 0.587, 0.114)
DIMMED, STRONGEST = 0.65, 0.72
NEGATIVE, NOTHING, POSITIVE = np.array([(0.0, 0.35, 0.71), (0.96, 0.96, 0.95), (0.84, 0.33, 0.0)])


def laid_over(pixels: NDArray[Any], heat: NDArray[Any], channels: Sequence[str] | None) -> NDArray[np.uint8]:
    """A picture in grey under a map that hides nothing where it is cold.

    Args:
        pixels: Shape (channels, height, width), any depth.
        heat: Shape (height, width), 0 to 1.
        channels: The channels' names.

    Returns:
        Shape (height, width, 3).
    """
    seen = composite(bounded(pixels), channels).astype(np.float64) / 255
    grey = DIMMED * (seen if seen.ndim == 2 else seen @ np.array(GREY))[:, :, None]
    if heat.shape != grey.shape[:2]:
        small = Image.fromarray(heat.astype(np.float32)).resize(grey.shape[1::-1], Image.Resampling.BILINEAR)
        heat = np.asarray(small)
    share = np.clip(np.nan_to_num(heat), 0, 1)
    place = np.linspace(0, 1, len(STOPS))
    colour = np.stack([np.interp(share, place, column) for column in STOPS.T], axis=2)
    cover = STRONGEST * np.sqrt(share)[:, :, None]
    return ((1 - cover) * grey * 255 + cover * colour * 255 + 0.5).clip(0, 255).astype(np.uint8)


def signed_colours(values: NDArray[Any], most: float) -> NDArray[np.uint8]:
    """Numbers below zero in blue, above it in orange, nothing nearly white.

    Args:
        values: Any shape.
        most: What gets the full colour.

    Returns:
        The same shape and three colours more.
    """
    share = np.clip(values / (most if most > 0 else 1.0), -1, 1)[..., None]
    full = np.where(share < 0, NEGATIVE, POSITIVE)
    return ((NOTHING + np.abs(share) * (full - NOTHING)) * 255 + 0.5).astype(np.uint8)
