"""Augmentation and views: pure functions on batches, with their random numbers handed in."""

from holotype.augment.geometry import GEOMETRY_DRAWS, affine_matrices, identity_matrices, warp
from holotype.augment.intensity import intensity_draws, jitter, normalise
from holotype.augment.views import view_matrices
from holotype.augment.windows import drawn_centres, grid_centres, windowed

__all__ = [
    "GEOMETRY_DRAWS",
    "affine_matrices",
    "drawn_centres",
    "grid_centres",
    "identity_matrices",
    "intensity_draws",
    "jitter",
    "normalise",
    "view_matrices",
    "warp",
    "windowed",
]
