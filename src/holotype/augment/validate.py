"""Checks of an augmentation against the images."""

from __future__ import annotations

from holotype.core.errors import RecipeError
from holotype.recipe.sections import AugmentSpec

__all__ = ["validate_augment"]


def validate_augment(spec: AugmentSpec, channels: int) -> None:
    """Refuse what does not go with the images.

    Args:
        spec: The recipe's section.
        channels: Channels that the network sees.

    Raises:
        RecipeError: Saturation is asked for where there are not three channels.
    """
    if spec.saturation and channels != 3:
        raise RecipeError(
            f"saturation is for red, green and blue, and the network sees {channels} channels",
            field="models.augment.saturation",
            value=spec.saturation,
            remedy="write 0; brightness and contrast change each channel by itself",
        )
