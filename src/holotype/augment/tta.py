"""Views of test-time augmentation (TTA)."""

from __future__ import annotations

import torch
from torch import Tensor

from holotype.core.errors import RecipeError

_FLIPS = [[[1, 0], [0, 1]], [[-1, 0], [0, 1]], [[1, 0], [0, -1]], [[-1, 0], [0, -1]]]
_TRANSPOSED = [[[0, 1], [1, 0]], [[0, -1], [1, 0]], [[0, 1], [-1, 0]], [[0, -1], [-1, 0]]]

VIEWS = {"none": _FLIPS[:1], "flips": _FLIPS, "d4": _FLIPS + _TRANSPOSED}
"""The linear part of every view; `d4` is the symmetry group of the square."""


def tta_matrices(views: str) -> Tensor:
    """Get the affine matrix of each view, shape (views, 2, 3), the identity first.

    Raises RecipeError if no view set has this name.
    """
    if views not in VIEWS:
        raise RecipeError(f"there are no views {views!r}", field="models.predict.tta", value=views, allowed=VIEWS)
    linear = torch.tensor(VIEWS[views], dtype=torch.float32)
    return torch.cat([linear, torch.zeros(len(linear), 2, 1)], dim=2)
