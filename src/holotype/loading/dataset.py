"""Image dataset: cached pixels, their normalization and tiling for one model, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from holotype.augment import validate_augment
from holotype.core.errors import DataError, RecipeError, pluralize
from holotype.data import PixelCache, row_normalization
from holotype.recipe.sections import ModelSpec
from holotype.types import AnyLabels, Floats, ImageStatistics, ImageTable, LabelMatrix, Normalization

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Tiles:
    """Tiling of images. `size`: side of a tile in cached pixels."""

    size: int
    sampling: Literal["random", "grid"]


@dataclass(frozen=True)
class ImageDataset:
    """Dataset of a network: cached images, labels and per-model preprocessing.

    Args:
        pixel_cache: One entry per image row.
        normalization: Mean and deviation per channel of the data set.
        truth: Shape (rows, classes); rows without labels are empty. A boolean array becomes a `LabelMatrix`.
        input_channels: Channel indices in the order of the network; None for all.
        row_normalization: Means and deviations, shape (rows, channels) each, which replace those of the data set.
        crop_share: Side of a random training crop over the longest side of the cached images.
        jitter_channels: Indices, in the network's order, of the channels that intensity augmentation changes; None for
            all.
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
        """Number of channels that the network reads."""
        return len(self.input_channels) if self.input_channels is not None else int(self.pixel_cache.pixels.shape[1])

    @property
    def window_share(self) -> float:
        """Side of a tile, or of the image without tiles, over the longest side of the cached images."""
        return 1.0 if self.tiles is None else self.tiles.size / max(self.pixel_cache.pixels.shape[2:])

    def grid(self) -> Tensor:
        """Centers of all tiles of an image, or its middle without tiles, shape (tiles, 2)."""
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
    """Make the image dataset of one model.

    `truth`: labels of the image rows, shape (rows, classes). Raises DataError if a channel does not exist, or
    normalization by plate has no plate column. Raises RecipeError if the augmentation does not fit the channels.
    """
    section, tile = model.input, model.input.tile
    tiles = None if tile is None else Tiles(min(tile.size, model.largest_size), tile.sampling)
    scaling = compute_row_normalization(model, images, statistics)
    input_channels = _channel_indices(section.channels, images.channels, "models.input.channels")
    jitter_channels = _channel_indices(
        model.augment.channels, section.channels or images.channels, "models.augment.channels"
    )
    crop_share = model.augment.crop_share(int(section.size))
    truth = LabelMatrix.from_dense(truth)
    if section.normalize == "weights":
        normalization = _pretraining_normalization(model, pixel_cache, statistics, normalization, input_channels)
    dataset = ImageDataset(
        pixel_cache, normalization, truth, input_channels, scaling, tiles, crop_share, jitter_channels
    )
    validate_augment(model.augment, dataset.channels)
    return dataset


def compute_row_normalization(
    model: ModelSpec, images: ImageTable, statistics: ImageStatistics
) -> tuple[Floats, Floats] | None:
    """Compute means and deviations per image or plate, shape (rows, channels); None for the same of all images.

    Raises DataError if normalization by plate has no plate column.
    """
    if model.input.normalize in {"dataset", "weights"}:
        return None
    return row_normalization(statistics.frame, _plates(images) if model.input.normalize == "plate" else None)


def _pretraining_normalization(
    model: ModelSpec,
    pixel_cache: PixelCache,
    statistics: ImageStatistics,
    normalization: Normalization,
    input_channels: tuple[int, ...] | None,
) -> Normalization:
    """Normalization of the pretraining, in units of the files.

    A network that reads one channel at a time gets the mean over the channels of the pretraining.

    Raises:
        RecipeError: The images have more than 8 bits, another number of channels, or some without all channels.
    """
    from holotype.networks import pretraining_statistics

    mean, deviation = pretraining_statistics(model.backbone, model.weights)
    selected = range(len(normalization.mean)) if input_channels is None else input_channels
    if len(mean) == 1 or len(selected) == 1 or model.input.channels_as != "stacked":
        mean, deviation = ((sum(side) / len(side),) * len(selected) for side in (mean, deviation))
    has_missing = "missing" in statistics.frame.columns and bool((statistics.frame["missing"].list.max() > 0).any())
    if pixel_cache.pixels.dtype != "uint8" or len(mean) != len(selected) or has_missing:
        state = "some without all of their channels" if has_missing else f"of type {pixel_cache.pixels.dtype}"
        raise RecipeError(
            f"the weights state the mean of {pluralize(len(mean), 'channel')} of type uint8, and the images have "
            f"{pluralize(len(selected), 'channel')}, {state}",
            field="models.input.normalize",
            value="weights",
            allowed=("dataset", "image", "plate"),
        )
    means, deviations = list(normalization.mean), list(normalization.deviation)
    for channel, center, spread in zip(selected, mean, deviation, strict=True):
        means[channel], deviations[channel] = center * 255.0, spread * 255.0
    return Normalization(tuple(means), tuple(deviations))


def _channel_indices(selected: Sequence[str] | None, names: Sequence[str] | None, field: str) -> tuple[int, ...] | None:
    if selected is None:
        return None
    if names is None:
        message = "the recipe selects channels by name, and the images have no channel names"
        remedy = "list the names of all channels, in the order of the files"
        raise DataError(message, field="data.channels", remedy=remedy)
    for name in selected:
        if name not in names:
            raise DataError(f"there is no channel {name!r}", field=field, value=name, allowed=names)
    return tuple(names.index(name) for name in selected)


def _plates(images: ImageTable) -> pl.Series:
    if not images.group_names:
        raise DataError(
            "normalization by plate needs a column of plates, and the table has none",
            field="models.input.normalize",
            value="plate",
            remedy="name the plate column first in `data.groups`; new images need it in their table too",
        )
    return images.frame[f"group.{images.group_names[0]}"]
