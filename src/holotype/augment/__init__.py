"""Augmentation and views: pure functions on batches, with their random numbers handed in."""

from holotype.augment.elastic import WARP_DRAWS, elastic_displacement
from holotype.augment.geometry import GEOMETRY_DRAWS, affine_matrices, identity_matrices, warp
from holotype.augment.intensity import intensity_draws, jitter, normalise
from holotype.augment.mix import MIX_DRAWS, mix_batches, partner_places
from holotype.augment.optics import OPTICS_DRAWS, check_augment, disturb
from holotype.augment.views import view_matrices
from holotype.augment.windows import drawn_centres, grid_centres, windowed

__all__ = [
    "GEOMETRY_DRAWS",
    "MIX_DRAWS",
    "OPTICS_DRAWS",
    "WARP_DRAWS",
    "affine_matrices",
    "check_augment",
    "disturb",
    "drawn_centres",
    "elastic_displacement",
    "grid_centres",
    "identity_matrices",
    "intensity_draws",
    "jitter",
    "mix_batches",
    "normalise",
    "partner_places",
    "view_matrices",
    "warp",
    "windowed",
]
