"""Delimited text (CSV, TSV) in the encodings and dialects of spreadsheets and statistics programs."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names, pluralize
from holotype.core.table_files import read_csv

SEPARATORS = ",;\t|"
PEEK_BYTES = 1 << 16
MAX_CELL_LENGTH = 2**31 - 1
QUOTED = re.compile(r'"[^"]*"')
DIRECTIVE = re.compile(r"sep=(.)\r?$", re.IGNORECASE)
OTHER_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls); save it as .xlsx or CSV",
    b"PK\x03\x04": "a ZIP archive; unpack it, or end an Excel file in .xlsx",
    b"PAR1": "Parquet; end its name in .parquet",
    b"\x89PNG": "a PNG image",
    b"%PDF": "a PDF",
}


def parse_delimited(content: bytes, name: str, field: str, tabs: bool = False) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Parse delimited text; every column is text, cells are stripped, and an empty cell is null.

    The separator is the one in a first line `sep=;`, else the one of comma, semicolon, tab and bar that splits the
    first lines evenly. Encodings are UTF-8, UTF-16, or Windows-1252 if only single letters have accents; any line
    ending. Returns the table without empty rows, and notes on what was guessed or skipped.
    """
    text, notes = _decode(content, name, field)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    directive, skipped = DIRECTIVE.match(text.partition("\n")[0]), 0
    if directive is not None:
        text, skipped = text.partition("\n")[2], 1
    if not text.strip():
        raise DataError(f"the table {name!r} is empty", field=field)
    blank = len(text) - len(text.lstrip("\r\n"))
    skipped += text[:blank].count("\n")
    text = text[blank:]
    titles: list[str] = []
    if directive is None:
        text, lines, titles = _skip_titles(text)
        skipped += lines
    separator = directive[1] if directive else _detect_separator(text, tabs)
    try:
        header, frame, cell_notes = _parse_cells(text, separator, skipped)
    except (csv.Error, ValueError) as error:
        first = text.partition("\n")[0].strip()
        if " " in first and not any(mark in first for mark in SEPARATORS):
            raise DataError(
                f"the cells of the table {name!r} are separated by blanks",
                field=field,
                remedy="separate them by commas (in R: write.csv(x, row.names = FALSE))",
            ) from None
        raise DataError(f"the table {name!r} cannot be read: {error}", field=field) from None
    frame, more = text_columns(frame, header)
    return frame, tuple(f"{Path(name).name}: {note}." for note in (*notes, *titles, *cell_notes, *more))


def text_columns(frame: pl.DataFrame, header: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """Name and clean text columns: strip blanks, make empty cells null, drop empty rows.

    An empty column without a name is dropped; other unnamed columns are named by their number. Of equal columns with
    one name the first stays; columns with one name and different content are numbered. Returns the table, and notes on
    what was skipped.
    """
    frame = frame.select(pl.all().str.strip_chars().replace("", None))
    frame.columns = [str(number) for number in range(frame.width)]
    full = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    empty = frame.height - full.height
    notes = [f"{pluralize(empty, 'row')} without content skipped"] if empty else []
    columns: dict[str, pl.Series] = {}
    names = [name.strip() for name in header]
    for number, (name, column) in enumerate(zip(names, full.iter_columns(), strict=True)):
        same = [full.to_series(other) for other, twin in enumerate(names) if twin == name and other != number]
        if not name and column.null_count() == full.height:
            continue
        if same and name and all(column.equals(twin) for twin in same):
            if name not in columns:
                notes.append(
                    f"the column {name!r} appears {len(same) + 1} times with the same content and is read once"
                )
                columns[name] = column
        elif same and (name or "" in columns):
            columns[f"{name} (column {number + 1})".strip()] = column
        else:
            columns[name] = column
    differing = [name for name in dict.fromkeys(names) if name and name not in columns]
    if differing:
        notes.append(
            f"several columns with different content are named {join_names(map(repr, differing), 5)}; their "
            "numbers are added to the names"
        )
    return pl.DataFrame(columns) if columns else pl.DataFrame(), notes


def _decode(content: bytes, name: str, field: str) -> tuple[str, list[str]]:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"the table {name!r} is compressed and cannot be unpacked: {error}", field=field) from None
    other_format = next((what for magic, what in OTHER_FORMATS.items() if content.startswith(magic)), None)
    if other_format is not None:
        raise DataError(f"the table {name!r} is not text but {other_format}", field=field)
    wide = _detect_utf16(content)
    try:
        text = content.decode(wide or "utf-8-sig").removeprefix("\ufeff")
        notes: list[str] = []
    except UnicodeDecodeError as error:
        text, notes = _decode_windows_1252(content, name, field, error)
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise DataError(f"the table {name!r} is not text: line {line:,} holds a zero byte", field=field)
    return text, notes


