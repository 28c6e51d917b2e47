"""Tables of a data folder: read as text, recognized by name and content."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from holotype.core.errors import DataError
from holotype.core.table_files import strip_sheet_name
from holotype.data.excel import list_sheets
from holotype.data.missing import MISSING_WORDS
from holotype.data.tables import TABLE_SUFFIXES, read_noted_table

EXCEL_SUFFIXES = (".xlsx", ".xlsm")
OTHER_TABLE_SUFFIXES = (".xls", ".xlsb", ".ods", ".numbers")
SAVE_ANEW = "save it as .xlsx, or as CSV in UTF-8"
WRITTEN_MARK = ".new"
"""Suffix of the names of tables that were written from another one, before the extension."""
DATE = r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?$|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}$"


def list_tables(folder: Path) -> list[Path]:
    """List the tables of a folder, or of its subfolders if it has none, without those written by `holotype init`.

    Returns files; each sheet of a workbook with several sheets by its name, as in `labels.xlsx#Sheet2`.
    """
    for pattern in ("*", "*/*"):
        paths = [path for path in folder.glob(pattern) if path.suffix.lower() in TABLE_SUFFIXES and path.is_file()]
        paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
        paths = [path for path in paths if not path.stem.endswith(WRITTEN_MARK) and not path.name.startswith("~$")]
        if paths:
            return [sheet for path in sorted(paths) for sheet in sheets_of(path)]
    return []


def unreadable_tables(folder: Path) -> list[Path]:
    """List the spreadsheets in unsupported formats, such as `train.xls`, of a folder and its subfolders."""
    files = (path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern)) if path.is_file())
    return [path for path in files if path.suffix.lower() in OTHER_TABLE_SUFFIXES and not path.name.startswith("~$")]


def sheets_of(path: Path) -> list[Path]:
    """List the sheets of a workbook that have rows, as in `labels.xlsx#Sheet2`; other tables are themselves."""
    if path.suffix.lower() not in EXCEL_SUFFIXES:
        return [path]
    try:
        names = list_sheets(path, "DATA")
    except DataError:
        return [path]  # reading it later raises the error
    return [path] if len(names) < 2 else [path.with_name(f"{path.name}#{name}") for name in names]


def table_name(path: Path) -> str:
    """Name of a table in lower case: the sheet, or the file without its extension."""
    file, sheet = strip_sheet_name(path)
    return (sheet or Path(file).stem).lower()


def sibling_test_table(train: Path, tables: list[Path]) -> Path | None:
    """Find the test table that belongs to a training table: `test_a.csv` for `train_a.csv`."""
    train_name = table_name(train)
    test_names = [train_name.replace("train", "test"), "test"] if "train" in train_name else ["test"]
    for name in test_names:
        for path in tables:
            if path != train and table_name(path) == name:
                return path
    return None


def read_table(path: Path) -> pl.DataFrame:
    """Read a table with every column as text, so that `00250` is preserved; cells without a value are null."""
    return read_with_notes(path)[0]


def read_with_notes(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read a table like `read_table`, with notes on how it was read."""
    ending = Path(strip_sheet_name(path)[0]).suffix.lower()
    if ending not in TABLE_SUFFIXES:
        raise DataError(
            f"{path.name!r} is not a supported table",
            field=str(path),
            allowed=TABLE_SUFFIXES,
            remedy=SAVE_ANEW if ending in OTHER_TABLE_SUFFIXES else "name a table or a folder",
        )
    table = read_noted_table(path, "DATA")
    absent = pl.all().str.strip_chars().is_in(list(MISSING_WORDS))
    return table.frame.with_columns(pl.when(~absent).then(pl.all())), table.notes


def is_submission(name: str) -> bool:
    """Check whether a table is a sample submission."""
    return "submission" in name.lower()


def as_numbers(values: pl.Series) -> pl.Series | None:
    """Convert text to numbers without nulls; None if some values are not numbers."""
    present = values.drop_nulls()
    numbers = present.str.strip_chars().cast(pl.Float64, strict=False)
    return None if numbers.null_count() or not len(present) else numbers


def are_dates(values: pl.Series) -> bool:
    """Check whether every value is a date, year first or last."""
    present = values.drop_nulls()
    return bool(len(present)) and bool(present.str.contains(DATE).all())


def is_unique(frame: pl.DataFrame, column: str) -> bool:
    """Check whether a column has a distinct value in every row."""
    return frame[column].null_count() == 0 and frame[column].n_unique() == frame.height
