"""`input:` section of a model: size, channels and normalization of the network's input."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from holotype.recipe.sections.base import ChannelNames, Section


class TileSpec(Section):
    """Tiles that an image is cut into."""

    size: Annotated[int, Field(ge=16, le=16_384)]
    """Side of a tile in pixels of the image file."""
    sampling: Literal["random", "grid"] = "random"
    """Position of training tiles: anywhere, or in a cell of the grid; one tile per image and epoch. At prediction, the
    scores of all cells of the grid are pooled."""


class InputSpec(Section):
    """Size, channels and normalization of the network's input."""

    size: Literal["auto"] | Annotated[int, Field(ge=16, le=4096)] = "auto"
    """Side of the square input in pixels; `auto` is the images' longest side, clipped to the range 64 to 224."""
    resize: Literal["auto", "none", "fit", "stretch"] = "auto"
    """`fit` keeps the aspect ratio and extends the edges; `stretch` does not keep it; `none` requires images of this
    size; `auto` fits images that are not square. Images are never enlarged before the single interpolation of the
    augmentation."""
    tile: TileSpec | None = None
    """Tiles that an image is cut into, or their side; `size` is then the side of a tile in the network's input."""
    channels: ChannelNames | None = None
    """Channels of `data.channels` to use, in this order; all of them by default."""
    channels_as: Literal["stacked", "separate", "separate-mean"] = "stacked"
    """`stacked`: the backbone reads all channels at once, and its first layer is adapted to their number. `separate`:
    it reads each channel by itself (a bag of channels), as a gray image, and the features of all channels are
    concatenated; `separate-mean`: they are averaged. Separate channels take as many passes as there are channels, with
    the same weights."""
    normalize: Literal["dataset", "image", "plate", "weights"] = "dataset"
    """Source of the mean and standard deviation that normalize each channel. A `plate` is a value of the first of
    `data.groups`; `weights` are the values of the pretraining, as a model folder or timm states them, for 8-bit
    images."""

    @field_validator("tile", mode="before")
    @classmethod
    def _expand_tile_size(cls, value: Any) -> Any:
        return {"size": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _validate_tiles(self) -> InputSpec:
        if self.tile is not None and self.resize in {"stretch", "none"}:
            raise ValueError(f"resize: {self.resize!r} cannot be combined with tiles; write 'auto'")
        return self
