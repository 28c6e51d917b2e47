"""Excel workbooks (.xlsx): one sheet as text columns, with cells as displayed."""

from __future__ import annotations

import io
import re
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.data.delimited import text_columns

ZEROS = re.compile(r"0{2,}")
FILE_NAME = re.compile(r"\.[A-Za-z]\w{1,4}$")
"""End of a file name, which is never a column name."""
DIGIT = re.compile(r"\d")
MAX_TITLE_ROWS = 20


def read_sheet(
    source: Path | io.BytesIO, sheet: str | None, name: str, field: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read one sheet of a workbook.

    The first row with content is the header. Numbers keep the zeros of their format (`000`), dates are written as
    2024-05-31, merged cells all get the content of the first, and formulas their stored result. Returns the table
    without empty rows, and notes on what was skipped.
    """
    book = _open_workbook(source, name, field)
    sheets = {each.title: each for each in book.worksheets}
    if sheet is not None and sheet not in sheets:
        raise DataError(f"there is no sheet {sheet!r} in {name!r}", field=field, value=sheet, allowed=sheets)
    filled = [title for title, each in sheets.items() if _count_filled_rows(each) > 1]
    if sheet is None and len(filled) != 1:
        if not filled:
            raise DataError(f"the table {name!r} has no sheet with a header and rows", field=field)
        raise DataError(
            f"{len(filled)} sheets of {name!r} have rows: {join_names(map(repr, filled))}",
            field=field,
            remedy=f"name one behind the file, as in {Path(name).name}#{filled[0]}",
        )
    title = sheet or filled[0]
    rows = _read_rows(sheets[title])
    if any(None in row for row in rows):
        _require_results(source, title, rows, name, field)
    texts = [[_format_cell(value, form) for value, form in row] for row in _with_formats(sheets[title], rows)]
    first = next((number for number, row in enumerate(texts) if any(row)), 0)
    first, titles = _find_header(texts, first)
    _require_one_header_row(texts, first, name, field)
    header, body = texts[first] if texts else [], texts[first + 1 :]
    columns = zip(*body, strict=True) if body else [()] * len(header)
    frame = pl.DataFrame({str(number): pl.Series(column, dtype=pl.String) for number, column in enumerate(columns)})
    table, notes = text_columns(frame, header)
    notes = [*titles, *notes]
    others = [each for each in filled if each != title]
    if others:
        notes = [*notes, f"the sheet {title!r} is read, and not {join_names(map(repr, others))}"]
    return table, tuple(f"{Path(name).name}: {note}." for note in notes)


def _find_header(rows: list[list[str]], first: int) -> tuple[int, list[str]]:
    header, notes, passed = first, [], []
    for _ in range(MAX_TITLE_ROWS):
        following = next((number for number in range(first + 1, len(rows)) if any(rows[number])), None)
        if following is None or not rows[first][0] or len({cell for cell in rows[first] if cell}) > 1:
            break
        merged = sum(map(bool, rows[first])) > 1
        filled = sum(map(bool, rows[following]))
        if not (merged or following > first + 1 or filled > 2) or any(map(FILE_NAME.search, rows[following])):
            break
        passed.append(f"row {first + 1:,} ({rows[first][0][:60]!r}) is skipped because it is above the header")
        first = following
        if filled > 1:
            header, notes = first, list(passed)
    return header, notes


def _require_one_header_row(rows: list[list[str]], first: int, name: str, field: str) -> None:
    """Raise for a header of two rows: group names, merged or followed by blanks, above column names.

    The second row holds names if its cells are all different, none of them appears again below in its column, and at
    least one has no digit while all cells below it have.
    """
    filled = [row for row in rows[first:] if any(row)]
    if len(filled) < 3:
        return
    above, names, body = filled[0], filled[1], filled[2:]
    spans = [
        number
        for number in range(1, len(names))
        if above[number] in {"", above[number - 1]} and any(above[:number]) and names[number] and names[number - 1]
    ]
    written = [cell for cell in names if cell]
    if not spans or len(set(written)) < len(written) or any(map(FILE_NAME.search, written)):
        return
    columns = [(cell, [row[number] for row in body if row[number]]) for number, cell in enumerate(names) if cell]
    differs = any(below and not DIGIT.search(cell) and all(map(DIGIT.search, below)) for cell, below in columns)
    if differs and not any(cell in below for cell, below in columns):
        group = next((cell for cell in reversed(above[: spans[0]]) if cell), "")
        of_group = [names[spans[0] - 1], names[spans[0]]]
        raise DataError(
            f"the table {name!r} has a header of two rows: {group!r} stands above {join_names(map(repr, of_group))}",
            field=field,
            remedy=f"write one row of names, such as {f'{group} {of_group[0]}'!r}, a name of its own for each column",
        )


def list_sheets(path: Path, field: str) -> list[str]:
    """Names of the sheets that have a header and rows, in order. Raises DataError if it is not a workbook."""
    return [sheet.title for sheet in _open_workbook(path, path.name, field).worksheets if _count_filled_rows(sheet) > 1]


def _open_workbook(source: Path | io.BytesIO, name: str, field: str, data_only: bool = True) -> Any:
    from openpyxl import load_workbook  # slow import, needed for Excel only

    try:
        return load_workbook(source, data_only=data_only)
    except Exception as error:  # damaged workbooks raise many kinds of errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"the workbook {name!r} cannot be read: {reason}",
            field=field,
            remedy="open it in Excel and save it again as .xlsx, or as CSV",
        ) from error


def _count_filled_rows(sheet: Any) -> int:
    filled = 0
    for row in sheet.iter_rows(values_only=True):
        filled += any(value is not None and str(value).strip() for value in row)
        if filled > 1:
            break
    return filled


def _read_rows(sheet: Any) -> list[list[Any]]:
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    for area in sheet.merged_cells.ranges:
        value = rows[area.min_row - 1][area.min_col - 1]
        for row in range(area.min_row - 1, area.max_row):
            for column in range(area.min_col - 1, area.max_col):
                rows[row][column] = value
    return rows


def _with_formats(sheet: Any, rows: list[list[Any]]) -> list[list[tuple[Any, str]]]:
    return [
        [(value, cell.number_format if isinstance(value, int) else "") for value, cell in zip(row, cells, strict=True)]
        for row, cells in zip(rows, sheet.iter_rows(), strict=True)
    ]


def _require_results(source: Path | io.BytesIO, title: str, rows: list[list[Any]], name: str, field: str) -> None:
    """Raise for formulas without a stored result: their cells would be empty."""
    formulas = _open_workbook(source, name, field, data_only=False)[title]
    for row, cells in zip(rows, formulas.iter_rows(), strict=True):
        for value, cell in zip(row, cells, strict=True):
            if value is None and cell.data_type == "f":
                raise DataError(
                    f"cell {cell.coordinate} of {name!r} holds a formula without a stored result",
                    field=field,
                    remedy="open the workbook in Excel and save it",
                )


def _format_cell(value: Any, form: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int) and ZEROS.fullmatch(form):
        return f"{value:0{len(form)}d}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
