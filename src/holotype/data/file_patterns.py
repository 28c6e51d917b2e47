"""File patterns: map a row of the table to its image files."""

from __future__ import annotations

from string import Formatter

import polars as pl

from holotype.core.errors import DataError
from holotype.data.array_formats import NUMPY_SUFFIXES, count_rows
from holotype.recipe.sections import DataSpec

FILE = "file"
"""Column of full paths in tables made from folders and JSON."""
ABSOLUTE_PATTERN = r"^(/|\\\\|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]+://)"
"""Beginning of an absolute path of any system, or of an address."""


def pattern_fields(pattern: str, field: str = "data.images") -> list[tuple[str, str | None]]:
    """Split a pattern into pieces of text, each followed by the name in braces after it.

    `pattern`: such as `images/{id}_{channel}.png`.
    """
    try:
        pieces = list(Formatter().parse(pattern))
    except ValueError as error:
        raise DataError(f"the pattern {pattern!r} is broken: {error}", field=field) from None
    for _, name, form, conversion in pieces:
        if name == "" or form or conversion:
            raise DataError(
                f"the pattern {pattern!r} may contain only column names in braces",
                field=field,
                remedy="write `images/{id}_{channel}.png`",
            )
    return [(text, name) for text, name, _, _ in pieces]


def channel_patterns(spec: DataSpec) -> list[tuple[str | None, str]]:
    """File patterns of an image: one without a channel, or one for each channel, in channel order."""
    images = spec.images or f"{{{FILE}}}"
    if isinstance(images, dict):
        return [(channel, images[channel]) for channel in spec.channels or images]
    if "{channel}" in images and spec.channels:
        return [(channel, images) for channel in spec.channels]
    return [(None, images)]


def image_files(spec: DataSpec, table: pl.DataFrame, source: str, role: str) -> pl.Series:
    """List the files of each row's image: one, or one for each channel in channel order.

    `role`: `train`, `external` or `test`, which the pattern may name.
    """
    if not spec.images and FILE not in table.columns:
        return pl.Series("files", [[] for _ in range(table.height)], dtype=pl.List(pl.String))
    if "role" not in table.columns:
        table = table.with_columns(pl.lit(role).alias("role"))
    columns: list[pl.Series] = []
    for channel, pattern in channel_patterns(spec):
        field = f"data.images.{channel}" if isinstance(spec.images, dict) else "data.images"
        if spec.images:  # paths from folders and JSON need no check
            _require_inside_folder(pattern_fields(pattern, field), table, source, field)
        files = _format_files(pattern, channel, table, source, field)
        columns.append(files.alias(str(len(columns))))
    if isinstance(spec.images, dict):
        _require_distinct_files(spec.images, columns, [str(channel) for channel, _ in channel_patterns(spec)])
    return pl.DataFrame(columns).select(pl.concat_list(pl.all()).alias("files")).to_series()


def _format_files(pattern: str, channel: str | None, table: pl.DataFrame, source: str, field: str) -> pl.Series:
    fields = pattern_fields(pattern, field)
    names = {name for _, name in fields if name}
    if (
        pattern.lower().endswith(NUMPY_SUFFIXES)
        and names <= {"role", "channel"}
        and (channel or "channel" not in names)
    ):
        return _list_array_entries(fields, table, channel)
    unknown = sorted(names - set(table.columns) - {"channel"})
    if unknown:
        what = f"the pattern {pattern!r} names {unknown[0]!r}, which is no column of {source}"
        raise DataError(what, field=field, value=unknown[0], allowed=dict.fromkeys([*table.columns, "channel"]))
    if "channel" in names and channel is None and "channel" not in table.columns:
        what = "the pattern has {channel}, but no channels are named"
        raise DataError(what, field="data.channels", remedy="list them, as in [red, green, blue]")
    if not names - {"channel", "role"}:
        raise DataError(
            f"the pattern {pattern!r} names one file for all rows",
            field=field,
            remedy="put a column in braces, as in `images/{id}.png`",
        )
    return table.select(_path_expression(fields, channel).alias("file")).to_series()


def _require_distinct_files(images: dict[str, str], columns: list[pl.Series], channels: list[str]) -> None:
    for number, (channel, column) in enumerate(zip(channels, columns, strict=True)):
        for other, earlier in zip(channels[:number], columns[:number], strict=True):
            same = column.filter(column == earlier)
            if same.len():
                raise DataError(
                    f"the channels {other!r} and {channel!r} name the same file {same[0]!r}",
                    field="data.images",
                    remedy="give each channel its own column of files",
                )


def _list_array_entries(fields: list[tuple[str, str | None]], table: pl.DataFrame, channel: str | None) -> pl.Series:
    file = table.select(_path_expression(fields, channel).alias("file")).to_series()[0]
    count = count_rows(file)
    if count != table.height:
        raise DataError(
            f"{file} has {count:,} rows and its table {table.height:,}",
            field="data.images",
            remedy="an array holds the images of a table in the order of its rows",
        )
    return pl.select((pl.lit(f"{file}#") + pl.int_range(count).cast(pl.String)).alias("files")).to_series()


def _require_inside_folder(fields: list[tuple[str, str | None]], table: pl.DataFrame, source: str, field: str) -> None:
    """Raise for values that lead outside the pattern's folder: `..`, or an absolute path.

    An absolute path or an address is allowed in the first column after a folder's name, as when paths are joined, if
    the column holds a whole name: nothing or a slash follows it.
    """
    before = ""
    for text, name in fields:
        starts = not before and _may_be_absolute(fields)
        before += text
        if name is None or name not in table.columns:
            continue
        outside = table[name].str.contains(r"(^|/)\.\.(/|$)").fill_null(False)
        if not starts:
            outside |= table[name].str.contains(ABSOLUTE_PATTERN).fill_null(False)
        wrong = table[name].filter(outside)
        if wrong.len():
            raise DataError(
                f"{wrong[0]!r} in column {name!r} of {source} leads outside the folder of the images",
                field=field,
                remedy="name files below that folder, or write the whole path in a column of its own",
            )
        before += name


def _may_be_absolute(fields: list[tuple[str, str | None]]) -> bool:
    folder, rest = fields[0][0], fields[1][0] if len(fields) > 1 else ""
    return (not folder or folder.endswith("/")) and (len(fields) == 1 or rest.startswith("/"))


def _path_expression(fields: list[tuple[str, str | None]], channel: str | None) -> pl.Expr:
    parts: list[pl.Expr] = []
    for text, name in fields:
        parts.append(pl.lit(text))
        if name == "channel" and channel is not None:
            parts.append(pl.lit(channel))
        elif name is not None:
            parts.append(pl.col(name).fill_null(""))
    file = pl.concat_str(parts)
    first = fields[0][1]
    if (
        first is None
        or (first == "channel" and channel is not None)
        or not fields[0][0]
        or not _may_be_absolute(fields)
    ):
        return file
    return pl.when(pl.col(first).str.contains(ABSOLUTE_PATTERN)).then(pl.concat_str(parts[1:])).otherwise(file)
