"""Views: the fixed readings of an image at prediction."""

from __future__ import annotations

import torch
from torch import Tensor

from holotype.errors import RecipeError

__all__ = ["VIEWS", "view_matrices"]

_MIRRORINGS = [[[1, 0], [0, 1]], [[-1, 0], [0, 1]], [[1, 0], [0, -1]], [[-1, 0], [0, -1]]]
_TRANSPOSED = [[[0, 1], [1, 0]], [[0, -1], [1, 0]], [[0, 1], [-1, 0]], [[0, -1], [-1, 0]]]

VIEWS = {"none": _MIRRORINGS[:1], "flips": _MIRRORINGS, "d4": _MIRRORINGS + _TRANSPOSED}
"""The linear part of every view; `d4` is the symmetry group of the square."""


def view_matrices(views: str) -> Tensor:
    """One matrix a view.

    Args:
        views: `none`, `flips` or `d4`.

    Returns:
        Shape (views, 2, 3), the plain view first.

    Raises:
        RecipeError: There are no such views.
    """
    if views not in VIEWS:
        raise RecipeError(f"there are no views {views!r}", field="members.predict.views", value=views, allowed=VIEWS)
    linear = torch.tensor(VIEWS[views], dtype=torch.float32)
    return torch.cat([linear, torch.zeros(len(linear), 2, 1)], dim=2)
