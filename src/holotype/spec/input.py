"""`input:` of a member: what the network sees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holotype.spec.base import Later, Section

__all__ = ["InputSpec"]


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
