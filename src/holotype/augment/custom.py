"""Augmentations of plugins: functions of a batch and its random numbers, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holotype.core.errors import RecipeError
from holotype.core.registry import Registry
from holotype.recipe.sections import CustomAugmentSpec

if TYPE_CHECKING:
    from torch import Tensor

AUGMENTATIONS = Registry("augmentation")
"""Functions `(pixels, draws, **options)` that return pixels of the same shape and type.

`pixels` are normalized, shape (n, channels, H, W), float32; `draws` are uniform random numbers in [0, 1), on the same
device, shape (n, 16)."""
CUSTOM_DRAWS = 16


def apply_custom(pixels: Tensor, draws: Sequence[Tensor], custom: Sequence[CustomAugmentSpec]) -> Tensor:
    """Apply augmentations of plugins in their order.

    Args:
        pixels: Shape (n, channels, H, W), normalized.
        draws: Uniform numbers in [0, 1) for each of them, shape (n, 16).

    Raises:
        RecipeError: An augmentation changes the shape or type of the batch.
    """
    for entry, numbers in zip(custom, draws, strict=True):
        changed = AUGMENTATIONS[entry.name](pixels, numbers.to(pixels.device), **entry.options)
        expected, actual = (tuple(pixels.shape), pixels.dtype), (tuple(changed.shape), changed.dtype)
        if actual != expected:
            raise RecipeError(
                f"the augmentation {entry.name!r} returns {actual[0]} of {actual[1]} for a batch of {expected[0]} of "
                f"{expected[1]}",
                field="models.augment.custom",
                value=entry.name,
                remedy="return pixels of the same shape and type",
            )
        pixels = changed
    return pixels
