"""`augment:` of a member: random changes of the training images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from holotype.spec.base import Later, Section

__all__ = ["AugmentSpec"]


class AugmentSpec(Section):
    """Random changes of the training images; drawn by row, so that a resumed run draws the same."""

    flip: bool | Literal["horizontal", "vertical"] = True
    """Mirror half of the images along both axes, or along one."""
    rotate: float = Field(default=180.0, ge=0.0, le=180.0)
    """Largest angle in degrees, to either side."""
    scale: tuple[float, float] = (0.8, 1.25)
    """Smallest and largest magnification, drawn evenly in its logarithm."""
    shear: float = Field(default=0.0, ge=0.0, le=60.0)
    """Largest shear in degrees, to either side."""
    warp: Annotated[float, Later()] = 0
    """Strength of an elastic warp."""
    crop: Annotated[Literal["none", "random"], Later("random")] = "none"
    """Which window of a larger image is taken."""
    brightness: float = Field(default=0.2, ge=0.0)
    """Largest shift of each channel, in standard deviations of the data set."""
    contrast: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Largest relative change of each channel's spread about the image's own mean."""
    saturation: Annotated[float, Later()] = 0
    """Largest relative change of saturation (RGB)."""
    mix: Annotated[dict[str, Any] | str | None, Later()] = None
    """Mixup, cutmix or sample pairing."""

    @field_validator("scale")
    @classmethod
    def _scale_is_a_range(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale {list(scale)} must be [smallest, largest] with 0 < smallest <= largest")
        return scale
