"""`augment:` section of a model: random changes of the training images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from holotype.recipe.sections.base import ChannelNames, Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class MixSpec(Section):
    """Mixing of two training images: mixup, CutMix or sample pairing."""

    kind: Literal["mixup", "cutmix", "sample-pairing"]
    """`mixup`: a weighted sum of images and labels; `cutmix`: a rectangle of another image, labels by area;
    `sample-pairing`: the mean of two images with the labels of the first."""
    alpha: float = Field(default=0.4, gt=0.0, le=10.0)
    """Both parameters of the Beta distribution of the weight; small values leave most images nearly unmixed."""
    probability: Share = 1.0
    """Share of the images that are mixed."""


class CustomAugmentSpec(Section):
    """Augmentation of a plugin."""

    name: str
    """Name under which the plugin registered it."""
    options: dict[str, Any] = {}
    """Its options."""


class AugmentSpec(Section):
    """Random augmentation of the training images.

    It depends on seed, row and epoch only, so that a resumed run repeats it.
    """

    flip: bool | Literal["horizontal", "vertical"] = True
    """Flip half of the images along both axes, or along one."""
    rotate: float = Field(default=180.0, ge=0.0, le=180.0)
    """Largest rotation in degrees, in both directions."""
    scale: tuple[float, float] = (0.8, 1.25)
    """Smallest and largest magnification, drawn log-uniformly."""
    shear: float = Field(default=0.0, ge=0.0, le=60.0)
    """Largest shear in degrees, in both directions."""
    elastic: float = Field(default=0.0, ge=0.0, le=0.5)
    """Elastic deformation: largest displacement of a smooth field, as a share of the side."""
    crop: Literal["none", "random"] | dict[Literal["image_size"], Annotated[int, Field(ge=16, le=16_384)]] = "none"
    """Crop of a larger image: `none` takes all of it; `random`, a random window of four fifths of the side;
    `{image_size: 768}`, a random window of the input's size from images fitted to so many pixels. Prediction uses the
    whole image."""
    brightness: float = Field(default=0.2, ge=0.0)
    """Largest shift of each channel, in standard deviations of the data set."""
    contrast: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Largest relative change of each channel's spread about the image's mean."""
    channels: ChannelNames | None = None
    """Channels of `data.channels` whose brightness and contrast change; all of them by default."""
    gamma: float = Field(default=0.0, ge=0.0, le=2.0)
    """Gamma correction: largest logarithm of the exponent, applied between each channel's darkest and brightest
    pixel."""
    saturation: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Largest relative change of saturation, for RGB images."""
    noise: float = Field(default=0.0, ge=0.0)
    """Largest standard deviation of Gaussian noise, in standard deviations of the data set."""
    blur: float = Field(default=0.0, ge=0.0, le=16.0)
    """Largest standard deviation of a Gaussian blur, in pixels of the input."""
    random_erasing: Share = 0.0
    """Share of the images with an erased rectangle."""
    mix: MixSpec | None = None
    """Mixup, CutMix or sample pairing, by name or with options."""
    custom: list[CustomAugmentSpec] = []
    """Augmentations of plugins, by name or with options, in their order after all others but `mix`."""

    @field_validator("scale")
    @classmethod
    def _validate_scale(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale {list(scale)} must be [smallest, largest] with 0 < smallest <= largest")
        return scale

    @field_validator("mix", mode="before")
    @classmethod
    def _expand_mix_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("custom", mode="before")
    @classmethod
    def _expand_custom(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"name": entry} if isinstance(entry, str) else entry for entry in value]

    def crop_share(self, size: int) -> float:
        """Side of the window over the image's longest side; 1 is the whole image.

        `size`: the model's input size in pixels.
        """
        if isinstance(self.crop, dict):
            return min(size / self.crop["image_size"], 1.0)
        return 0.8 if self.crop == "random" else 1.0
