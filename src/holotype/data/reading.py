"""Tables: CSV, TSV, Parquet or an Excel sheet in, columns of text out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import selectors

from holotype.data.addresses import ending, is_remote, opened
from holotype.data.delimited import parse_delimited
from holotype.data.excel import read_sheet
from holotype.errors import DataError, StoreError
from holotype.table_files import PARQUET_ENDINGS, read_parquet, without_sheet

__all__ = ["TABLE_ENDINGS", "NotedTable", "read_noted_table", "read_table"]

EXCEL_ENDINGS = (".xlsx", ".xlsm")
TABLE_ENDINGS = (".csv", ".tsv", *PARQUET_ENDINGS, *EXCEL_ENDINGS)
UNREAD_ENDINGS = (".xls", ".xlsb", ".ods", ".numbers")


@dataclass(frozen=True)
class NotedTable:
    """A table, and what is to be said of how it was read.

    Args:
        frame: Its columns as text.
        notes: What was guessed or passed over, in sentences.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def read_table(path: Path | str, field: str = "data.train", lists: bool = False) -> pl.DataFrame:
    """A table with every column as text, so that `00365` stays `00365`.

    Args:
        path: The file, or an address that fsspec opens: `.parquet` and `.pq` are Parquet, `.xlsx` is Excel (a sheet is
            named as in `labels.xlsx#Sheet2`), all else is delimited text.
        field: The recipe's key that names the file, for messages.
        lists: Leave columns of lists as they are, where a Parquet file has them; they become JSON otherwise.

    Raises:
        DataError: The file is missing, broken or empty.
    """
    return read_noted_table(path, field, lists).frame


def read_noted_table(path: Path | str, field: str = "data.train", lists: bool = False) -> NotedTable:
    """A table as `read_table` gives it, with notes on what was guessed or passed over.

    Args:
        path: As there.
        field: As there.
        lists: As there.

    Raises:
        DataError: The file is missing, broken or empty.
    """
    address, sheet = without_sheet(path)
    name = str(address)
    if not is_remote(address) and not Path(address).is_file():
        near = sorted(sibling.name for sibling in Path(address).parent.glob("*") if ending(sibling) == ending(address))
        raise DataError(f"there is no table {name!r}", field=field, value=Path(address).name, allowed=near)
    if ending(address) in UNREAD_ENDINGS:
        raise DataError(f"{name!r} cannot be read", field=field, value=ending(address), allowed=TABLE_ENDINGS,
                        remedy="save it as .xlsx, or as CSV in UTF-8")  # fmt: skip
    notes: tuple[str, ...] = ()
    try:
        source = opened(address)
        content = source if isinstance(source, Path) else source.getvalue()
        if ending(address) in PARQUET_ENDINGS:
            table = _as_text(read_parquet(content), lists)
        elif ending(address) in EXCEL_ENDINGS:
            table, notes = read_sheet(source, sheet, name, field)
        else:
            text = content if isinstance(content, bytes) else content.read_bytes()
            table, notes = parse_delimited(text, name, field, tabs=ending(address) == ".tsv")
    except (StoreError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the table {name!r} cannot be read: {reason}", field=field) from error
    if table.height == 0:
        raise DataError(f"the table {name!r} has a header and no rows", field=field)
    return NotedTable(table, notes)


def _as_text(table: pl.DataFrame, lists: bool) -> pl.DataFrame:
    """Columns as text: numbers that are whole without a point, lists as JSON, NaN as nothing."""
    columns = []
    for column in table.iter_columns():
        if column.dtype.is_float():
            column = column.fill_nan(None)
            whole = column.drop_nulls()
            if whole.is_finite().all() and (whole == whole.round()).all() and whole.abs().max() is not None:
                column = column.cast(pl.Int64) if whole.abs().max() < 2**53 else column  # type: ignore[operator]
        if isinstance(column.dtype, pl.List | pl.Array) and not lists:
            rows = column.to_frame("row").select(pl.struct("row").struct.json_encode()).to_series()
            column = rows.str.strip_prefix('{"row":').str.strip_suffix("}").replace("null", None).alias(column.name)
        columns.append(column)
    frame = pl.DataFrame(columns)
    return frame.with_columns((~selectors.nested()).cast(pl.String))
