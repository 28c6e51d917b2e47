"""Tables as a person keeps them: read as text, told apart by name, their columns by what they hold."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from holotype.data.excel import list_sheets
from holotype.data.missing import MISSING_WORDS
from holotype.data.reading import TABLE_ENDINGS, read_noted_table
from holotype.errors import DataError
from holotype.table_files import without_sheet

__all__ = [
    "SAVE_ANEW",
    "WRITTEN",
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

EXCEL_ENDINGS = (".xlsx", ".xlsm")
OTHER_TABLE_ENDINGS = (".xls", ".xlsb", ".ods", ".numbers")
SAVE_ANEW = "save it as .xlsx, or as CSV in UTF-8"
WRITTEN = ".new"
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
        found = [path for path in folder.glob(pattern) if path.suffix.lower() in TABLE_ENDINGS and path.is_file()]
        found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        found = [path for path in found if not path.stem.endswith(WRITTEN) and not path.name.startswith("~$")]
        if found:
            return [sheet for path in sorted(found) for sheet in sheets_of(path)]
    return []


def unreadable_tables(folder: Path) -> list[Path]:
    """The spreadsheets of a folder, or of the folders in it, in forms that are not read, such as `train.xls`.

    Args:
        folder: Where to look.
    """
    found = (path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)) if path.is_file())
    return [path for path in found if path.suffix.lower() in OTHER_TABLE_ENDINGS and not path.name.startswith("~$")]


def sheets_of(path: Path) -> list[Path]:
    """The sheets of a workbook that have rows, as in `labels.xlsx#Sheet2`; any other table, or a single sheet, itself.

    Args:
        path: A table.
    """
    if path.suffix.lower() not in EXCEL_ENDINGS:
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
    file, sheet = without_sheet(path)
    return (sheet or Path(file).stem).lower()


def sibling_test_table(train: Path, tables: list[Path]) -> Path | None:
    """The table of the rows to predict that goes with a training table: `train_a.csv` and `test_a.csv`.

    Args:
        train: The training table.
        tables: The tables to choose from.
    """
    own = table_name(train)
    wanted = [own.replace("train", "test"), "test"] if "train" in own else ["test"]
    for name in wanted:
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
    ending = Path(without_sheet(path)[0]).suffix.lower()
    if ending not in TABLE_ENDINGS:
        raise DataError(
            f"{path.name!r} is not a table that can be read",
            field=str(path),
            allowed=TABLE_ENDINGS,
            remedy=SAVE_ANEW if ending in OTHER_TABLE_ENDINGS else "name a table or a folder",
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
