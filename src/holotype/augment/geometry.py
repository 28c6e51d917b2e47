"""Affine augmentation: flip, rotation, scale and shear in one matrix per image and one interpolation per batch.

A matrix maps output positions to input positions, in units in which the output square spans [-1, 1].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from holotype.recipe.sections import AugmentSpec

GEOMETRY_DRAWS = 5


def identity_matrices(count: int) -> Tensor:
    """Make identity matrices, shape (count, 2, 3)."""
    return torch.eye(2, 3).repeat(count, 1, 1)


def affine_matrices(draws: Tensor, spec: AugmentSpec) -> Tensor:
    """Draw random affine matrices: flip, then shear, scale and rotation about the center, shape (n, 2, 3).

    `draws`: uniform numbers in [0, 1), shape (n, 5): angle, scale, shear, horizontal and vertical flip.
    """
    signed = draws[:, :3] * 2 - 1
    angle = signed[:, 0] * math.radians(spec.rotate)
    low, high = (math.log(bound) for bound in spec.scale)
    zoom = torch.exp(-(low + draws[:, 1] * (high - low)))  # twice the size is half the step on the input
    shear = torch.tan(signed[:, 2] * math.radians(spec.shear))
    flip_x = _mirror_signs(draws[:, 3], spec.flip in (True, "horizontal"))
    flip_y = _mirror_signs(draws[:, 4], spec.flip in (True, "vertical"))
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    first_row = torch.stack([cosine, shear * cosine - sine, torch.zeros_like(angle)], dim=1)
    second_row = torch.stack([sine, shear * sine + cosine, torch.zeros_like(angle)], dim=1)
    flips = torch.stack([flip_x, flip_y, torch.ones_like(flip_x)], dim=1)
    return torch.stack([first_row, second_row], dim=1) * flips[:, None, :]


def warp(
    pixels: Tensor, matrices: Tensor, size: int, resize_mode: str = "fit", displacement: Tensor | None = None
) -> Tensor:
    """Resample a batch through affine matrices with one bilinear interpolation; the outside is mirrored.

    Args:
        pixels: Shape (n, channels, H, W), float32; any number of channels.
        matrices: Shape (n, 2, 3) or (1, 2, 3).
        size: Side of the output square in pixels.
        resize_mode: `fit` keeps the aspect ratio (the longer side fills the square); `stretch` does not.
        displacement: Added to the output positions before the matrix, shape (n, size, size, 2).

    Returns:
        Shape (n, channels, size, size), on the device of `pixels`.
    """
    count, channels, height, width = pixels.shape
    if resize_mode == "fit":
        longest = max(height, width)
        aspect = torch.tensor([[longest / width], [longest / height]])
        matrices = matrices * aspect
    matrices = matrices.to(pixels.device).expand(count, 2, 3)
    shape = [count, channels, size, size]
    if displacement is None:
        grid = functional.affine_grid(matrices, shape, align_corners=False)
    else:
        identity = identity_matrices(1).expand(count, 2, 3).to(pixels.device)
        displaced = functional.affine_grid(identity, shape, align_corners=False) + displacement.to(pixels.device)
        grid = displaced @ matrices[:, None, :, :2].transpose(2, 3) + matrices[:, None, None, :, 2]
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _mirror_signs(draw: Tensor, allowed: bool) -> Tensor:
    return torch.where(draw < 0.5, -1.0, 1.0) if allowed else torch.ones_like(draw)
