"""Review decisions as rows of a CSV file that can be edited in a spreadsheet."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from holotype.core.errors import DataError, join_names

COLUMNS = ("time", "kind", "id", "action", "before", "after", "note", "run")
ACTIONS = {"sample": ("keep", "relabel", "drop", "undo"), "cluster": ("keep", "split", "undo")}
CUT_OFF = "[cut off]"
"""End of a row that a crash left incomplete; it was never confirmed and is skipped."""
DELIMITERS = ",;\t"  # what spreadsheets of different countries write
# What a spreadsheet would take for a formula, with any number of the quotes that protect it.
FORMULA = re.compile("'*[=+\\-@\uff1d\uff0b\uff0d\uff20]")


@dataclass(frozen=True)
class ReviewRow:
    """One decision, or its undo.

    Args:
        action: `keep`, `relabel` or `drop` a sample; `keep` or `split` a cluster; `undo`.
        after: Labels after; for a split cluster, the ids of the images that differ from the others.
        run: Reviewed run: its folder relative to the file, and the digest of its scores.
    """

    kind: Literal["sample", "cluster"]
    id: str
    action: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    note: str = ""
    time: str = ""
    run: str = ""

    @property
    def target(self) -> tuple[str, str]:
        """Target of the decision: kind and id."""
        return self.kind, self.id

    def decides_same(self, other: ReviewRow) -> bool:
        """Compare target, action and labels with another row."""
        return self.target == other.target and (self.action, self.after) == (other.action, other.after)


@dataclass(frozen=True)
class ReadRows:
    """Parsed decisions file.

    Args:
        torn: Text needed before the next row: nothing, an end of line, or the marks of an incomplete row.
        size: Bytes of complete characters; an incomplete character at the end follows after a crash.
    """

    rows: tuple[ReviewRow, ...] = ()
    warnings: tuple[str, ...] = ()
    columns: tuple[str, ...] = COLUMNS
    delimiter: str = ","
    torn: str = ""
    begun: bool = False
    size: int = 0


def read_rows(path: Path) -> ReadRows:
    """Read a decisions file; a missing file has no rows.

    Raises DataError if the file is not UTF-8, lacks columns, or has an unclosed quote.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ReadRows()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            what = f"the decisions {str(path)!r} are not UTF-8 text"
            raise DataError(what, field="data.review", remedy="save the table as `CSV UTF-8`") from error
        content = content[: error.start]
        text = content.decode("utf-8")
    return replace(parse_rows(text.removeprefix("\ufeff"), path.name), size=len(content))


def parse_rows(text: str, name: str = "review.csv") -> ReadRows:
    """Parse the text of a decisions file. Raises DataError if columns are missing, or a quote is not closed."""
    if not text.strip():
        return ReadRows(torn="" if not text or text.endswith("\n") else "\n")
    text = text.lstrip("\r\n")
    head = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)
    records, open_quote = _split_records(text, delimiter)
    columns = tuple(cell.strip().lower() for cell in records[0][1])
    lacking = [column for column in ("id", "action") if column not in columns]
    if lacking:
        raise DataError(
            f"{name} has no column {join_names(lacking)}",
            field="data.review",
            value=join_names(columns),
            allowed=COLUMNS,
        )
    ended = text.endswith(("\n", "\r"))
    last = text.count("\n") + (not text.endswith("\n"))
    if open_quote and open_quote < last:
        raise DataError(
            f"line {open_quote} of {name} has an unclosed quote",
            field="data.review",
            remedy="close or remove the quote",
        )
    rows, warnings, torn = [], [], ""
    if not ended:
        short = len(records[-1][1]) < len(columns)
        torn = ('"' if open_quote else "") + (f" {CUT_OFF}\n" if short and len(records) > 1 else "\n")
        if short and len(records) > 1:
            warnings.append(f"the last line of {name} is incomplete and was skipped")
            records.pop()
    for line, cells in records[1:]:
        if not any(cell.strip() for cell in cells) or cells[-1].rstrip().endswith(CUT_OFF):
            continue
        parsed = _parse_row(dict(zip(columns, cells, strict=False)))
        if isinstance(parsed, str):
            warnings.append(f"line {line} of {name} was skipped: {parsed}")
        else:
            rows.append(parsed)
    return ReadRows(tuple(rows), tuple(warnings), columns, delimiter, torn, begun=True)


