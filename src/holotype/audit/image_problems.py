"""Problems of single images, one row each, with the action on them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.image_checks import (
    constant_images,
    extreme_images,
    images_with_channels_elsewhere,
    images_with_gaps,
    other_depths,
    saturated_images,
)
from holotype.core.errors import DataError, join_names, pluralize
from holotype.recipe.sections import AuditSpec
from holotype.types import IMAGE_PROBLEMS, ImageStatistics, ImageTable

COMMON_SHARE = 0.95  # share of images that must agree before the others are reported
MAX_LISTED = 5


def unreadable_rows(images: ImageTable, statistics: ImageStatistics) -> dict[int, str]:
    """Unusable image rows, each with the reason: unreadable, wrong channels, or a test row of another depth."""
    frame = statistics.frame
    reasons = {row: str(error) for row, error in enumerate(frame["error"]) if error is not None}
    channels = frame["channels"].drop_nulls()
    if channels.len():
        counts = channels.value_counts().sort("count", "channels", descending=[True, False])
        common = len(images.channels) if images.channels else int(counts["channels"][0])
        odd = (frame["channels"] != common).fill_null(False).to_numpy()
        reasons |= {
            int(row): f"it has {pluralize(frame['channels'][int(row)], 'channel')} where {common} are expected"
            for row in np.flatnonzero(odd)
        }
    reasons |= {row: why for row, why in other_depths(images, statistics).items() if row not in reasons}
    train = images.rows_of_role("train")
    if len(train) and set(train.tolist()) <= set(reasons):
        raise DataError(
            f"none of the {len(train):,} training images can be used; the first: {reasons[int(train[0])]}",
            field="data.images",
            remedy="check the pattern in data.images and the files",
        )
    return reasons


def image_problems(
    images: ImageTable, statistics: ImageStatistics, skipped: dict[int, str], spec: AuditSpec
) -> pl.DataFrame:
    """Table of all problems of single images.

    `skipped`: rows that are not used, each with the reason, from `unreadable_rows`. Returns the columns of
    `holotype.types.IMAGE_PROBLEMS`, sorted by row.
    """
    frame = statistics.frame
    usable = np.ones(len(images), bool)
    usable[list(skipped)] = False
    constant = constant_images(statistics) & usable
    saturated = saturated_images(statistics) & usable & ~constant
    depths = other_depths(images, statistics)
    problems = [
        (row, _problem_kind(frame["error"][row], why, depths.get(row)), why, "skipped") for row, why in skipped.items()
    ]
    problems += [
        (int(row), "empty", "all pixels of a channel are equal", "reported") for row in np.flatnonzero(constant)
    ]
    problems += [
        (int(row), "saturated", "nearly all pixels of a channel have the largest value", "reported")
        for row in np.flatnonzero(saturated)
    ]
    for name, odd in (
        ("range", extreme_images(statistics)),
        ("no data", images_with_gaps(statistics)),
        ("channels", images_with_channels_elsewhere(statistics)),
    ):
        problems += [(row, name, why, "reported") for row, why in odd.items() if usable[row]]
    sizes = frame.select(pl.format("{}x{}", "width", "height")).to_series()
    problems += [(row, "size", message, "reported") for row, message in _find_outliers(sizes, usable, "pixels")]
    problems += [
        (row, "depth", message, "reported") for row, message in _find_outliers(frame["depth"], usable, "values")
    ]
    rows = [entry[0] for entry in problems]
    facts = images.frame.select("id", "role")[rows] if rows else images.frame.select("id", "role").clear()
    columns = [rows, facts["id"], facts["role"], *([entry[index] for entry in problems] for index in (1, 2, 3))]
    return pl.DataFrame(dict(zip(IMAGE_PROBLEMS, columns, strict=True)), schema=IMAGE_PROBLEMS).sort(
        "row", maintain_order=True
    )


def _problem_kind(error: str | None, reason: str, depth: str | None) -> str:
    return "unreadable" if error is not None else "depth" if reason == depth else "channels"


def skip_warnings(images: ImageTable, skipped: dict[int, str]) -> list[str]:
    """Warnings about skipped images, one for each role."""
    warnings = []
    roles = images.frame["role"]
    for role in ("train", "external", "test"):
        rows = [row for row in sorted(skipped) if roles[row] == role]
        if rows:
            examples = join_names([f"{images.frame['id'][row]!r} ({skipped[row]})" for row in rows], MAX_LISTED)
            word = "training" if role == "train" else role
            then = "without a prediction" if role == "test" else "not used for training"
            warnings.append(f"{pluralize(len(rows), f'{word} image')} skipped, {then}: {examples}.")
    return warnings


def _find_outliers(values: pl.Series, usable: NDArray[np.bool_], noun: str) -> list[tuple[int, str]]:
    usable_values = values.filter(pl.Series(usable))
    if usable_values.len() == 0:
        return []
    common, count = usable_values.value_counts(sort=True).row(0)
    if count == usable_values.len() or count < COMMON_SHARE * usable_values.len():
        return []
    odd = np.flatnonzero((values != common).fill_null(False).to_numpy() & usable)
    return [(int(row), f"{values[int(row)]} {noun} where most have {common}") for row in odd]
