"""What is wrong with single images: unreadable, of another kind, empty, saturated."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.errors import DataError, counted, listing
from holotype.types import ImageStatistics, ImageTable

__all__ = ["constant_images", "pixel_warnings", "refuse_mixed_channels", "refuse_unreadable", "saturated_images"]

NAMED_AT_MOST = 5
SATURATED = 0.98  # mean of a channel over the largest value of its depth


def refuse_unreadable(images: ImageTable, statistics: ImageStatistics) -> None:
    """Stop where an image cannot be read.

    Args:
        images: The table.
        statistics: What the pass over the pixels found.

    Raises:
        DataError: Some images cannot be read; the first few are named with the reason of each.
    """
    reasons = statistics.frame["error"]
    rows = np.flatnonzero(reasons.is_not_null().to_numpy())
    if not len(rows):
        return
    told = [f"{images.frame['id'][int(row)]!r} ({reasons[int(row)]})" for row in rows[:NAMED_AT_MOST]]
    rest = f" and {len(rows) - NAMED_AT_MOST:,} more" if len(rows) > NAMED_AT_MOST else ""
    raise DataError(
        f"{len(rows):,} of {len(images):,} images cannot be read: {', '.join(told)}{rest}",
        field="data.images",
        remedy="mend the files, or take their rows out of the table",
    )


def refuse_mixed_channels(images: ImageTable, statistics: ImageStatistics) -> None:
    """Stop where images have different numbers of channels, or others than the recipe names.

    Args:
        images: The table.
        statistics: What the pass over the pixels found.

    Raises:
        DataError: The numbers differ; the commonest is named, and the images that differ from it.
    """
    channels = statistics.frame["channels"]
    if channels.len() == 0:
        return
    counts = channels.value_counts().sort("count", "channels", descending=[True, False])
    common = int(counts["channels"][0])
    differ = images.frame["id"].filter(channels != common)
    if differ.len():
        odd = [f"{name!r} ({count})" for name, count in zip(differ, channels.filter(channels != common), strict=True)]
        raise DataError(
            f"{counted(len(images) - differ.len(), 'image')} of {counted(common, 'channel')} stand beside "
            f"{differ.len():,} of another number: {listing(odd, NAMED_AT_MOST)}",
            field="data.images",
            remedy="convert them, or take their rows out of the table"
            + (
                "; of photographs in grey and in colour write data.channels: [red, green, blue]"
                if images.channels is None and set(channels.unique()) <= {1, 3, 4}
                else ""
            ),
        )
    if images.channels is not None and len(images.channels) != common:
        raise DataError(
            f"{counted(len(images.channels), 'channel')} are named ({listing(images.channels)}) "
            f"and the images have {common}",
            field="data.channels",
            remedy="name each channel once, in the order of the files",
        )


def constant_images(statistics: ImageStatistics) -> NDArray[np.bool_]:
    """Which images have one value in each channel: empty fields, blank scans.

    Args:
        statistics: What the pass over the pixels found.

    Returns:
        Shape (images,).
    """
    return (statistics.frame["deviation"].list.max() == 0).fill_null(False).to_numpy()


def saturated_images(statistics: ImageStatistics) -> NDArray[np.bool_]:
    """Which images have a channel that is nearly everywhere at the largest value of its depth.

    Args:
        statistics: What the pass over the pixels found.

    Returns:
        Shape (images,).
    """
    depths = statistics.frame["depth"]
    tops = {name: float(np.iinfo(name).max) for name in depths.drop_nulls().unique() if np.dtype(name).kind in "iu"}
    top = depths.replace_strict(tops, default=None, return_dtype=pl.Float64)
    return (statistics.frame["mean"].list.max() >= SATURATED * top).fill_null(False).to_numpy()


def pixel_warnings(images: ImageTable, statistics: ImageStatistics) -> list[str]:
    """What is odd about the pixels, in sentences.

    Args:
        images: The table.
        statistics: What the pass over the pixels found.
    """
    ids = images.frame["id"]
    warnings = []
    depths = statistics.frame["depth"].drop_nulls().value_counts().sort("count", "depth", descending=[True, False])
    if depths.height > 1:
        told = [f"{name} ({counted(count, 'image')})" for name, count in depths.iter_rows()]
        warnings.append(
            f"Images of different depth stand side by side: {listing(told)}; one scale will not fit them all."
        )
    constant = constant_images(statistics)
    if constant.any():
        warnings.append(
            f"{counted(int(constant.sum()), 'image')} {_is(constant)} empty, every pixel of a channel being equal: "
            f"{_some(ids, constant)}; empty images are not taken for duplicates of each other."
        )
    saturated = saturated_images(statistics) & ~constant
    if saturated.any() and saturated.mean() < 0.5:  # where most are, it is the look of the set: a white background
        warnings.append(
            f"{counted(int(saturated.sum()), 'image')} {_is(saturated)} saturated: {_some(ids, saturated)}."
        )
    return warnings


def _is(chosen: NDArray[np.bool_]) -> str:
    return "is" if chosen.sum() == 1 else "are"


def _some(ids: pl.Series, chosen: NDArray[np.bool_]) -> str:
    return listing(ids.filter(pl.Series(chosen)).to_list(), NAMED_AT_MOST)
