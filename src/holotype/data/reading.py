"""The one table reader: CSV, TSV or Parquet in, columns of text out."""

from __future__ import annotations

import io
import re
from pathlib import Path

import polars as pl
from polars import selectors

from holotype.data.addresses import ending, is_remote, opened
from holotype.errors import DataError, StoreError
from holotype.table_files import read_csv, read_parquet

__all__ = ["TABLE_ENDINGS", "read_table"]

TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".pq")
QUOTED = re.compile(rb'"[^"]*"')


def read_table(path: Path | str, field: str = "data.train", lists: bool = False) -> pl.DataFrame:
    """A CSV or Parquet file with every column as text, so that `00365` stays `00365`.

    Columns are parted by commas; by tabs in a `.tsv`; and by semicolons or tabs where the first line has no comma, as
    spreadsheets write them in much of Europe.

    Args:
        path: The file, or an address that fsspec opens; `.parquet` and `.pq` are Parquet, all else is CSV in UTF-8.
        field: The recipe's key that names the file, for messages.
        lists: Leave columns of lists as they are, where a Parquet file has them.

    Raises:
        DataError: The file is missing, broken or empty.
    """
    if not is_remote(path) and not Path(path).is_file():
        near = sorted(sibling.name for sibling in Path(path).parent.glob("*") if sibling.suffix == Path(path).suffix)
        raise DataError(f"there is no table {str(path)!r}", field=field, value=Path(path).name, allowed=near)
    try:
        if ending(path) in {".parquet", ".pq"}:
            table = read_parquet(_contents(opened(path)))
            table = table.with_columns((~selectors.nested() if lists else pl.all()).cast(pl.String))
        else:
            source = opened(path)
            table = read_csv(_contents(source), _separator(_first_line(source), ending(path)))
    except (StoreError, OSError) as error:
        reason = str(error).splitlines()[0]
        if "empty" in reason:
            raise DataError(f"the table {str(path)!r} is empty", field=field) from None
        remedy = "save it once more as CSV in UTF-8" if "utf-8" in reason else ""
        raise DataError(f"the table {str(path)!r} cannot be read: {reason}", field=field, remedy=remedy) from error
    if table.height == 0:
        raise DataError(f"the table {str(path)!r} has a header and no rows", field=field)
    return table


def _contents(source: Path | io.BytesIO) -> Path | bytes:
    return source.getvalue() if isinstance(source, io.BytesIO) else source


def _first_line(source: Path | io.BytesIO) -> bytes:
    if isinstance(source, io.BytesIO):
        return source.getvalue().partition(b"\n")[0]
    with source.open("rb") as stream:
        return stream.readline()


def _separator(header: bytes, named: str) -> str:
    plain = QUOTED.sub(b"", header)
    if named == ".tsv":
        return "\t"
    return "," if b"," in plain else max(",;\t", key=lambda separator: plain.count(separator.encode()))
