"""Image checks: unreadable, constant and saturated images, and unusual depths, channels and values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names, pluralize
from holotype.data import extreme_rows
from holotype.data.uris import is_remote, strip_file_scheme, strip_row_index
from holotype.types import ImageStatistics, ImageTable

MAX_LISTED = 5
MOVED = "if you moved them, run `holotype init` again or remove their rows from the table"
SATURATED = 0.98  # mean of a channel over the largest value of its type
WHITE = 0.9  # same ratio from which the typical image has a white background


def require_readable(images: ImageTable, statistics: ImageStatistics) -> None:
    """Raise if an image cannot be read.

    Raises DataError if some images cannot be read; the first few are named with their reasons.
    """
    reasons = statistics.frame["error"]
    rows = np.flatnonzero(reasons.is_not_null().to_numpy())
    if not len(rows):
        return
    if all(any(map(_is_missing, images.files_of_row(int(row)))) for row in rows):
        what, remedy = "image files do not exist", MOVED
    else:
        what, remedy = "images cannot be read", "repair the files, or remove their rows from the table"
    examples = [f"{images.frame['id'][int(row)]!r} ({reasons[int(row)]})" for row in rows[:MAX_LISTED]]
    rest = f" and {len(rows) - MAX_LISTED:,} more" if len(rows) > MAX_LISTED else ""
    raise DataError(
        f"{len(rows):,} of {len(images):,} {what}: {', '.join(examples)}{rest}", field="data.images", remedy=remedy
    )


def _is_missing(file: str) -> bool:
    path = strip_file_scheme(strip_row_index(file)[0])
    return not is_remote(path) and not Path(path).exists()


def require_same_channels(images: ImageTable, statistics: ImageStatistics) -> None:
    """Raise if images differ in their number of channels, or from the channels that the recipe names.

    Raises DataError if the numbers differ; the most common one is named, and the images that differ from it.
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
            f"{pluralize(len(images) - differ.len(), 'image')} of {pluralize(common, 'channel')}, but {differ.len():,} "
            f"of another number: {join_names(odd, MAX_LISTED)}",
            field="data.images",
            remedy="convert them, or remove their rows from the table"
            + (
                "; for photographs in gray and color, set data.channels: [red, green, blue]"
                if images.channels is None and set(channels.unique()) <= {1, 3, 4}
                else ""
            ),
        )
    if images.channels is not None and len(images.channels) != common:
        raise DataError(
            f"{pluralize(len(images.channels), 'channel')} are named ({join_names(images.channels)}), "
            f"but the images have {common}",
            field="data.channels",
            remedy="name each channel once, in the order of the files",
        )


def other_depths(images: ImageTable, statistics: ImageStatistics) -> dict[int, str]:
    """Test rows whose pixel type no labeled image has, each with the reason: their values mean something else."""
    test = images.frame["role"] == "test"
    training_depths = set(statistics.frame["depth"].filter(~test).drop_nulls())
    depths = statistics.frame["depth"].to_list()
    return {
        row: f"its pixels are {depths[row]}, but those of the training images are {join_names(sorted(training_depths))}"
        for row in np.flatnonzero(test.to_numpy()).tolist()
        if training_depths and depths[row] is not None and depths[row] not in training_depths
    }


def require_same_depth(images: ImageTable, statistics: ImageStatistics) -> None:
    """Raise if test rows have a pixel type that no labeled image has."""
    odd = other_depths(images, statistics)
    if odd:
        examples = join_names([f"{images.frame['id'][row]!r} ({why})" for row, why in odd.items()], MAX_LISTED)
        raise DataError(
            f"{pluralize(len(odd), 'image')} cannot be predicted: {examples}",
            field="data.test",
            remedy="save them like the training images, or set audit.on_unreadable: skip",
        )


def constant_images(statistics: ImageStatistics) -> NDArray[np.bool_]:
    """Mask of images with a single value in each channel (empty fields, blank scans), shape (images,)."""
    return (statistics.frame["deviation"].list.max() == 0).fill_null(False).to_numpy()


def saturated_images(statistics: ImageStatistics) -> NDArray[np.bool_]:
    """Mask of images with a saturated channel, unlike the rest of the set, shape (images,).

    A channel counts if its mean is near the largest value of its type. Where the typical image is that bright in three
    quarters of its pixels, a white background is normal for the set and does not count.
    """
    depths, frame = statistics.frame["depth"], statistics.frame
    tops = {name: float(np.iinfo(name).max) for name in depths.drop_nulls().unique() if np.dtype(name).kind in "iu"}
    top = depths.replace_strict(tops, default=None, return_dtype=pl.Float64)
    saturated = np.zeros(frame.height, bool)
    name, step, first = ("percentiles", 5, 3) if "percentiles" in frame.columns else ("mean", 1, 0)
    for channel in range(int(frame["channels"].max() or 0)):  # type: ignore[arg-type]
        usual = (frame[name].list.get(step * channel + first, null_on_oob=True) / top).median()
        if isinstance(usual, float) and usual < WHITE:
            mean = frame["mean"].list.get(channel, null_on_oob=True)
            saturated |= (mean >= SATURATED * top).fill_null(False).to_numpy()
    return saturated


