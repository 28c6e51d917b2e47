"""File match: how table rows name their image files, and the files of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from holotype.inspect.multi_column_patterns import format_pattern

__all__ = ["FileMatch", "files_of_row", "iterate_rows"]


@dataclass(frozen=True)
class FileMatch:
    """File match: how table rows name their image files.

    Args:
        id: The id column.
        column: The column whose values occur in the file names; the id if several columns form the names.
        pattern: Pattern for the recipe, relative to the data folder.
        channels: Channel names; empty if one file holds all channels.
        train: The training table, with an added column if the pattern needs one.
        test: The test table likewise.
        added: The added column, or the column that distinguishes the images of a sample.
        sample: The sample column, if rows were expanded to one per image.
        joined: The image column, if several rows of one image were merged.
        missing: Number of rows without all of their files.
        examples_missing: Some of the missing files.
        unused: Number of image files that belong to no row.
        unused_endings: The same by extension.
        patterns: Pattern by channel, if each channel has its own; otherwise empty.
        questions: Questions for the user.
        added_files: Columns of file names that were added for the channels.
        nameless: Number of rows without an image name, which were removed.
    """

    id: str
    column: str
    pattern: str
    channels: tuple[str, ...]
    train: pl.DataFrame
    test: pl.DataFrame | None
    added: str | None = None
    sample: str | None = None
    joined: str | None = None
    missing: int = 0
    examples_missing: tuple[str, ...] = ()
    unused: int = 0
    unused_endings: Mapping[str, int] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    added_files: tuple[str, ...] = ()
    nameless: int = 0


def files_of_row(file_match: FileMatch, row: dict[str, str | None], role: str = "train") -> list[str]:
    """List the files of a row by the pattern, in channel order.

    Args:
        row: Value by column.
        role: `train` or `test`, which the pattern may contain.
    """
    values = {"role": role} | {name: value for name, value in row.items() if name != "channel"}
    if file_match.patterns:
        return [format_pattern(pattern, values) for pattern in file_match.patterns.values()]
    text = format_pattern(file_match.pattern, values)
    return [text.replace("{channel}", channel) for channel in file_match.channels] or [text]


def iterate_rows(file_match: FileMatch) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Rows of both tables, each as its role and its value by column."""
    tables = {"train": file_match.train} | ({} if file_match.test is None else {"test": file_match.test})
    return ((role, row) for role, table in tables.items() for row in table.iter_rows(named=True))
