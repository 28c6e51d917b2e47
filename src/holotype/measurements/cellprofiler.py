"""CellProfiler's exports: the SQLite database of ExportToDatabase, and the CSV files of ExportToSpreadsheet.

The objects of each compartment (Cells, Nuclei) are aggregated to their image separately, as pycytominer's
`SingleCells.aggregate_profiles` does, so objects of two compartments need no partner. Columns get the compartment as a
prefix: `AreaShape_Area` of the table Cells is `Cells_AreaShape_Area`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

from holotype.core.errors import DataError, join_names, pluralize
from holotype.measurements.aggregate import aggregate_columns, number_keys
from holotype.measurements.column_names import is_measured
from holotype.measurements.sources import LazyTable, open_table, require_source, spill_parts
from holotype.measurements.typed_columns import ColumnTypes

__all__ = ["SQLITE_SUFFIXES", "change_logs", "csv_files", "has_image_table", "is_export", "open_export"]

SQLITE_SUFFIXES = (".sqlite", ".sqlite3", ".db", ".db3")
ROWS_AT_ONCE = 20_000
IMAGE_TABLE = re.compile(r"(?P<prefix>.*_)?(?:Per_)?Image", re.IGNORECASE)
KEYS = ("TableNumber", "ImageNumber")
ObjectTables = dict[str, pl.LazyFrame]


def is_export(path: str) -> bool:
    """Test if a path is a folder or a database, and not a single table."""
    return "://" not in path and (Path(path).is_dir() or Path(path.partition("#")[0]).suffix.lower() in SQLITE_SUFFIXES)


def change_logs(database: Path) -> list[Path]:
    """Files beside a SQLite database with changes that it does not hold yet."""
    logs = [database.with_name(f"{database.name}{ending}") for ending in ("-wal", "-journal")]
    return [path for path in logs if path.is_file() and path.stat().st_size]


def csv_files(folder: Path) -> dict[Path, list[Path]]:
    """CSV files of each export below a folder: the file of images (`Image.csv`), then those with its prefix."""
    exports = {}
    for path in sorted(folder.rglob("*.csv")):
        if match := IMAGE_TABLE.fullmatch(path.stem):
            prefix = match["prefix"] or ""
            others = [
                other for other in sorted(path.parent.glob("*.csv")) if other != path and other.name.startswith(prefix)
            ]
            exports[path.parent] = [path, *others]
    return exports


def has_image_table(database: Path) -> bool:
    """Test if a file is a SQLite database with a table of images."""
    try:
        with closing(_connect(database)) as connection:
            return any(IMAGE_TABLE.fullmatch(name) for name in _table_names(connection))
    except sqlite3.Error:
        return False


def open_export(path: str, method: str, is_text: Callable[[str], bool], scratch: Path, field: str) -> LazyTable:
    """Open an export as a table of images, with the aggregated measurements of their objects.

    Args:
        path: Folder, or SQLite database; `profiles.sqlite#table` names a single table of a database.
        method: Aggregation of objects, `mean` or `median`.
        is_text: Tests by the name if a column stays text.
        scratch: Folder for temporary files.
        field: Recipe key of the section, for messages.

    Raises:
        DataError: It is missing, broken, or no export of CellProfiler.
    """
    file, _, table = path.partition("#")
    require_source(file, field)
    if Path(path).is_dir():
        images, objects, notes = _open_folder(Path(path), is_text, scratch, field)
    else:
        try:
            images, objects, notes = _open_database(Path(file), table, is_text, scratch, field)
        except sqlite3.Error as error:
            raise DataError(
                f"the database {file!r} cannot be read: {error}",
                field=f"{field}.table",
                remedy="it is damaged, or is no SQLite database, or another program is writing it",
            ) from error
    if not objects:
        return LazyTable(images, notes)
    frame, more = _join_objects(images, objects, method)
    return LazyTable(frame.lazy(), (*notes, *more))


def _join_objects(images: pl.LazyFrame, objects: ObjectTables, method: str) -> tuple[pl.DataFrame, list[str]]:
    frame = images.collect()
    keys, _ = number_keys(_keys(frame))
    if len(keys) < frame.height:
        raise DataError("an image number is repeated in the table of images", remedy="export each batch to its folder")
    rows = _keys(frame).rank("dense").cast(pl.Int64).to_numpy() - 1
    notes, counted, parts = [], [], [frame]
    for name, table in objects.items():
        object_keys = _keys(table.select(pl.col(*(key for key in KEYS if key in table.collect_schema()))).collect())
        numbers = pl.DataFrame({"key": keys}).with_row_index("number")
        image_numbers = object_keys.to_frame("key").join(numbers, on="key", how="left", maintain_order="left")["number"]
        image_of_row = image_numbers.cast(pl.Int64).fill_null(-1).to_numpy()
        strays = int((image_of_row < 0).sum())
        if strays:
            notes.append(f"{strays:,} objects of {name} belong to no image of the table of images, and are left out.")
        schema = table.collect_schema()
        measured = [column for column, kind in schema.items() if is_measured(kind)]
        values = aggregate_columns(table, measured, image_of_row, len(keys), method)
        counts = np.bincount(image_of_row[image_of_row >= 0], minlength=len(keys))
        counted.append(f"{len(object_keys):,} of {name} ({pluralize(len(measured), 'column')} of numbers)")
        empty = int((counts == 0).sum())
        notes += [f"{empty:,} images have no objects of {name}; those measurements are missing."] if empty else []
        parts.append(pl.DataFrame(values[rows], schema=measured))
    aggregated = f"Objects are aggregated to images ({method}): {join_names(counted)}."
    return pl.concat(_without_repeated(parts), how="horizontal"), [aggregated, *notes]


def _without_repeated(parts: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Parts without columns that an earlier part has."""
    names: set[str] = set()
    distinct = []
    for part in parts:
        distinct.append(part.select([name for name in part.columns if name not in names]))
        names.update(part.columns)
    return distinct


