"""Table files: the only module that reads and writes Parquet, CSV, TSV and Excel files by path.

A path is the name of one file, never a pattern, whatever brackets or stars it holds. A file is written under a
temporary name, flushed to the disk and renamed, so that it is complete or absent.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import polars as pl

from holotype.core.errors import InputError, StoreError

PARQUET_SUFFIXES = (".parquet", ".pq")
WRITTEN_SUFFIXES = (".csv", ".tsv", *PARQUET_SUFFIXES, ".xlsx")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
EXCEL_ROWS = 2**20 - 1
SHEET = re.compile(r"(?P<file>.*\.xls[xm])#(?P<sheet>[^/\\\\]+)", re.IGNORECASE | re.DOTALL)
OS_ERROR = re.compile(r"os error (\d+)")


def read_parquet(source: Path | str | bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a Parquet file."""
    names = None if columns is None else list(columns)
    return _parse(source, lambda stream: pl.read_parquet(stream, columns=names))


def parquet_columns(source: Path | str | bytes) -> list[str]:
    """Read the column names of a Parquet file; raises as `read_parquet`."""
    return list(_parse(source, pl.read_parquet_schema))


def scan_parquet(source: Path | str | bytes) -> pl.LazyFrame:
    """Open a Parquet file as a lazy table, of which only the selected columns are read; raises as `read_parquet`."""
    parquet_columns(source)
    return pl.scan_parquet(source, glob=False)


def read_csv(source: Path | str | bytes, separator: str = ",", header: bool = True) -> pl.DataFrame:
    """Read a well-formed CSV file in UTF-8, every column as text; raises as `read_parquet`.

    `header`: the first line names the columns; without it they are `column_1` and so on.
    """
    return _parse(
        source, lambda stream: pl.read_csv(stream, separator=separator, has_header=header, infer_schema=False)
    )


def write_parquet(frame: pl.DataFrame, path: Path | str) -> None:
    """Write a Parquet file atomically. Raises OSError if the disk refuses."""
    with atomic_file(path) as stream, _translate_disk_errors(path):
        frame.write_parquet(stream)


def write_table(frame: pl.DataFrame, path: Path | str, *, byte_order_mark: bool = False) -> None:
    """Write a table atomically, in the format of its file name.

    `path`: `.csv`, `.tsv`, `.parquet`, `.pq` or `.xlsx`; `byte_order_mark`: begin text with the mark by which Excel
    knows UTF-8.
    """
    write_table_parts([frame], path, byte_order_mark=byte_order_mark)


def write_table_parts(
    parts: Iterable[pl.DataFrame],
    path: Path | str,
    *,
    byte_order_mark: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write a table that comes in parts atomically, without holding it in memory, and return the number of rows.

    `metadata`: texts for the header of a Parquet file. Other arguments and errors are those of `write_table`.
    """
    suffix = require_table_suffix(path)
    with atomic_file(path) as stream:
        if suffix in PARQUET_SUFFIXES:
            return _write_parquet_parts(parts, stream, Path(path), dict(metadata or {}))
        if suffix == ".xlsx":
            return _write_excel_parts(parts, stream, Path(path))
        if byte_order_mark:
            stream.write(BYTE_ORDER_MARK)
        rows = 0
        for number, part in enumerate(parts):
            with _translate_disk_errors(path):
                text = _to_text(part).write_csv(include_header=number == 0, separator="\t" if suffix == ".tsv" else ",")
                stream.write(text.encode())  # by Python: older Polars drops what a full disk refuses without an error
            rows += part.height
        return rows


def require_table_suffix(path: Path | str, field: str = "") -> str:
    """Suffix of a table's file, in lower case. Raises InputError if no table is written with this suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise InputError(f"{str(path)!r} has no suffix of a table", field=field, allowed=WRITTEN_SUFFIXES)
    return suffix


def strip_sheet_name(path: Path | str) -> tuple[Path | str, str | None]:
    """Split `labels.xlsx#Sheet2` into file and sheet; the sheet is None if none is named."""
    named = SHEET.fullmatch(str(path))
    return (path, None) if named is None else (type(path)(named["file"]), named["sheet"])


@contextmanager
def atomic_file(path: Path | str) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name when it is complete and on the disk."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _parse(source: Path | str | bytes, parse: Callable[[Any], Any]) -> Any:
    try:
        if isinstance(source, bytes):
            return parse(source)
        with Path(source).open("rb") as stream:
            return parse(stream)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:  # the second is not an Exception
        reason = str(error) or type(error).__name__
    name = "the table" if isinstance(source, bytes) else f"the table {str(source)!r}"
    raise StoreError(
        f"{name} cannot be read: {reason.splitlines()[0]}",
        remedy="it is damaged, or its format is not that of its name",
    )


@contextmanager
def _translate_disk_errors(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.ComputeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        number = OS_ERROR.search(str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code) if number else str(error), str(path)) from error


def _to_text(frame: pl.DataFrame) -> pl.DataFrame:
    nested = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List | pl.Array)]
    texts = [pl.format("[{}]", pl.col(name).cast(pl.List(pl.String)).list.join(", ")).alias(name) for name in nested]
    return frame.with_columns(texts)


def _write_parquet_parts(parts: Iterable[pl.DataFrame], stream: IO[bytes], path: Path, metadata: dict[str, str]) -> int:
    remaining = iter(parts)
    first, second = next(remaining, pl.DataFrame()), next(remaining, None)
    if second is None:
        with _translate_disk_errors(path):
            first.write_parquet(stream, metadata=metadata or None)
        return first.height
    rows, files = 0, []
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".parts-") as folder:
        for number, part in enumerate(chain([first, second], remaining)):
            files.append(Path(folder) / f"{number:08d}.parquet")
            with _translate_disk_errors(path):
                part.write_parquet(files[-1])
            rows += part.height
        with _translate_disk_errors(path):
            pl.scan_parquet(files, glob=False).sink_parquet(stream, metadata=metadata or None)
    return rows


def _write_excel_parts(parts: Iterable[pl.DataFrame], stream: IO[bytes], path: Path) -> int:
    from openpyxl import Workbook  # slow, and only needed for Excel
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text_cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value))
        text_cell.data_type = "s"  # text: a name that begins with an equals sign is not a formula
        return text_cell

    frames = list(parts)  # a sheet holds few rows, and an error in a later part leaves no half sheet
    rows = sum(frame.height for frame in frames)
    if rows > EXCEL_ROWS:
        raise InputError(
            f"an Excel sheet holds at most {EXCEL_ROWS:,} rows, and {str(path)!r} would have {rows:,}",
            remedy="write .csv or .parquet",
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("table")
    sheet.append([cell(name) for name in frames[0].columns] if frames else [])
    for frame in frames:
        for row in _to_text(frame).iter_rows():
            sheet.append([cell(value) for value in row])
    book.save(stream)
    return rows
