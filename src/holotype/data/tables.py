"""Table files: CSV, TSV, Parquet or an Excel sheet as text columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import selectors

from holotype.core.errors import DataError, StoreError
from holotype.core.table_files import PARQUET_SUFFIXES, read_parquet, strip_sheet_name
from holotype.data.delimited import parse_delimited
from holotype.data.excel import read_sheet
from holotype.data.uris import is_remote, open_uri, suffix

EXCEL_SUFFIXES = (".xlsx", ".xlsm")
TABLE_SUFFIXES = (".csv", ".tsv", *PARQUET_SUFFIXES, *EXCEL_SUFFIXES)
UNREAD_SUFFIXES = (".xls", ".xlsb", ".ods", ".numbers")


@dataclass(frozen=True)
class NotedTable:
    """Table with notes on how it was read."""

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()


def read_table(path: Path | str, field: str = "data.train", lists: bool = False) -> pl.DataFrame:
    """Read a table with every column as text, so that `00365` stays `00365`.

    `path`: the file, or an address that fsspec opens: `.parquet` and `.pq` are Parquet, `.xlsx` is Excel (with a sheet
    as in `labels.xlsx#Sheet2`), any other suffix is delimited text; `lists`: keep list columns of a Parquet file, which
    otherwise become JSON. Raises DataError if the file is missing, broken or empty.
    """
    return read_noted_table(path, field, lists).frame


def read_noted_table(path: Path | str, field: str = "data.train", lists: bool = False) -> NotedTable:
    """Read a table as `read_table` does, with notes on what was guessed or skipped."""
    address, sheet = strip_sheet_name(path)
    name = str(address)
    if not is_remote(address) and not Path(address).is_file():
        near = sorted(sibling.name for sibling in Path(address).parent.glob("*") if suffix(sibling) == suffix(address))
        raise DataError(f"there is no table {name!r}", field=field, value=Path(address).name, allowed=near)
    if suffix(address) in UNREAD_SUFFIXES:
        raise DataError(
            f"{name!r} cannot be read",
            field=field,
            value=suffix(address),
            allowed=TABLE_SUFFIXES,
            remedy="save it as .xlsx, or as CSV in UTF-8",
        )
    notes: tuple[str, ...] = ()
    try:
        source = open_uri(address)
        content = source if isinstance(source, Path) else source.getvalue()
        if suffix(address) in PARQUET_SUFFIXES:
            table = text_table(read_parquet(content), lists)
        elif suffix(address) in EXCEL_SUFFIXES:
            table, notes = read_sheet(source, sheet, name, field)
        else:
            text = content if isinstance(content, bytes) else content.read_bytes()
            table, notes = parse_delimited(text, name, field, tabs=suffix(address) == ".tsv")
    except (StoreError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the table {name!r} cannot be read: {reason}", field=field) from error
    if table.height == 0:
        raise DataError(f"the table {name!r} has a header and no rows", field=field)
    return NotedTable(table, notes)


def text_table(table: pl.DataFrame, lists: bool = False) -> pl.DataFrame:
    """Columns as text: whole numbers without a decimal point, lists as JSON, NaN as null.

    Args:
        lists: Keep list columns.
    """
    columns = []
    for column in table.iter_columns():
        if column.dtype.is_float():
            column = column.fill_nan(None)
            values = column.drop_nulls()
            if values.is_finite().all() and (values == values.round()).all() and values.abs().max() is not None:
                column = column.cast(pl.Int64) if values.abs().max() < 2**53 else column  # type: ignore[operator]
        if isinstance(column.dtype, pl.List | pl.Array) and not lists:
            rows = column.to_frame("row").select(pl.struct("row").struct.json_encode()).to_series()
            column = rows.str.strip_prefix('{"row":').str.strip_suffix("}").replace("null", None).alias(column.name)
        columns.append(column)
    frame = pl.DataFrame(columns)
    return frame.with_columns((~selectors.nested()).cast(pl.String))
