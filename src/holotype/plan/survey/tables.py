"""Tables as a person keeps them: read as text, told apart by name, their columns by what they hold."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from polars import selectors

from holotype.data.reading import TABLE_ENDINGS
from holotype.data.reading import read_table as read_any_table
from holotype.errors import DataError

__all__ = [
    "WRITTEN",
    "are_dates",
    "as_numbers",
    "is_submission",
    "is_unique",
    "list_tables",
    "read_table",
    "sibling_test_table",
]

OTHER_TABLE_ENDINGS = (".xlsx", ".xls", ".ods")
WRITTEN = ".new"
"""Ends the name of a table that was written from another one, before the file's ending."""
DATE = r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?$|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}$"


def list_tables(folder: Path) -> list[Path]:
    """The tables of a folder, but for those that were written from others; where it has none, of the folders in it.

    Args:
        folder: Where to look.
    """
    for pattern in ("*", "*/*"):
        found = [path for path in folder.glob(pattern) if path.suffix.lower() in TABLE_ENDINGS and path.is_file()]
        found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        found = [path for path in found if not path.stem.endswith(WRITTEN)]
        if found:
            return sorted(found)
    return []


def sibling_test_table(train: Path, tables: list[Path]) -> Path | None:
    """The table of the rows to predict that goes with a training table: `train_a.csv` and `test_a.csv`.

    Args:
        train: The training table.
        tables: The tables to choose from.
    """
    wanted = [re.sub("train", "test", train.stem, flags=re.IGNORECASE).lower(), "test"]
    for name in wanted:
        for path in tables:
            if path != train and path.stem.lower() == name:
                return path
    return None


def read_table(path: Path) -> pl.DataFrame:
    """A table with every column as text, so that `00250` stays what it is; empty cells are null, lists left out.

    Args:
        path: CSV, TSV or Parquet.

    Raises:
        DataError: The file is no such table, or holds no rows.
    """
    if path.suffix.lower() not in TABLE_ENDINGS:
        raise DataError(
            f"{path.name!r} is not a table that can be read",
            field=str(path),
            allowed=TABLE_ENDINGS,
            remedy="save it as CSV" if path.suffix.lower() in OTHER_TABLE_ENDINGS else "name a table or a folder",
        )
    return read_any_table(path, "DATA", lists=True).select(~selectors.nested())


def is_submission(name: str) -> bool:
    """Whether a table is a sample of what is to be handed in.

    Args:
        name: The file's name.
    """
    return "submission" in name.lower()


def as_numbers(values: pl.Series) -> pl.Series | None:
    """The values as numbers, without nulls; None where some are no numbers.

    Args:
        values: Text.
    """
    known = values.drop_nulls()
    numbers = known.str.strip_chars().cast(pl.Float64, strict=False)
    return None if numbers.null_count() or not len(known) else numbers


def are_dates(values: pl.Series) -> bool:
    """Whether every value is written as a date, year first or last.

    Args:
        values: Text.
    """
    known = values.drop_nulls()
    return bool(len(known)) and bool(known.str.contains(DATE).all())


def is_unique(frame: pl.DataFrame, column: str) -> bool:
    """Whether every row has a value of its own in a column.

    Args:
        frame: A table.
        column: One of its columns.
    """
    return frame[column].null_count() == 0 and frame[column].n_unique() == frame.height
