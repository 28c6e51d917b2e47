"""Image dataset: stored pixels, how a model looks at them, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from holotype.augment import validate_augment
from holotype.core.errors import DataError
from holotype.data import PixelCache, row_normalization
from holotype.recipe.sections import ModelSpec
from holotype.types import AnyLabels, Floats, ImageStatistics, ImageTable, LabelMatrix, Normalization

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ImageDataset", "Tiles", "compute_row_normalization", "make_dataset"]


@dataclass(frozen=True)
class Tiles:
    """How images are cut into tiles.

    Args:
        size: Side of a tile in stored pixels.
        sampling: Whether a training tile lies anywhere or in a cell of the grid.
    """

    size: int
    sampling: Literal["random", "grid"]


@dataclass(frozen=True)
class ImageDataset:
    """What a network is fed with.

    Args:
        pixel_cache: The stored images, one an image row.
        normalization: Mean and deviation a channel, over the whole set.
        truth: Which classes each image row has, shape (rows, classes); none where that is unknown. An array of True
            and False becomes a `LabelMatrix`.
        input_channels: Numbers of the channels that the network sees, in its order; all of them where none are given.
        row_normalization: Means and deviations a channel of each image row, which scale it instead of the set's.
        tiles: How images are cut up, where they are.
        crop_share: Side of the window that training sees over the longest side of the stored images.
        jitter_channels: Numbers of the channels, as the network sees them, whose brightness and contrast training
            changes; all of them where none are given.
    """

    pixel_cache: PixelCache
    normalization: Normalization
    truth: LabelMatrix
    input_channels: tuple[int, ...] | None = None
    row_normalization: tuple[Floats, Floats] | None = None
    tiles: Tiles | None = None
    crop_share: float = 1.0
    jitter_channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", LabelMatrix.from_dense(self.truth))

    @property
    def channels(self) -> int:
        """Channels that the network sees."""
        return len(self.input_channels) if self.input_channels is not None else int(self.pixel_cache.pixels.shape[1])

    @property
    def window_share(self) -> float:
        """Side of what is read at once over the longest side of the stored images."""
        return 1.0 if self.tiles is None else self.tiles.size / max(self.pixel_cache.pixels.shape[2:])

    def grid(self) -> Tensor:
        """Centers of all tiles of an image, or its middle where it is not cut, shape (windows, 2)."""
        from holotype.augment import tile_centers

        height, width = self.pixel_cache.pixels.shape[2:]
        return tile_centers(height, width, self.window_share)


def make_dataset(
    model: ModelSpec,
    pixel_cache: PixelCache,
    images: ImageTable,
    statistics: ImageStatistics,
    normalization: Normalization,
    truth: AnyLabels,
) -> ImageDataset:
    """Stored images as one model looks at them.

    Args:
        model: The recipe's section, its size resolved.
        pixel_cache: The stored images.
        images: The table.
        statistics: Of every image.
        normalization: Of the training set.
        truth: Which classes each image row has, shape (rows, classes).

    Raises:
        DataError: A channel is not there, or images are to be scaled by plate and their plates are not known.
        RecipeError: The augmentation does not go with the channels.
    """
    section, tile = model.input, model.input.tile
    tiles = None if tile is None else Tiles(min(tile.size, model.largest_size), tile.sampling)
    row_normalization = compute_row_normalization(model, images, statistics)
    crop_share = model.augment.crop_share(int(section.size))
    input_channels = _channel_indices(section.channels, images.channels, "models.input.channels")
    jitter_channels = _channel_indices(
        model.augment.channels, section.channels or images.channels, "models.augment.channels"
    )
    dataset = ImageDataset(
        pixel_cache,
        normalization,
        LabelMatrix.from_dense(truth),
        input_channels,
        row_normalization,
        tiles,
        crop_share,
        jitter_channels,
    )
    validate_augment(model.augment, dataset.channels)
    return dataset


def compute_row_normalization(
    model: ModelSpec, images: ImageTable, statistics: ImageStatistics
) -> tuple[Floats, Floats] | None:
    """Means and deviations a channel of each image row, shape (rows, channels), where they scale it.

    Args:
        model: The recipe's section.
        images: The table.
        statistics: Of every image.

    Returns:
        None where the whole set's scale all of them.

    Raises:
        DataError: Images are to be scaled by plate, and their plates are not known.
    """
    if model.input.normalize == "dataset":
        return None
    return row_normalization(statistics.frame, _plates(images) if model.input.normalize == "plate" else None)


def _channel_indices(selected: Sequence[str] | None, names: Sequence[str] | None, field: str) -> tuple[int, ...] | None:
    """Places of some channels among all that are named."""
    if selected is None:
        return None
    if names is None:
        raise DataError(
            "some channels are asked for and none are named",
            field="data.channels",
            remedy="list the names of all channels there, in the order of the files",
        )
    for name in selected:
        if name not in names:
            raise DataError(f"there is no channel {name!r}", field=field, value=name, allowed=names)
    return tuple(names.index(name) for name in selected)


def _plates(images: ImageTable) -> pl.Series:
    if not images.group_names:
        raise DataError(
            "images are to be scaled by plate, and there is no column of plates",
            field="models.input.normalize",
            value="plate",
            remedy="name the column of the plates first in `data.groups`; new images need it in their table",
        )
    return images.frame[f"group.{images.group_names[0]}"]
