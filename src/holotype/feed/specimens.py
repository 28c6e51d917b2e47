"""Specimens: stored pixels, how a member looks at them, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
from torch import Tensor

from holotype.augment import check_augment, grid_centres
from holotype.data import Pack, row_normalisation
from holotype.errors import DataError
from holotype.spec import MemberSpec
from holotype.types import AnyLabels, Floats, ImageStatistics, ImageTable, LabelMatrix, Normalisation

__all__ = ["Specimens", "Tiles", "make_specimens", "row_moments"]


@dataclass(frozen=True)
class Tiles:
    """How images are cut into tiles.

    Args:
        side: Side of a tile in stored pixels.
        training: Whether a training tile lies anywhere or in a cell of the grid.
    """

    side: int
    training: Literal["random", "grid"]


@dataclass(frozen=True)
class Specimens:
    """What a network is fed with.

    Args:
        pack: The stored images, one an image row.
        normalisation: Mean and deviation a channel, over the whole set.
        truth: Which classes each image row has, shape (rows, classes); none where that is unknown. An array of True
            and False becomes a `LabelMatrix`.
        seen: Numbers of the channels that the network sees, in its order; all of them where none are given.
        moments: Means and deviations a channel of each image row, which scale it instead of the set's.
        tiles: How images are cut up, where they are.
        crop_share: Side of the window that training sees over the longest side of the stored images.
        jittered: Numbers of the channels, as the network sees them, whose brightness and contrast training changes;
            all of them where none are given.
    """

    pack: Pack
    normalisation: Normalisation
    truth: LabelMatrix
    seen: tuple[int, ...] | None = None
    moments: tuple[Floats, Floats] | None = None
    tiles: Tiles | None = None
    crop_share: float = 1.0
    jittered: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", LabelMatrix.of(self.truth))

    @property
    def channels(self) -> int:
        """Channels that the network sees."""
        return len(self.seen) if self.seen is not None else int(self.pack.pixels.shape[1])

    @property
    def window_share(self) -> float:
        """Side of what is read at once over the longest side of the stored images."""
        return 1.0 if self.tiles is None else self.tiles.side / max(self.pack.pixels.shape[2:])

    def grid(self) -> Tensor:
        """Centres of all tiles of an image, or its middle where it is not cut, shape (windows, 2)."""
        height, width = self.pack.pixels.shape[2:]
        return grid_centres(height, width, self.window_share)


def make_specimens(
    member: MemberSpec, pack: Pack, images: ImageTable, statistics: ImageStatistics, normalisation: Normalisation,
    truth: AnyLabels,
) -> Specimens:  # fmt: skip
    """Stored images as one member looks at them.

    Args:
        member: The recipe's section, its size resolved.
        pack: The stored images.
        images: The table.
        statistics: Of every image.
        normalisation: Of the training set.
        truth: Which classes each image row has, shape (rows, classes).

    Raises:
        DataError: A channel is not there, or images are to be scaled by plate and their plates are not known.
        RecipeError: The augmentation does not go with the channels.
    """
    section, tile = member.input, member.input.tile
    tiles = None if tile is None else Tiles(min(tile.side, member.largest_size), tile.training)
    moments = row_moments(member, images, statistics)
    crop = member.augment.crop_share(int(section.size))
    seen = _numbers(section.channels, images.channels, "members.input.channels")
    jittered = _numbers(member.augment.channels, section.channels or images.channels, "members.augment.channels")
    specimens = Specimens(pack, normalisation, LabelMatrix.of(truth), seen, moments, tiles, crop, jittered)
    check_augment(member.augment, specimens.channels)
    return specimens


def row_moments(member: MemberSpec, images: ImageTable, statistics: ImageStatistics) -> tuple[Floats, Floats] | None:
    """Means and deviations a channel of each image row, shape (rows, channels), where they scale it.

    Args:
        member: The recipe's section.
        images: The table.
        statistics: Of every image.

    Returns:
        None where the whole set's scale all of them.

    Raises:
        DataError: Images are to be scaled by plate, and their plates are not known.
    """
    if member.input.normalise == "dataset":
        return None
    return row_normalisation(statistics.frame, _plates(images) if member.input.normalise == "plate" else None)


def _numbers(wanted: Sequence[str] | None, names: Sequence[str] | None, field: str) -> tuple[int, ...] | None:
    """Places of some channels among all that are named."""
    if wanted is None:
        return None
    if names is None:
        raise DataError("some channels are asked for and none are named", field="data.channels",
                        remedy="list the names of all channels there, in the order of the files")  # fmt: skip
    for name in wanted:
        if name not in names:
            raise DataError(f"there is no channel {name!r}", field=field, value=name, allowed=names)
    return tuple(names.index(name) for name in wanted)


def _plates(images: ImageTable) -> pl.Series:
    if not images.group_names:
        raise DataError(
            "images are to be scaled by plate, and there is no column of plates",
            field="members.input.normalise",
            value="plate",
            remedy="name the column of the plates first in `data.groups`; new images need it in their table",
        )
    return images.frame[f"group.{images.group_names[0]}"]