def _keys(frame: pl.DataFrame) -> pl.Series:
    """Key of the image of each row: table number and image number."""
    return frame.select(pl.concat_str([key for key in KEYS if key in frame.columns], separator="/")).to_series()


def _prefixed(frame: pl.LazyFrame, compartment: str) -> pl.LazyFrame:
    """Columns with the name of their compartment; `Metadata_` columns of images keep theirs."""

    def rename(name: str) -> str:
        bare = name.removeprefix("Image_") if compartment == "Image" else name
        if name in KEYS or bare.startswith("Metadata_"):
            return bare
        return name if not compartment or name.startswith(f"{compartment}_") else f"{compartment}_{name}"

    return frame.rename({name: rename(name) for name in frame.collect_schema()})


def _open_folder(
    folder: Path, is_text: Callable[[str], bool], scratch: Path, field: str
) -> tuple[pl.LazyFrame, ObjectTables, tuple[str, ...]]:
    exports = csv_files(folder)
    if not exports:
        raise DataError(
            f"the folder {str(folder)!r} has no Image.csv",
            field=f"{field}.table",
            remedy="name the folder that CellProfiler's ExportToSpreadsheet wrote, or a table",
        )
    images, objects, notes, unused = [], dict[str, list[pl.LazyFrame]](), list[str](), set[str]()
    for parent, (image_file, *others) in exports.items():
        batch = parent.relative_to(folder).as_posix() if len(exports) > 1 else None
        match = IMAGE_TABLE.fullmatch(image_file.stem)
        prefix = (match["prefix"] or "") if match else ""
        for path in (image_file, *others):
            table = open_table(str(path), is_text, scratch, field)
            notes += table.notes
            columns = table.schema
            frame = table.frame if batch is None else table.frame.with_columns(TableNumber=pl.lit(batch))
            compartment = path.stem.removeprefix(prefix)
            if path == image_file:
                _require_image_number(columns, str(path), field)
                images.append(_prefixed(frame, "Image"))
            elif {"ImageNumber", "ObjectNumber"} <= set(columns):
                objects.setdefault(compartment, []).append(_prefixed(frame, compartment))
            else:
                _require_single_header(columns, str(path), field)
                unused.add(path.name)
    if unused:
        notes.append(f"CSV files without object numbers are not used: {join_names(sorted(unused), 5)}.")
    joined = {name: pl.concat(frames, how="diagonal_relaxed") for name, frames in objects.items()}
    return pl.concat(images, how="diagonal_relaxed"), joined, tuple(dict.fromkeys(notes))


