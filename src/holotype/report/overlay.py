"""Heat-map overlays, and signed weights as colors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from holotype.report.render import composite, subsample

# From dark to light as it gets hotter, so that it reads without colours too (a few stops of Matplotlib's "inferno").
STOPS = np.array(
    [
        (0.07, 0.04, 0.20),
        (0.34, 0.06, 0.43),
        (0.60, 0.16, 0.38),
        (0.85, 0.31, 0.22),
        (0.98, 0.60, 0.04),
        (0.97, 0.90, 0.42),
        (1.00, 1.00, 0.75),
    ]
)
GRAY_WEIGHTS = (0.299, 0.587, 0.114)
DIMMED, MAX_OPACITY = 0.65, 0.72
NEGATIVE, NEUTRAL, POSITIVE = np.array([(0.0, 0.35, 0.71), (0.96, 0.96, 0.95), (0.84, 0.33, 0.0)])


def overlay_heatmap(pixels: NDArray[Any], heat: NDArray[Any], channels: Sequence[str] | None) -> NDArray[np.uint8]:
    """Heat map over a grayscale picture; transparent where the heat is zero.

    `pixels`: shape (channels, height, width), any depth; `heat`: shape (height, width), 0 to 1. Returns shape (height,
    width, 3).
    """
    picture = composite(subsample(pixels), channels).astype(np.float64) / 255
    gray = DIMMED * (picture if picture.ndim == 2 else picture @ np.array(GRAY_WEIGHTS))[:, :, None]
    if heat.shape != gray.shape[:2]:
        small = Image.fromarray(heat.astype(np.float32)).resize(gray.shape[1::-1], Image.Resampling.BILINEAR)
        heat = np.asarray(small)
    share = np.clip(np.nan_to_num(heat), 0, 1)
    positions = np.linspace(0, 1, len(STOPS))
    color = np.stack([np.interp(share, positions, column) for column in STOPS.T], axis=2)
    cover = MAX_OPACITY * np.sqrt(share)[:, :, None]
    return ((1 - cover) * gray * 255 + cover * color * 255 + 0.5).clip(0, 255).astype(np.uint8)


def signed_colors(values: NDArray[Any], limit: float) -> NDArray[np.uint8]:
    """Signed values as colors: negative blue, positive orange, zero nearly white."""
    share = np.clip(values / (limit if limit > 0 else 1.0), -1, 1)[..., None]
    full = np.where(share < 0, NEGATIVE, POSITIVE)
    return ((NEUTRAL + np.abs(share) * (full - NEUTRAL)) * 255 + 0.5).astype(np.uint8)
