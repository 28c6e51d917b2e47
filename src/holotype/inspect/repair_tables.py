"""Changes to a table before its rows name images: lost zeros, paths of elsewhere, several rows an image, two in one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from holotype.inspect.files import FileIndex, is_image_name
from holotype.inspect.groups import nests_in
from holotype.inspect.labels import NAMES
from holotype.inspect.tables import as_numbers

__all__ = ["SEPARATOR", "free_name", "has_repeated_images", "merge_rows", "repair_tables", "split_by_role"]

SEPARATOR = "|"
"""Stands between the values that rows of one image differ in."""
WIDTHS = 3  # of numbers in file names, the commonest first
SPLITS = re.compile(r"^(split|set|subset|partition|usage|data_?set)$", re.IGNORECASE)
TRAINING, TESTING = ("train", "training", "val", "valid", "validation", "dev"), ("test", "testing", "holdout")
NAMED = re.compile(r"(^|[_ ])(image|file|filename|file_name|image_id|img|path)([_ ]|$)", re.IGNORECASE)


def free_name(name_base: str, *tables: pl.DataFrame | None) -> str:
    """A name that no column has yet.

    Args:
        name_base: What it should be called.
        *tables: Whose columns count.
    """
    taken = {name for table in tables if table is not None for name in table.columns}
    while name_base in taken:
        name_base += "_"
    return name_base


def repair_tables(
    train: pl.DataFrame, test: pl.DataFrame | None, columns: Sequence[str], files: tuple[str, ...]
) -> Iterator[tuple[str, str, pl.DataFrame, pl.DataFrame | None]]:
    """The tables with one of their columns once more, as the files here may be called after it.

    Paths as they are here (`/elsewhere/scans/a/1.png` is `a/1.png`, `IMG_1.JPG` is `img_1.jpg`); then whole numbers,
    padded with zeros as numbers in the file names are.

    Args:
        train: The training table.
        test: The test table, or None.
        columns: Those that may name files.
        files: Image files.

    Yields:
        The column's name, that of the new one, and both tables with it.
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
    """A column of paths in both tables as they are here, and what it should be called."""
    index = FileIndex(files)

    def here(value: str | None) -> str | None:
        return None if value is None else index.find(value) or value

    yield "file", [column.map_elements(here, return_dtype=pl.String) for column in columns]


def _pad_numbers(columns: list[pl.Series], files: tuple[str, ...]) -> Iterator[tuple[str, list[pl.Series]]]:
    """A column of whole numbers in both tables as wide as those in file names, and what it should be called."""
    if not all(bool(column.str.contains(r"^\d+$").all()) for column in columns):
        return
    lengths = Counter(len(run) for name in files for run in re.findall(r"\d+", name.rpartition("/")[2]))
    longest = max(len(value) for column in columns for value in column)
    for width in [width for width, _ in lengths.most_common(WIDTHS) if width >= longest]:
        yield f"{columns[0].name}_padded", [column.str.zfill(width) for column in columns]


def split_by_role(table: pl.DataFrame) -> tuple[str, pl.DataFrame, pl.DataFrame] | None:
    """The training rows and the rows to predict of one table that holds both and says so in a column.

    Args:
        table: All text.

    Returns:
        The column's name, and both parts without it; None where there is no such column.
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
    """Whether a column names images, so that its rows of one value are about one image.

    Args:
        values: A column that names files and has values more than once.
    """
    return bool(NAMED.search(values.name)) or all(is_image_name(value) for value in values.drop_nulls().unique())


def merge_rows(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row a value of a column; what its rows differ in is joined, each value once.

    Numbers in which rows of one image differ are places in it, unless they are called a label; they are left out.

    Args:
        table: All text.
        column: What rows of one image share.
    """
    rest = [name for name in table.columns if name != column and not _is_position_column(table, name, column)]
    each = pl.col(rest).drop_nulls().unique().sort().str.join(SEPARATOR).replace("", None)
    return table.drop_nulls(column).group_by(column, maintain_order=True).agg(each)


def _is_position_column(table: pl.DataFrame, name: str, column: str) -> bool:
    number = as_numbers(table[name]) is not None and name.lower() not in NAMES
    return number and not nests_in(table, column, name)
