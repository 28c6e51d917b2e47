"""Repair of tables whose rows do not match files: lost zeros, foreign paths, several rows per image, mixed roles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from holotype.inspect.files import FileIndex, is_image_name
from holotype.inspect.groups import nests_in
from holotype.inspect.labels import NAMES
from holotype.inspect.tables import as_numbers

SEPARATOR = "|"
"""Separator of the values in which the rows of one image differ."""
WIDTHS = 3  # most common widths of numbers in file names that are tried
SPLITS = re.compile(r"^(split|set|subset|partition|usage|data_?set)$", re.IGNORECASE)
TRAINING, TESTING = ("train", "training", "val", "valid", "validation", "dev"), ("test", "testing", "holdout")
NAMED = re.compile(r"(^|[_ ])(image|file|filename|file_name|image_id|img|path)([_ ]|$)", re.IGNORECASE)


def free_name(name_base: str, *tables: pl.DataFrame | None) -> str:
    """Find a column name that no table has, by appending underscores."""
    taken = {name for table in tables if table is not None for name in table.columns}
    while name_base in taken:
        name_base += "_"
    return name_base


def repair_tables(
    train: pl.DataFrame, test: pl.DataFrame | None, columns: Sequence[str], files: tuple[str, ...]
) -> Iterator[tuple[str, str, pl.DataFrame, pl.DataFrame | None]]:
    """Iterate over repairs of the tables: a column is added with the values of another one, changed to match the files.

    First paths as they are here (`/elsewhere/scans/a/1.png` is `a/1.png`, `IMG_1.JPG` is `img_1.jpg`), then whole
    numbers padded with zeros like the numbers in file names.
    """
    tables = [table for table in (train, test) if table is not None]
    for changes in (_resolve_local_paths, _pad_numbers):
        for column in columns:
            for new_name, changed in changes([table[column] for table in tables], files):
                added = free_name(new_name, *tables)
                repaired = [
                    table.with_columns(series.alias(added)) for table, series in zip(tables, changed, strict=True)
                ]
                yield column, added, repaired[0], repaired[1] if test is not None else None


def _resolve_local_paths(columns: list[pl.Series], files: tuple[str, ...]) -> Iterator[tuple[str, list[pl.Series]]]:
    index = FileIndex(files)

    def here(value: str | None) -> str | None:
        return None if value is None else index.find(value) or value

    yield "file", [column.map_elements(here, return_dtype=pl.String) for column in columns]


def _pad_numbers(columns: list[pl.Series], files: tuple[str, ...]) -> Iterator[tuple[str, list[pl.Series]]]:
    if not all(bool(column.str.contains(r"^\d+$").all()) for column in columns):
        return
    lengths = Counter(len(run) for name in files for run in re.findall(r"\d+", name.rpartition("/")[2]))
    longest = max(len(value) for column in columns for value in column)
    for width in [width for width, _ in lengths.most_common(WIDTHS) if width >= longest]:
        yield f"{columns[0].name}_padded", [column.str.zfill(width) for column in columns]


def split_by_role(table: pl.DataFrame) -> tuple[str, pl.DataFrame, pl.DataFrame] | None:
    """Split a table that has training and test rows by its role column.

    Returns name of the column, and both parts without it; None if there is no such column.
    """
    for name in table.columns:
        values = table[name].fill_null("").str.strip_chars().str.to_lowercase()
        role_values = set(values.unique())
        if (
            SPLITS.search(name)
            and role_values <= {*TRAINING, *TESTING}
            and role_values & {*TRAINING}
            and role_values & {*TESTING}
        ):
            rest = table.drop(name)
            return name, rest.filter(values.is_in(TRAINING)), rest.filter(values.is_in(TESTING))
    return None


def has_repeated_images(values: pl.Series) -> bool:
    """Check whether a column names images, so that its rows of equal value describe one image."""
    return bool(NAMED.search(values.name)) or all(is_image_name(value) for value in values.drop_nulls().unique())


def merge_rows(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """Merge rows of equal value in a column; other values in which they differ are joined, each once.

    Numbers in which the rows differ are positions in the image and are dropped, unless the column is a label.
    """
    rest = [name for name in table.columns if name != column and not _is_position_column(table, name, column)]
    each = pl.col(rest).drop_nulls().unique().sort().str.join(SEPARATOR).replace("", None)
    return table.drop_nulls(column).group_by(column, maintain_order=True).agg(each)


def _is_position_column(table: pl.DataFrame, name: str, column: str) -> bool:
    number = as_numbers(table[name]) is not None and name.lower() not in NAMES
    return number and not nests_in(table, column, name)
