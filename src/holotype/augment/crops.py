"""Crops and tiles, as shifts and scales of an affine matrix.

Lengths are in units of half of the image's longest side, with the origin in its middle, as in `warp`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def crop_matrices(matrices: Tensor, centers: Tensor, share: float) -> Tensor:
    """Restrict affine matrices to a window of the image, shape (n, 2, 3).

    `matrices`: shape (n, 2, 3) or (1, 2, 3); `centers`: (x, y) of the windows, shape (n, 2) or (1, 2).
    """
    scaled = matrices * share
    shift = torch.cat([torch.zeros(len(centers), 2, 2), centers[:, :, None]], dim=2)
    return scaled + shift.to(scaled)


def tile_centers(height: int, width: int, share: float) -> Tensor:
    """Place the fewest tiles that cover an image, evenly spaced.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        (x, y) row by row, shape (tiles, 2).
    """
    longest = max(height, width)
    down, across = (_axis_centers(side / longest, share) for side in (height, width))
    return torch.tensor([(x, y) for y in down for x in across], dtype=torch.float32)


def random_crop_centers(draws: Tensor, height: int, width: int, share: float) -> Tensor:
    """Draw centers of crops that lie inside an image, shape (n, 2).

    Args:
        draws: Uniform numbers in [0, 1), shape (n, 2).
        height: Of the image, in pixels.
        width: Of the image, in pixels.
    """
    longest = max(height, width)
    slack = torch.tensor([max(width / longest - share, 0.0), max(height / longest - share, 0.0)])
    return (draws * 2 - 1) * slack


def _axis_centers(extent: float, share: float) -> list[float]:
    count = max(math.ceil(extent / share - 1e-6), 1)
    slack = max(extent - share, 0.0)
    return [0.0] if count == 1 else [slack * (2 * number / (count - 1) - 1) for number in range(count)]