def row_text(row: ReviewRow, columns: Sequence[str] = COLUMNS, delimiter: str = ",") -> str:
    """Decision as one line of CSV, safe for any name. `columns`: columns in file order; unknown ones stay empty."""
    cells = {
        "time": _format_cell((row.time,) if row.time else ()),
        "kind": row.kind,
        "id": _format_cell((row.id,)),
        "action": row.action,
        "before": _format_cell(row.before),
        "after": _format_cell(row.after),
        "note": _format_cell((row.note,) if row.note else ()),
        "run": _format_cell((row.run,) if row.run else ()),
    }
    return delimiter.join(_quote(cells.get(column, ""), delimiter) for column in columns) + "\n"


def _parse_row(cells: dict[str, str]) -> ReviewRow | str:
    kind, action = (cells.get(name, "").strip().lower() for name in ("kind", "action"))
    kind = kind or "sample"
    if kind not in ACTIONS:
        return f"kind {kind!r} is not one of {join_names(ACTIONS)}"
    if action not in ACTIONS[kind]:
        return f"action {action!r} of a {kind} is not one of {join_names(ACTIONS[kind])}"
    try:
        names_by_column = {
            name: _parse_names(cells.get(name, "")) for name in ("id", "before", "after", "note", "time", "run")
        }
    except ValueError:
        return 'write several names as a JSON list, for example ["one", "two"]'
    if len(names_by_column["id"]) != 1:
        return "the id is missing" if not names_by_column["id"] else "it has more than one id"
    if action in {"relabel", "split"} and not names_by_column["after"] and "after" not in cells:
        return f"{action} needs the column `after`"
    texts = {name: " ".join(names_by_column[name]) for name in ("note", "time", "run")}
    names, before, after = names_by_column["id"], names_by_column["before"], names_by_column["after"]
    return ReviewRow(kind, names[0], action, before, after, **texts)  # type: ignore[arg-type]


def _format_cell(names: Sequence[str]) -> str:
    """Names as one cell: a simple name as it is, anything else as a JSON list; never a formula."""
    if not names:
        return ""
    name = names[0]
    if len(names) > 1 or not name.isprintable() or name != name.strip() or not name or name.startswith("["):
        return json.dumps(list(names), ensure_ascii=not all(text.isprintable() for text in names))
    return f"'{name}" if FORMULA.match(name) else name


def _parse_names(cell: str) -> tuple[str, ...]:
    cell = cell.strip()
    if cell.startswith("["):
        names = json.loads(cell)
        if not all(isinstance(name, str) for name in names):
            raise ValueError(cell)
        return tuple(names)
    if cell.startswith("'") and FORMULA.match(cell):
        cell = cell[1:]
    return (cell,) if cell else ()


def _quote(cell: str, delimiter: str) -> str:
    if not any(character in cell for character in (*DELIMITERS, delimiter, '"', "\n", "\r")):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def _split_records(text: str, delimiter: str) -> tuple[list[tuple[int, list[str]]], int]:
    """Records with their first line number, and the line of an unclosed quote; 0 if there is none."""
    piece = re.compile(rf'"((?:[^"]|"")*)("?)([^{delimiter}\r\n]*)|([^{delimiter}\r\n]*)')
    records: list[tuple[int, list[str]]] = []
    line, at, begun, cells, unclosed = 1, 0, 1, [], 0
    while at < len(text):
        match = piece.match(text, at)
        if match is None:
            break
        quoted, closed, rest, unquoted = match.groups()
        if quoted is None:
            cells.append(unquoted)
        else:
            cells.append(quoted.replace('""', '"') + rest)
            unclosed = 0 if closed else line
        line += match[0].count("\n")
        at = match.end()
        end = text[at : at + 1]
        at += 1
        if end == delimiter and at < len(text):
            continue
        if end == delimiter:
            cells.append("")
        if text[at - 1 : at + 1] == "\r\n":
            at += 1
        line += end in {"\n", "\r"}
        records.append((begun, cells))
        begun, cells = line, []
    return records, unclosed
