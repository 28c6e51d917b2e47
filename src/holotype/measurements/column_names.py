"""Column names of measurement tables: measurements, identifiers, and the names that a recipe may use for a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from holotype.core.errors import DataError, pluralize
from holotype.recipe.sections import MeasurementsSpec

__all__ = ["LEFT_OUT", "columns_by_name", "is_identifier", "is_measured", "left_out_table", "match_column"]

LEFT_OUT = {"column": pl.String, "reason": pl.String, "detail": pl.String}
"""Columns of the table of left-out columns."""

IDENTIFIER = re.compile(
    r"""(?:[^_]+_)?(?:
        Metadata_.* | ImageNumber | ObjectNumber | TableNumber | Number_Object_Number | Object_Number
      | FileName_.* | PathName_.* | URL_.* | MD5Digest_.* | Series_.* | Frame_.* | Scaling_.*
      | Group_(?:Index|Number|Length) | ExecutionTime_.* | ModuleError_.* | ProcessingStatus
      | Parent_.* | Location_.* | AreaShape_(?:Center|BoundingBoxM(?:in|ax)imum)_.*
      | TrackObjects_(?:Label|ParentObjectNumber|ParentImageNumber).* | Neighbors_.*ClosestObjectNumber.*
    )
    | .*_Location_.* | (?i:Unnamed:\ ?\d+|index|level_\d+|__index_level_\d+__|row|rownames|row_?(?:number|index|id))
    | column\ \d+ | \(column\ \d+\)""",
    re.VERBOSE,
)


def is_identifier(name: str) -> bool:
    """Test if a column describes the image file, the position or the order of a row, by CellProfiler's names."""
    return IDENTIFIER.fullmatch(name) is not None


def is_measured(kind: pl.DataType) -> bool:
    """Test if a column's type holds numbers."""
    return kind.is_numeric() or kind == pl.Boolean


def match_column(name: str, columns: Iterable[str]) -> str | None:
    """Column of a table that a recipe names, with or without `Metadata_`, `Image_` and capitals; None without one."""
    by_name = {column.lower(): column for column in columns}
    if name in by_name.values():
        return name
    for prefix in ("", "metadata_", "image_", "image_metadata_"):
        if prefix + name.lower() in by_name:
            return by_name[prefix + name.lower()]
    return None


def left_out_table(rows: Iterable[Sequence[str]]) -> pl.DataFrame:
    """Table of left-out columns from rows of column, reason and detail."""
    return pl.DataFrame(list(rows), schema=LEFT_OUT, orient="row")


def columns_by_name(
    schema: Mapping[str, pl.DataType], spec: MeasurementsSpec, reserved: Mapping[str, str], field: str
) -> tuple[list[str], pl.DataFrame]:
    """Columns to use, by their names and types, in the order of the table.

    A column that `spec.columns` lists by its full name is used whatever its name; patterns select like `auto`.

    Args:
        schema: Type of each column of the table.
        reserved: Columns that the recipe uses otherwise, with their meaning (`the label`).

    Returns:
        The columns, and the left-out ones.

    Raises:
        DataError: A pattern matches no column, a listed column has no numbers, or no column is left.
    """
    listed = [] if spec.columns == "auto" else list(spec.columns)
    patterns = {name: _expression(name) for name in (*listed, *spec.exclude) if name not in schema}
    for part, names in (("columns", listed), ("exclude", spec.exclude)):
        for number, name in enumerate(names):
            if name in patterns and not any(map(patterns[name].fullmatch, schema)):
                raise DataError(
                    f"no column matches {name!r}", field=f"{field}.{part}.{number}", value=name, allowed=schema
                )
            if part == "columns" and name in schema and not is_measured(schema[name]):
                raise DataError(
                    f"the column {name!r} does not hold numbers",
                    field=f"{field}.columns.{number}",
                    remedy="leave it out, or write it as numbers",
                )
    columns, left_out = [], []
    for name, kind in schema.items():
        is_listed = name in listed
        if listed and not is_listed and not _matches(name, listed, patterns):
            left_out.append((name, "not listed", "`columns` does not name it"))
        elif _matches(name, spec.exclude, patterns):
            left_out.append((name, "excluded", "`exclude` names it"))
        elif name in reserved and not is_listed:
            left_out.append((name, "identifier", f"it is {reserved[name]}"))
        elif is_identifier(name) and not is_listed:
            left_out.append((name, "identifier", "its name is that of a position, a file, metadata or a row number"))
        elif not is_measured(kind):
            left_out.append((name, "not numbers", f"its type is {kind}"))
        else:
            columns.append(name)
    if not columns:
        raise DataError(
            f"none of the {pluralize(len(schema), 'column')} of the table is a measurement",
            field=f"{field}.columns",
            remedy="measurements are columns of numbers; name them in `columns`",
        )
    return columns, left_out_table(left_out)


def _expression(pattern: str) -> re.Pattern[str]:
    """Regular expression of a pattern, in which `*` and `?` alone have a meaning."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _matches(name: str, patterns: Iterable[str], expressions: Mapping[str, re.Pattern[str]]) -> bool:
    return any(
        expressions[pattern].fullmatch(name) if pattern in expressions else pattern == name for pattern in patterns
    )
