"""Layouts: how a row of the table names its image files."""

from __future__ import annotations

from string import Formatter

import polars as pl

from holotype.data.arrays import ARRAYS, count_rows
from holotype.errors import DataError
from holotype.spec import DataSpec

__all__ = ["FILE", "image_files", "pattern_fields"]

FILE = "file"
"""The column of whole paths that folders and JSON bring with them."""


def pattern_fields(pattern: str) -> list[tuple[str, str | None]]:
    """A pattern as pieces of text, each followed by the name in braces behind it.

    Args:
        pattern: As in `images/{id}_{channel}.png`.

    Raises:
        DataError: A brace is left open, or holds more than a name.
    """
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError as error:
        raise DataError(f"the pattern {pattern!r} is broken: {error}", field="data.images") from None
    for _, name, form, conversion in pieces:
        if name == "" or form or conversion:
            raise DataError(
                f"the pattern {pattern!r} may hold names of columns in braces and nothing else there",
                field="data.images",
                remedy="write `images/{id}_{channel}.png`",
            )
    return [(text, name) for text, name, _, _ in pieces]


def image_files(spec: DataSpec, table: pl.DataFrame, source: str, role: str) -> pl.Series:
    """The files of each row's image: one, or one a channel in the order of the channels.

    Args:
        spec: The recipe's `data` section, its paths absolute.
        table: The rows.
        source: The recipe's key that names the table, for messages.
        role: `train`, `external` or `test`, which the pattern may name.

    Returns:
        Lists of paths, one list a row; empty ones where there is no pattern.

    Raises:
        DataError: The pattern names a column that is not there, or nothing that tells rows apart.
    """
    if not spec.images and FILE not in table.columns:
        return pl.Series("files", [[] for _ in range(table.height)], dtype=pl.List(pl.String))
    fields = pattern_fields(spec.images or f"{{{FILE}}}")
    if "role" not in table.columns:
        table = table.with_columns(pl.lit(role).alias("role"))
    names = {name for _, name in fields if name}
    if spec.images and spec.images.lower().endswith(ARRAYS) and names <= {"role"}:
        return _rows_of_an_array(fields, table)
    unknown = sorted(names - set(table.columns) - {"channel"})
    if unknown:
        what = f"the pattern {spec.images!r} names {unknown[0]!r}, which is no column of {source}"
        raise DataError(what, field="data.images", value=unknown[0], allowed=dict.fromkeys([*table.columns, "channel"]))
    if "channel" in names and not spec.channels and "channel" not in table.columns:
        what = "the pattern has {channel} and no channels are named"
        raise DataError(what, field="data.channels", remedy="list them, as in [red, green, blue]")
    if not names - {"channel", "role"}:
        raise DataError(f"the pattern {spec.images!r} names one file for all rows", field="data.images",
                        remedy="put a column in braces, as in `images/{id}.png`")  # fmt: skip
    if spec.images:
        _stay_inside(fields, table, source)
    one_per_channel = "channel" in names and spec.channels is not None
    channels = spec.channels if one_per_channel and spec.channels else [None]
    columns = [table.select(_path(fields, channel).alias("file")).to_series() for channel in channels]
    return (
        pl.DataFrame([series.alias(str(number)) for number, series in enumerate(columns)])
        .select(pl.concat_list(pl.all()).alias("files"))
        .to_series()
    )


def _rows_of_an_array(fields: list[tuple[str, str | None]], table: pl.DataFrame) -> pl.Series:
    """Entries of one array that holds all images of a table, in the order of its rows."""
    file = table.select(_path(fields, None).alias("file")).to_series()[0]
    count = count_rows(file)
    if count != table.height:
        raise DataError(f"{file} has {count:,} rows and its table {table.height:,}", field="data.images",
                        remedy="an array holds the images of a table in the order of its rows")  # fmt: skip
    return (
        pl.select((pl.lit(f"{file}#") + pl.int_range(count).cast(pl.String)).alias("files"))
        .to_series()
        .reshape((-1, 1))
        .arr.to_list()
    )


def _stay_inside(fields: list[tuple[str, str | None]], table: pl.DataFrame, source: str) -> None:
    """Refuse values that would lead out of the folder that the pattern names: `..`, or a path from the root."""
    before = ""
    for text, name in fields:
        before += text
        if name is None or name not in table.columns:
            continue
        outside = table[name].str.contains(r"(^|/)\.\.(/|$)").fill_null(False)
        if before:  # a column that holds whole paths may well begin at the root
            outside |= table[name].str.starts_with("/").fill_null(False)
        wrong = table[name].filter(outside)
        if wrong.len():
            raise DataError(
                f"{wrong[0]!r} in column {name!r} of {source} leads outside the folder of the images",
                field="data.images",
                remedy="name files below that folder, or write the whole path in a column of its own",
            )
        before += name


def _path(fields: list[tuple[str, str | None]], channel: str | None) -> pl.Expr:
    parts: list[pl.Expr] = []
    for text, name in fields:
        parts.append(pl.lit(text))
        if name == "channel" and channel is not None:
            parts.append(pl.lit(channel))
        elif name is not None:
            parts.append(pl.col(name).fill_null(""))
    return pl.concat_str(parts)
