"""Elastic warps: a few random shifts, drawn out smoothly over the image and added to the one sampling grid."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["ELASTIC_DRAWS", "elastic_displacement"]

KNOTS = 4
ELASTIC_DRAWS = 2 * KNOTS * KNOTS


def elastic_displacement(draws: Tensor, strength: float, size: int) -> Tensor:
    """A smooth displacement of every pixel (Simard, Steinkraus & Platt 2003, with knots in the place of a blur).

    Args:
        draws: Uniform numbers in [0, 1), shape (n, 32): a shift of x and of y for each of 4 x 4 knots.
        strength: Largest shift of a knot as a share of the side.
        size: Side of the output in pixels.

    Returns:
        In units in which the output spans [-1, 1], shape (n, size, size, 2).
    """
    knots = (draws * 2 - 1).reshape(-1, 2, KNOTS, KNOTS) * (2 * strength)
    smooth = functional.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)