def _require_single_header(columns: Mapping[str, Any], path: str, field: str) -> None:
    """Refuse objects of several compartments in one file, whose first line names the compartment of each column."""
    if any(name.partition(" (column ")[0] == "Image" for name in columns):
        raise DataError(
            f"{path!r} combines several compartments, whose names are in a line above the header",
            field=f"{field}.table",
            remedy="export each compartment to a file of its own, or remove the file from the folder",
        )


def _open_database(
    file: Path, table: str, is_text: Callable[[str], bool], scratch: Path, field: str
) -> tuple[pl.LazyFrame, ObjectTables, tuple[str, ...]]:
    with closing(_connect(file)) as database:
        names = _table_names(database)
        image_table, compartments = _database_tables(database, names, table, field)
        if compartments:
            _require_image_number(dict.fromkeys(_column_names(database, image_table)), image_table, field)
        notes = list[str]()
        frames = {}
        for name, compartment in {image_table: "Image" if compartments else "", **compartments}.items():
            types = ColumnTypes(is_text)
            frame = spill_parts(map(types.convert, _row_parts(database, name, is_text)), scratch)
            frames[name] = _prefixed(frame, compartment)
            notes += types.notes(name)
        unused = [name for name in names if name not in frames]
        notes += [f"Tables of {file.name} that are not used: {join_names(unused, 5)}."] if unused else []
    objects = {name: frames[name] for name in compartments}
    return frames[image_table], objects, tuple(notes)


def _connect(file: Path) -> sqlite3.Connection:
    """Open a database for reading; without a log of changes it is complete, and SQLite needs no files beside it."""
    uri = f"file:{quote(str(file.absolute()))}?{'mode=ro' if change_logs(file) else 'immutable=1'}"
    return sqlite3.connect(uri, uri=True)


def _table_names(database: sqlite3.Connection) -> list[str]:
    listed = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
    return [name for (name,) in listed if not name.startswith("sqlite_")]


def _database_tables(
    database: sqlite3.Connection, names: list[str], table: str, field: str
) -> tuple[str, dict[str, str]]:
    """Table of images, and the compartment of each table of objects; empty for columns that have their prefixes."""
    if table or len(names) == 1:
        if table and table not in names:
            raise DataError(f"the database has no table {table!r}", field=f"{field}.table", value=table, allowed=names)
        return table or names[0], {}
    images = [name for name in names if IMAGE_TABLE.fullmatch(name)]
    if len(images) != 1:
        raise DataError(
            f"the database has {len(images)} tables of images" + (f": {join_names(images)}" if images else ""),
            field=f"{field}.table",
            remedy="name a table of the database, as in profiles.sqlite#Per_Image",
            allowed=names,
        )
    match = IMAGE_TABLE.fullmatch(images[0])
    prefix = (match["prefix"] or "") if match else ""
    compartments = {}
    for name in names:
        columns = _column_names(database, name)
        has_objects = any(column.endswith(("ObjectNumber", "Number_Object_Number")) for column in columns)
        if name != images[0] and name.startswith(prefix) and "ImageNumber" in columns and has_objects:
            bare = re.sub("^Per_", "", name.removeprefix(prefix), flags=re.IGNORECASE)
            compartments[name] = "" if bare.lower() == "object" else bare
    return images[0], compartments


def _column_names(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[0] for row in database.execute(f"SELECT * FROM {_quoted(table)} LIMIT 0").description]


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _require_image_number(columns: Mapping[str, Any], table: str, field: str) -> None:
    if "ImageNumber" not in columns:
        raise DataError(
            f"the table of images {table!r} has no column 'ImageNumber'", field=f"{field}.table", allowed=list(columns)
        )


def _row_parts(database: sqlite3.Connection, table: str, is_text: Callable[[str], bool]) -> Iterator[pl.DataFrame]:
    """Rows of a database table, some thousands at a time."""
    cursor = database.execute(f"SELECT * FROM {_quoted(table)}")
    names = [description[0] for description in cursor.description]
    first = True
    while (rows := cursor.fetchmany(ROWS_AT_ONCE)) or first:
        first = False
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        yield pl.DataFrame([_series(name, values, is_text(name)) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: Any, is_text: bool) -> pl.Series:
    """Column of numbers, or of text if there is text in it; NULL is missing."""
    if not is_text:
        try:
            return pl.Series(name, np.array(values, np.float64)).fill_nan(None)
        except (TypeError, ValueError):  # text or bytes among the numbers
            pass
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