def _detect_utf16(content: bytes) -> str | None:
    """UTF-16 encoding, detected by its byte order mark or by every other byte being zero; None otherwise."""
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    start = np.frombuffer(content[: len(content[:2000]) // 2 * 2], np.uint8).reshape(-1, 2)
    zero = (start == 0).mean(axis=0) if len(start) else np.zeros(2)
    if zero.max() > 0.6 and zero.min() < 0.1:
        return "utf-16-le" if zero[1] > zero[0] else "utf-16-be"
    return None


def _decode_windows_1252(content: bytes, name: str, field: str, error: UnicodeDecodeError) -> tuple[str, list[str]]:
    """Decode Windows-1252 (a superset of Latin-1), only if accented letters stand alone between others."""
    line = content[: error.start].count(b"\n") + 1
    high = np.frombuffer(content, np.uint8) >= 0x80
    in_runs = (high[1:] & high[:-1]).sum() / max(int(high.sum()), 1)
    try:
        text = content.decode("cp1252") if in_runs < 0.25 else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise DataError(
            f"the table {name!r} is not UTF-8: line {line:,} holds the byte {content[error.start]:#x}",
            field=field,
            remedy="save it again as CSV in UTF-8",
        )
    first = re.search(r"\w*[^\x00-\x7f]\w*", text)
    word = repr(first[0]) if first else "a letter"
    return text, [
        f"it is not UTF-8 and is read as Windows-1252, in which line {line:,} has {word}; if that is wrong, "
        "save it as CSV in UTF-8"
    ]


def _skip_titles(text: str) -> tuple[str, int, list[str]]:
    """Text from its header on, the number of lines before it, and notes on them.

    A title or comment is a line of one cell above a header of several, if it begins with `#`, if a blank line follows,
    or if the header has three cells or more; an empty first cell belongs to a header.
    """
    rest, lines = text, 0
    notes: list[str] = []
    while True:
        line, _, below = rest.partition("\n")
        bare = line.strip().rstrip(f"{SEPARATORS} ")
        after = below[:PEEK_BYTES].split("\n")
        blank = next((number for number, candidate in enumerate(after) if candidate.strip(f"{SEPARATORS} ")), None)
        if (
            blank is None
            or not bare
            or bare[0] in SEPARATORS
            or '"' in bare
            or any(mark in bare for mark in SEPARATORS)
        ):
            return rest, lines, notes
        cells = max(after[blank].strip().count(mark) for mark in SEPARATORS) + 1
        alone = bare == line.strip()
        comment = bare.startswith("#") and alone
        if not (comment and (cells > 1 or after[blank].startswith("#"))) and not (
            cells > 1 and (blank > 0 or (alone and cells > 2))
        ):
            return rest, lines, notes
        notes.append(f"line {lines + 1:,} ({bare[:60]!r}) is skipped because it is above the header")
        rest, lines = below, lines + 1
        while blank:
            rest, lines, blank = rest.partition("\n")[2], lines + 1, blank - 1


def _detect_separator(text: str, tabs: bool) -> str:
    early = text[:PEEK_BYTES].rpartition("\n")[0] if len(text) > PEEK_BYTES else text
    lines = [QUOTED.sub("", line) for line in (early or text).splitlines()[:20] if line.strip()]
    header = lines[0]
    if tabs and "\t" in header:
        return "\t"
    for separator in SEPARATORS:
        if separator in header and {line.count(separator) for line in lines} == {header.count(separator)}:
            return separator
    return "," if "," in header else max(SEPARATORS, key=header.count)


def _parse_cells(text: str, separator: str, skipped: int) -> tuple[list[str], pl.DataFrame, list[str]]:
    first, _, body = text.partition("\n")
    if body.strip() and _is_regular(text, separator):
        header = [cell.strip() for cell in next(csv.reader([first.rstrip("\r")], delimiter=separator))]
        return header, read_csv(body.rstrip("\r\n").encode(), separator, header=False), []
    try:
        rows, begins = _parse_quoted_rows(text, separator, skipped)
    except csv.Error:
        closed = rf'((?:^|[{re.escape(separator)}\r\n])[ \t]*"(?:[^"]|"")*")[ ]+(?=[{re.escape(separator)}\r\n]|$)'
        cleaned = re.sub(closed, r"\1", text)  # blanks between a closing quote and the separator
        if cleaned == text:
            raise
        rows, begins = _parse_quoted_rows(cleaned, separator, skipped)
    header, rows, begins = rows[0], rows[1:], begins[1:]
    width = max(len(header) - _count_trailing_empty(header), 1)
    long = [number for number, row in enumerate(rows) if len(row) > len(header) < len(row) - _count_trailing_empty(row)]
    if long:
        cells = len(rows[long[0]])
        r_names = len(long) == len(rows) and all(len(row) == len(header) + 1 for row in rows)
        remedy = "write R's tables with row.names = FALSE" if r_names else "quote a cell that holds the separator"
        raise ValueError(
            f"line {begins[long[0]]:,} has {cells} cells and the header {len(header)} "
            f"({pluralize(len(long), 'row')} in all); {remedy}"
        )
    short = [begins[number] for number, row in enumerate(rows) if len(row) < width and any(row)]
    notes = (
        [
            f"{pluralize(len(short), 'row')} with fewer cells than the header, the first in line {short[0]:,}; the "
            "missing ones are empty"
        ]
        if short
        else []
    )
    columns = {
        str(number): pl.Series([row[number] if number < len(row) else "" for row in rows], dtype=pl.String)
        for number in range(len(header))
    }
    return header, pl.DataFrame(columns), notes


def _parse_quoted_rows(text: str, separator: str, skipped: int) -> tuple[list[list[str]], list[int]]:
    csv.field_size_limit(MAX_CELL_LENGTH)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    rows, begins, line = [], [], 0
    try:
        for row in reader:
            if row:
                rows.append(row)
                begins.append(line + 1 + skipped)
            line = reader.line_num
    except csv.Error as error:
        raise csv.Error(f"in the row that begins in line {line + 1 + skipped:,} {_describe_csv_error(error)}") from None
    return rows, begins


def _is_regular(text: str, separator: str) -> bool:
    """Whether Polars parses the text as Python's reader does (and faster).

    No line is blank or ends within a cell, every line has as many cells as the first, and quotes enclose whole cells or
    are doubled within such.
    """
    if not separator.isascii() or separator in '" \r\n' or text.count("\r") != text.count("\r\n"):
        return False
    content = np.frombuffer(text.rstrip("\r\n").encode() + b"\n", np.uint8)
    quotes, ends = np.flatnonzero(content == ord('"')), np.flatnonzero(content == ord("\n"))
    parts = np.flatnonzero(content == ord(separator))
    if len(quotes):
        if not _encloses_cells(content, quotes, separator) or (np.searchsorted(quotes, ends) % 2).any():
            return False
        parts = parts[np.searchsorted(quotes, parts) % 2 == 0]
    counts = np.diff(np.searchsorted(parts, ends), prepend=0)
    return bool((counts == counts[0]).all() and counts[0])


def _encloses_cells(content: NDArray[np.uint8], quotes: NDArray[np.intp], separator: str) -> bool:
    if len(quotes) % 2:
        return False
    around = np.zeros(256, bool)
    around[list(f'{separator}"\n'.encode())] = True
    before = around[content[quotes[::2] - 1]]  # index -1 is the last byte, a line end
    around[ord("\r")] = True
    return bool(before.all() and around[content[quotes[1::2] + 1]].all())


def _count_trailing_empty(row: list[str]) -> int:
    filled = [number for number, cell in enumerate(row) if cell.strip()]
    return len(row) - (filled[-1] + 1 if filled else 0)


def _describe_csv_error(error: csv.Error) -> str:
    reason = str(error)
    if "unexpected end" in reason:
        return "a quote is not closed"
    return "text follows a closing quote" if "expected after" in reason else reason
