"""Data augmentation and test-time views: pure functions of a batch and its random numbers."""

from typing import TYPE_CHECKING

from holotype.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from holotype.augment.crops import crop_matrices, random_crop_centers, tile_centers
    from holotype.augment.degrade import DEGRADATION_DRAWS, apply_degradations
    from holotype.augment.elastic import ELASTIC_DRAWS, elastic_displacement
    from holotype.augment.geometry import GEOMETRY_DRAWS, affine_matrices, identity_matrices, warp
    from holotype.augment.intensity import intensity_draws, jitter, normalize
    from holotype.augment.mixup import MIX_DRAWS, mix_batches, mixing_partners
    from holotype.augment.tta import tta_matrices
    from holotype.augment.validate import validate_augment
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "crops": ("crop_matrices", "random_crop_centers", "tile_centers"),
            "degrade": ("DEGRADATION_DRAWS", "apply_degradations"),
            "elastic": ("ELASTIC_DRAWS", "elastic_displacement"),
            "geometry": ("GEOMETRY_DRAWS", "affine_matrices", "identity_matrices", "warp"),
            "intensity": ("intensity_draws", "jitter", "normalize"),
            "mixup": ("MIX_DRAWS", "mix_batches", "mixing_partners"),
            "tta": ("tta_matrices",),
            "validate": ("validate_augment",),
        },
    )

__all__ = [
    "DEGRADATION_DRAWS",
    "ELASTIC_DRAWS",
    "GEOMETRY_DRAWS",
    "MIX_DRAWS",
    "affine_matrices",
    "apply_degradations",
    "crop_matrices",
    "elastic_displacement",
    "identity_matrices",
    "intensity_draws",
    "jitter",
    "mix_batches",
    "mixing_partners",
    "normalize",
    "random_crop_centers",
    "tile_centers",
    "tta_matrices",
    "validate_augment",
    "warp",
]
