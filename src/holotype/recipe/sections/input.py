"""`input:` of a model: what the network sees."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from holotype.recipe.sections.base import ChannelNames, Section

__all__ = ["InputSpec", "TileSpec"]


class TileSpec(Section):
    """Tiles that an image is cut into."""

    size: Annotated[int, Field(ge=16, le=16_384)]
    """Side of a tile in pixels of the image file."""
    sampling: Literal["random", "grid"] = "random"
    """Where a training tile lies: anywhere, or in a cell of the grid; an epoch sees one tile an image. At prediction
    every cell of the grid is read and their scores are pooled."""


class InputSpec(Section):
    """The size and scale of what the network sees."""

    size: Literal["auto"] | Annotated[int, Field(ge=16, le=4096)] = "auto"
    """Side of the square input in pixels; `auto` is the images' own longest side, between 64 and 224."""
    resize: Literal["auto", "none", "fit", "stretch"] = "auto"
    """`fit` keeps the aspect ratio and extends the edges; `stretch` does not; `none` insists on images of this size;
    `auto` fits what is not square. Images are never enlarged before the one interpolation of the augmentation."""
    tile: TileSpec | None = None
    """Tiles that an image is cut into, or their side; `size` is then the side of a tile as the network sees it."""
    channels: ChannelNames | None = None
    """Some of `data.channels`, in this order."""
    normalize: Literal["dataset", "image", "plate"] = "dataset"
    """Whose mean and standard deviation scale the pixels, channel by channel; a `plate` is a value of the first of
    `data.groups`."""

    @field_validator("tile", mode="before")
    @classmethod
    def _expand_tile_size(cls, value: Any) -> Any:
        return {"size": value} if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _validate_tiles(self) -> InputSpec:
        if self.tile is not None and self.resize in {"stretch", "none"}:
            raise ValueError(f"resize: {self.resize!r} does not go with tiles; write 'auto'")
        return self
