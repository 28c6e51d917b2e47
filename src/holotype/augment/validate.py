"""Validation of augmentations against the image channels."""

from __future__ import annotations

from holotype.core.errors import RecipeError
from holotype.recipe.sections import AugmentSpec


def validate_augment(spec: AugmentSpec, channels: int) -> None:
    """Refuse augmentations that do not fit the channels that the network reads.

    Raises RecipeError if saturation needs three channels.
    """
    if spec.saturation and channels != 3:
        raise RecipeError(
            f"saturation needs red, green and blue channels, and the network reads {channels} channels",
            field="models.augment.saturation",
            value=spec.saturation,
            remedy="write 0; brightness and contrast work on any channels",
        )
