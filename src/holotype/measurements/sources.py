"""Sources of measurements: one lazy table from Parquet, delimited text or Excel, of which parts are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, StoreError
from holotype.core.table_files import PARQUET_SUFFIXES, scan_parquet, strip_sheet_name, write_table_parts
from holotype.data import read_noted_table
from holotype.data.delimited import parse_delimited
from holotype.data.uris import is_remote, open_uri, suffix
from holotype.measurements.typed_columns import ColumnTypes

__all__ = ["LazyTable", "open_table", "require_source", "spill_parts"]

PART_BYTES = 64 << 20
UNSPLIT_STARTS = (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")  # gzip and UTF-16, which end no line with a single byte


@dataclass(frozen=True)
class LazyTable:
    """Table that is read column by column.

    Args:
        frame: Identifiers as text or as in the file, measurements as numbers.
    """

    frame: pl.LazyFrame
    notes: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Type of each column."""
        return dict(self.frame.collect_schema())


def require_source(path: str, field: str) -> None:
    """Require an existing file or folder.

    Raises:
        DataError: There is none; files of the same folder are suggested.
    """
    file = Path(strip_sheet_name(path)[0])
    if is_remote(path) or file.exists():
        return
    near = sorted(sibling.name for sibling in file.parent.glob("*")) if file.parent.is_dir() else []
    raise DataError(f"there is no table {str(file)!r}", field=f"{field}.table", value=file.name, allowed=near)


def open_table(path: str, is_text: Callable[[str], bool], scratch: Path, field: str) -> LazyTable:
    """Open a table file; delimited text above 64 MB is converted to Parquet in parts.

    Args:
        is_text: Tests by the name if a column of delimited text stays text.
        scratch: Folder for temporary files.
        field: Recipe key of the section, for messages.

    Raises:
        DataError: The file is missing, broken or empty.
    """
    require_source(path, field)
    try:
        if suffix(path) in PARQUET_SUFFIXES:
            source = open_uri(path)
            return _expand_lists(scan_parquet(source if isinstance(source, Path) else source.getvalue()))
        types = ColumnTypes(is_text)
        if not _is_splittable(path):
            table = read_noted_table(path, f"{field}.table")
            return LazyTable(types.convert(table.frame).lazy(), (*table.notes, *types.notes(Path(path).name)))
        frame = spill_parts(map(types.convert, _text_parts(Path(path), field)), scratch)
        return LazyTable(frame, types.notes(Path(path).name))
    except (StoreError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the table {path!r} cannot be read: {reason}", field=f"{field}.table") from error


def spill_parts(parts: Iterator[pl.DataFrame], scratch: Path) -> pl.LazyFrame:
    """Write parts of a table to a temporary Parquet file, and open it."""
    path = scratch / f"{len(list(scratch.iterdir()))}.parquet"
    write_table_parts(parts, path)
    return scan_parquet(path)


def _is_splittable(path: str) -> bool:
    """Test if a file is large delimited text, which is read in parts."""
    file = strip_sheet_name(path)[0]
    if is_remote(path) or suffix(file) in {".xlsx", ".xlsm"} or Path(file).stat().st_size <= PART_BYTES:
        return False
    with Path(path).open("rb") as stream:
        return not stream.read(2).startswith(UNSPLIT_STARTS)


def _text_parts(path: Path, field: str) -> Iterator[pl.DataFrame]:
    """Parts of delimited text, each with the header; a part ends with a line, outside of quotes.

    Raises:
        DataError: A part has other columns than the first.
    """
    columns: list[str] = []
    with path.open("rb") as stream:
        header = b""
        while lines := stream.readlines(PART_BYTES):
            while sum(line.count(b'"') for line in lines) % 2 and (line := stream.readline()):
                lines.append(line)
            header = header or lines[0]
            content = b"".join(lines if not columns else [header, *lines])
            frame = parse_delimited(content, str(path), f"{field}.table", tabs=suffix(path) == ".tsv")[0]
            columns = columns or frame.columns
            if frame.columns != columns:
                raise DataError(
                    f"the columns of {str(path)!r} change within the file",
                    field=f"{field}.table",
                    remedy="write it as one table with one header, or as Parquet",
                )
            yield frame


def _expand_lists(frame: pl.LazyFrame) -> LazyTable:
    """Columns `name.0`, `name.1` and so on in the stead of a column of number lists of one length (embeddings)."""
    schema = frame.collect_schema()
    expanded, notes = [], []
    for name, kind in schema.items():
        if not isinstance(kind, pl.List | pl.Array) or not kind.inner.is_numeric():  # type: ignore[union-attr]
            expanded.append(pl.col(name))
            continue
        column = pl.col(name) if isinstance(kind, pl.List) else pl.col(name).arr.to_list()
        lengths = frame.select(column.list.len().drop_nulls().unique()).collect().to_series().to_list()
        if len(lengths) != 1:
            notes.append(f"The lists of the column {name!r} have different lengths, and are left out.")
            continue
        expanded += [column.list.get(index).alias(f"{name}.{index}") for index in range(lengths[0])]
    return LazyTable(frame.select(expanded), tuple(notes))
