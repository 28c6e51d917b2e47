"""Faults of single images, one row each, with what is done about them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.audit.pixels import constant_images, extreme_images, images_with_gaps, other_depths, saturated_images
from holotype.errors import DataError, counted, listing
from holotype.spec import AuditSpec
from holotype.types import PROBLEMS, ImageStatistics, ImageTable

__all__ = ["image_problems", "skip_warnings", "unreadable_rows"]

COMMON = 0.95  # share of the images that must agree before the others are odd
NAMED_AT_MOST = 5


def unreadable_rows(images: ImageTable, statistics: ImageStatistics) -> dict[int, str]:
    """The rows that cannot be used, each with the reason: unreadable, of other channels, to predict at another depth.

    Args:
        images: The table.
        statistics: What the pass over the pixels found.

    Raises:
        DataError: No training image is left.
    """
    frame = statistics.frame
    reasons = {row: str(said) for row, said in enumerate(frame["error"]) if said is not None}
    known = frame["channels"].drop_nulls()
    if known.len():
        counts = known.value_counts().sort("count", "channels", descending=[True, False])
        common = len(images.channels) if images.channels else int(counts["channels"][0])
        odd = (frame["channels"] != common).fill_null(False).to_numpy()
        reasons |= {
            int(row): f"it has {counted(frame['channels'][int(row)], 'channel')} where {common} are expected"
            for row in np.flatnonzero(odd)
        }
    reasons |= {row: why for row, why in other_depths(images, statistics).items() if row not in reasons}
    train = images.rows_of_role("train")
    if len(train) and set(train.tolist()) <= set(reasons):
        raise DataError(
            f"none of the {len(train):,} training images can be used; the first: {reasons[int(train[0])]}",
            field="data.images",
            remedy="look at the pattern in `data.images` and at the files",
        )
    return reasons


def image_problems(
    images: ImageTable, statistics: ImageStatistics, skipped: dict[int, str], spec: AuditSpec
) -> pl.DataFrame:
    """All faults of single images.

    Args:
        images: The table.
        statistics: What the pass over the pixels found.
        skipped: The rows that nobody reads, with the reason of each.
        spec: The recipe's `audit` section.

    Returns:
        The columns of `holotype.types.PROBLEMS`, sorted by row.
    """
    frame = statistics.frame
    usable = np.ones(len(images), bool)
    usable[list(skipped)] = False
    constant = constant_images(statistics) & usable
    saturated = saturated_images(statistics) & usable & ~constant
    depths = other_depths(images, statistics)
    found = [(row, _fault(frame["error"][row], why, depths.get(row)), why, "skipped") for row, why in skipped.items()]
    found += [(int(row), "empty", "every pixel of a channel is equal", "reported") for row in np.flatnonzero(constant)]
    found += [(int(row), "saturated", "a channel is nearly everywhere at its largest value", "reported")
              for row in np.flatnonzero(saturated)]  # fmt: skip
    for name, odd in (("range", extreme_images(statistics)), ("no data", images_with_gaps(statistics))):
        found += [(row, name, why, "reported") for row, why in odd.items() if usable[row]]
    sizes = frame.select(pl.format("{}x{}", "width", "height")).to_series()
    found += [(row, "size", said, "reported") for row, said in _odd_ones(sizes, usable, "pixels")]
    found += [(row, "depth", said, "reported") for row, said in _odd_ones(frame["depth"], usable, "values")]
    rows = [entry[0] for entry in found]
    facts = images.frame.select("id", "role")[rows] if rows else images.frame.select("id", "role").clear()
    columns = [rows, facts["id"], facts["role"], *([entry[place] for entry in found] for place in (1, 2, 3))]
    return pl.DataFrame(dict(zip(PROBLEMS, columns, strict=True)), schema=PROBLEMS).sort("row", maintain_order=True)


def _fault(error: str | None, reason: str, depth: str | None) -> str:
    return "unreadable" if error is not None else "depth" if reason == depth else "channels"


def skip_warnings(images: ImageTable, skipped: dict[int, str]) -> list[str]:
    """What was skipped, in a sentence a role.

    Args:
        images: The table.
        skipped: The rows that nobody reads, with the reason of each.
    """
    warnings = []
    roles = images.frame["role"]
    for role in ("train", "external", "test"):
        rows = [row for row in sorted(skipped) if roles[row] == role]
        if rows:
            told = listing([f"{images.frame['id'][row]!r} ({skipped[row]})" for row in rows], NAMED_AT_MOST)
            word = "training" if role == "train" else role
            then = "they get no prediction" if role == "test" else "they train nothing"
            warnings.append(f"{counted(len(rows), f'{word} image')} skipped, {then}: {told}.")
    return warnings


def _odd_ones(values: pl.Series, usable: NDArray[np.bool_], noun: str) -> list[tuple[int, str]]:
    """The rows that differ where nearly all agree."""
    known = values.filter(pl.Series(usable))
    if known.len() == 0:
        return []
    common, count = known.value_counts(sort=True).row(0)
    if count == known.len() or count < COMMON * known.len():
        return []
    odd = np.flatnonzero((values != common).fill_null(False).to_numpy() & usable)
    return [(int(row), f"{values[int(row)]} {noun} where most have {common}") for row in odd]
