"""Elastic deformation: random shifts of a coarse grid, interpolated smoothly and added to the sampling grid."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

KNOTS = 4
ELASTIC_DRAWS = 2 * KNOTS * KNOTS


def elastic_displacement(draws: Tensor, strength: float, size: int) -> Tensor:
    """Smooth random displacement field (Simard, Steinkraus & Platt 2003, with grid knots in place of a blur).

    Args:
        draws: Uniform numbers in [0, 1), shape (n, 32): x and y shift of each of 4 x 4 knots.
        strength: Largest shift of a knot as a share of the side.
        size: Side of the output in pixels.

    Returns:
        In units in which the output spans [-1, 1], shape (n, size, size, 2).
    """
    knots = (draws * 2 - 1).reshape(-1, 2, KNOTS, KNOTS) * (2 * strength)
    smooth = functional.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)
