"""Tables as a person keeps them: read as text, told apart by name, their columns by what they hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from holotype.core.errors import DataError
from holotype.core.table_files import strip_sheet_name
from holotype.data.excel import list_sheets
from holotype.data.missing import MISSING_WORDS
from holotype.data.tables import TABLE_SUFFIXES, read_noted_table

__all__ = [
    "SAVE_ANEW",
    "WRITTEN_MARK",
    "are_dates",
    "as_numbers",
    "is_submission",
    "is_unique",
    "list_tables",
    "read_table",
    "read_with_notes",
    "sheets_of",
    "sibling_test_table",
    "table_name",
    "unreadable_tables",
]

EXCEL_SUFFIXES = (".xlsx", ".xlsm")
OTHER_TABLE_SUFFIXES = (".xls", ".xlsb", ".ods", ".numbers")
SAVE_ANEW = "save it as .xlsx, or as CSV in UTF-8"
WRITTEN_MARK = ".new"
"""Ends the name of a table that was written from another one, before the file's ending."""
DATE = r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?$|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}$"


def list_tables(folder: Path) -> list[Path]:
    """The tables of a folder, but for those that were written from others; where it has none, of the folders in it.

    Args:
        folder: Where to look.

    Returns:
        Files; of a workbook with several sheets, each sheet by its name, as in `labels.xlsx#Sheet2`.
    """
    for pattern in ("*", "*/*"):
        paths = [path for path in folder.glob(pattern) if path.suffix.lower() in TABLE_SUFFIXES and path.is_file()]
        paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        paths = [path for path in paths if not path.stem.endswith(WRITTEN_MARK) and not path.name.startswith("~$")]
        if paths:
            return [sheet for path in sorted(paths) for sheet in sheets_of(path)]
    return []


def unreadable_tables(folder: Path) -> list[Path]:
    """The spreadsheets of a folder, or of the folders in it, in forms that are not read, such as `train.xls`.

    Args:
        folder: Where to look.
    """
    files = (path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)) if path.is_file())
    return [path for path in files if path.suffix.lower() in OTHER_TABLE_SUFFIXES and not path.name.startswith("~$")]


def sheets_of(path: Path) -> list[Path]:
    """The sheets of a workbook that have rows, as in `labels.xlsx#Sheet2`; any other table, or a single sheet, itself.

    Args:
        path: A table.
    """
    if path.suffix.lower() not in EXCEL_SUFFIXES:
        return [path]
    try:
        names = list_sheets(path, "DATA")
    except DataError:
        return [path]  # which is refused where it is read
    return [path] if len(names) < 2 else [path.with_name(f"{path.name}#{name}") for name in names]


def table_name(path: Path) -> str:
    """What a table is called, in small letters: a sheet by its own name, a file without its ending.

    Args:
        path: A table, perhaps a sheet of a workbook.
    """
    file, sheet = strip_sheet_name(path)
    return (sheet or Path(file).stem).lower()


def sibling_test_table(train: Path, tables: list[Path]) -> Path | None:
    """The table of the rows to predict that goes with a training table: `train_a.csv` and `test_a.csv`.

    Args:
        train: The training table.
        tables: The tables to choose from.
    """
    train_name = table_name(train)
    test_names = [train_name.replace("train", "test"), "test"] if "train" in train_name else ["test"]
    for name in test_names:
        for path in tables:
            if path != train and table_name(path) == name:
                return path
    return None


def read_table(path: Path) -> pl.DataFrame:
    """A table with every column as text, so that `00250` stays what it is; cells without a value are null.

    Args:
        path: CSV, TSV, Parquet or Excel.

    Raises:
        DataError: The file is no such table, or holds no rows.
    """
    return read_with_notes(path)[0]


def read_with_notes(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A table as `read_table` gives it, and what is to be said of how it was read.

    Args:
        path: CSV, TSV, Parquet or Excel.

    Raises:
        DataError: The file is no such table, or holds no rows.
    """
    ending = Path(strip_sheet_name(path)[0]).suffix.lower()
    if ending not in TABLE_SUFFIXES:
        raise DataError(
            f"{path.name!r} is not a table that can be read",
            field=str(path),
            allowed=TABLE_SUFFIXES,
            remedy=SAVE_ANEW if ending in OTHER_TABLE_SUFFIXES else "name a table or a folder",
        )
    table = read_noted_table(path, "DATA")
    absent = pl.all().str.strip_chars().is_in(list(MISSING_WORDS))
    return table.frame.with_columns(pl.when(~absent).then(pl.all())), table.notes


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
    present = values.drop_nulls()
    numbers = present.str.strip_chars().cast(pl.Float64, strict=False)
    return None if numbers.null_count() or not len(present) else numbers


def are_dates(values: pl.Series) -> bool:
    """Whether every value is written as a date, year first or last.

    Args:
        values: Text.
    """
    present = values.drop_nulls()
    return bool(len(present)) and bool(present.str.contains(DATE).all())


def is_unique(frame: pl.DataFrame, column: str) -> bool:
    """Whether every row has a value of its own in a column.

    Args:
        frame: A table.
        column: One of its columns.
    """
    return frame[column].null_count() == 0 and frame[column].n_unique() == frame.height
