"""File match: how table rows name their image files, and the files of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from holotype.inspect.multi_column_patterns import format_pattern


@dataclass(frozen=True)
class FileMatch:
    """File match: how table rows name their image files.

    Args:
        column: The column whose values occur in the file names; the id if several columns form the names.
        train: The training table, with an added column if the pattern needs one.
        sample: The sample column, if rows were expanded to one per image.
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

    `role`: `train` or `test`, which the pattern may contain.
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
