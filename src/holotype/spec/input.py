"""`input:`, `head:` and `augment:` of a member: what the network sees and what it ends in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from holotype.spec.base import Later, Section

__all__ = ["AugmentSpec", "HeadSpec", "InputSpec"]


class InputSpec(Section):
    """The size and scale of what the network sees."""

    size: Literal["auto"] | Annotated[int, Field(ge=16, le=4096)] = "auto"
    """Side of the square input in pixels; `auto` is the images' own longest side, between 64 and 224."""
    resize: Literal["auto", "none", "fit", "stretch"] = "auto"
    """`fit` keeps the aspect ratio and extends the edges; `stretch` does not; `none` insists on images of this size;
    `auto` fits what is not square. Images are never enlarged before the one interpolation of the augmentation."""
    tile: Annotated[int | None, Later()] = None
    """Side of the tiles that an image is cut into; `size` is then the side of a tile as the network sees it."""
    channels: Annotated[list[str] | None, Later()] = None
    """Some of the channels, in this order."""
    normalise: Annotated[Literal["dataset", "image", "plate"], Later("image", "plate")] = "dataset"
    """Whose mean and standard deviation scale the pixels, channel by channel; a `plate` is a value of the first of
    `data.groups`."""


class HeadSpec(Section):
    """What turns the backbone's last feature map into one logit a class."""

    pool: Annotated[Literal["avg", "max", "concat", "gem", "attention"], Later("gem", "attention")] = "avg"
    """How the feature map becomes a vector; `concat` is average and maximum side by side."""
    hidden: Annotated[int, Field(ge=1)] | None = None
    """Width of a hidden layer with batch normalisation, or none."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of features dropped before the last layer in training."""
    margin: Annotated[dict[str, Any] | None, Later()] = None
    """An angular margin (ArcFace and its relatives)."""
    levels: Annotated[dict[str, Any] | None, Later()] = None
    """A head for each level of a taxonomy."""


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