def extreme_images(statistics: ImageStatistics) -> dict[int, str]:
    """Describe images with values far beyond the other images', or single pixels far beyond the rest of the image."""
    frame = statistics.frame
    if "lowest" not in frame.columns:
        return {}
    far = extreme_rows(frame)
    comparable = frame.filter(pl.Series(~far) & frame["error"].is_null())
    others = _value_range(comparable, "min", "max") if comparable.height else (0.0, 0.0)
    words = {}
    for row in np.flatnonzero(far):
        low, high = _value_range(frame[int(row)], "min", "max")
        words[int(row)] = (
            f"its values reach from {low:.4g} to {high:.4g}, those of the others from {others[0]:.4g} to "
            f"{others[1]:.4g}"
        )
    for row, low, high, lowest, highest in frame.select(
        pl.int_range(pl.len()), "min", "max", "lowest", "highest"
    ).iter_rows():
        if low is None or lowest is None or row in words:
            continue
        if any(inner < outer for inner, outer in zip(high, highest, strict=True)) or any(
            inner > outer for inner, outer in zip(low, lowest, strict=True)
        ):
            words[row] = (
                f"single pixels reach from {min(lowest):.4g} to {max(highest):.4g}, all others from "
                f"{min(low):.4g} to {max(high):.4g}"
            )
    return words


def images_with_gaps(statistics: ImageStatistics) -> dict[int, str]:
    """Describe images with no-data pixels: NaN, infinity, fill values, borders of one far value.

    Returns the share of such pixels, as text, by image row.
    """
    if "missing" not in statistics.frame.columns:
        return {}
    shares = statistics.frame["missing"].list.max()
    return {row: f"{share:.2%} of its pixels hold no data" for row, share in enumerate(shares) if share}


def images_with_channels_elsewhere(statistics: ImageStatistics) -> dict[int, str]:
    """Describe images whose OME-XML names further channels in files that the table does not name."""
    if "channels_elsewhere" not in statistics.frame.columns:
        return {}
    counts = enumerate(statistics.frame["channels_elsewhere"])
    return {row: f"its OME-XML describes {pluralize(count, 'more channel')}" for row, count in counts if count}


def _value_range(frame: pl.DataFrame, low: str, high: str) -> tuple[float, float]:
    return float(frame[low].list.min().min()), float(frame[high].list.max().max())  # type: ignore[arg-type]


def pixel_warnings(images: ImageTable, statistics: ImageStatistics) -> list[str]:
    """Warnings about depths, constant and saturated images, extreme values and missing channels."""
    ids = images.frame["id"]
    warnings = []
    depths = statistics.frame["depth"].drop_nulls().value_counts().sort("count", "depth", descending=[True, False])
    if depths.height > 1:
        depth_counts = [f"{name} ({pluralize(count, 'image')})" for name, count in depths.iter_rows()]
        warnings.append(f"The images have different depths: {join_names(depth_counts)}; no scale fits all of them.")
    constant = constant_images(statistics)
    if constant.any():
        warnings.append(
            f"{pluralize(int(constant.sum()), 'image')} {_is_or_are(constant)} empty (all pixels of a "
            f"channel are equal): {list_examples(ids, constant)}; they do not count as duplicates of each other."
        )
    saturated = saturated_images(statistics) & ~constant
    if saturated.any():
        warnings.append(
            f"{pluralize(int(saturated.sum()), 'image')} {_is_or_are(saturated)} saturated: "
            f"{list_examples(ids, saturated)}."
        )
    for odd, what in (
        (extreme_images(statistics), "values far beyond all others, which are ignored when pixels are scaled"),
        (
            images_with_gaps(statistics),
            "pixels without data, which are left out of all statistics and filled with the mean",
        ),
        (
            images_with_channels_elsewhere(statistics),
            "channels in other files, which are read only if data.images names a file for each channel",
        ),
    ):
        if odd:
            details = join_names([f"{ids[row]!r} ({why})" for row, why in odd.items()], MAX_LISTED)
            warnings.append(f"{pluralize(len(odd), 'image')} {'has' if len(odd) == 1 else 'have'} {what}: {details}.")
    return warnings


def _is_or_are(mask: NDArray[np.bool_]) -> str:
    return "is" if mask.sum() == 1 else "are"


def list_examples(ids: pl.Series, mask: NDArray[np.bool_]) -> str:
    """List the first ids of a mask as text."""
    return join_names(ids.filter(pl.Series(mask)).to_list(), MAX_LISTED)
