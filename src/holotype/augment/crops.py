"""Windows: the parts of an image that are read as images of their own, as shifts and scales of an affine matrix.

Lengths are in units of half of the image's longest side, with the origin in its middle, as `warp` has them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["crop_matrices", "random_crop_centers", "tile_centers"]


def crop_matrices(matrices: Tensor, centers: Tensor, share: float) -> Tensor:
    """Matrices that read a window where they read the whole image.

    Args:
        matrices: Shape (n, 2, 3) or (1, 2, 3).
        centers: Of the windows, (x, y), shape (n, 2) or (1, 2).
        share: Side of the window over the image's longest side.

    Returns:
        Shape (n, 2, 3).
    """
    scaled = matrices * share
    shift = torch.cat([torch.zeros(len(centers), 2, 2), centers[:, :, None]], dim=2)
    return scaled + shift.to(scaled)


def tile_centers(height: int, width: int, share: float) -> Tensor:
    """Centers of the fewest windows that cover an image, evenly spread.

    Args:
        height: Of the image in pixels.
        width: Of the image in pixels.
        share: Side of a window over the longest side.

    Returns:
        (x, y) row by row, shape (windows, 2).
    """
    longest = max(height, width)
    down, across = (_axis_centers(side / longest, share) for side in (height, width))
    return torch.tensor([(x, y) for y in down for x in across], dtype=torch.float32)


def random_crop_centers(draws: Tensor, height: int, width: int, share: float) -> Tensor:
    """Centers of windows that lie anywhere inside an image.

    Args:
        draws: Uniform numbers in [0, 1), shape (n, 2).
        height: Of the image in pixels.
        width: Of the image in pixels.
        share: Side of a window over the longest side.

    Returns:
        (x, y), shape (n, 2).
    """
    longest = max(height, width)
    slack = torch.tensor([max(width / longest - share, 0.0), max(height / longest - share, 0.0)])
    return (draws * 2 - 1) * slack


def _axis_centers(extent: float, share: float) -> list[float]:
    """Centers along one side of the image, which reaches from -extent to extent."""
    count = max(math.ceil(extent / share - 1e-6), 1)
    slack = max(extent - share, 0.0)
    return [0.0] if count == 1 else [slack * (2 * number / (count - 1) - 1) for number in range(count)]
