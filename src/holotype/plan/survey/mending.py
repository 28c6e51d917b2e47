"""Changes to a table before its rows name images: lost zeros, paths of elsewhere, several rows an image, two in one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from holotype.plan.survey.files import FileIndex, is_image_name
from holotype.plan.survey.groups import nests_in
from holotype.plan.survey.labels import NAMES
from holotype.plan.survey.tables import as_numbers

__all__ = ["SEVERAL", "divided", "free_name", "may_be_joined", "mended_tables", "rows_joined"]

SEVERAL = "|"
"""Stands between the values that rows of one image differ in."""
WIDTHS = 3  # of numbers in file names, the commonest first
SPLITS = re.compile(r"^(split|set|subset|partition|usage|data_?set)$", re.IGNORECASE)
TRAINING, TESTING = ("train", "training", "val", "valid", "validation", "dev"), ("test", "testing", "holdout")
NAMED = re.compile(r"(^|[_ ])(image|file|filename|file_name|image_id|img|path)([_ ]|$)", re.IGNORECASE)


def free_name(wanted: str, *tables: pl.DataFrame | None) -> str:
    """A name that no column has yet.

    Args:
        wanted: What it should be called.
        *tables: Whose columns count.
    """
    taken = {name for table in tables if table is not None for name in table.columns}
    while wanted in taken:
        wanted += "_"
    return wanted


def mended_tables(
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
    for changes in (_paths_of_here, _padded):
        for column in columns:
            for wanted, changed in changes([table[column] for table in tables], files):
                added = free_name(wanted, *tables)
                made = [table.with_columns(one.alias(added)) for table, one in zip(tables, changed, strict=True)]
                yield column, added, made[0], made[1] if test is not None else None


def _paths_of_here(columns: list[pl.Series], files: tuple[str, ...]) -> Iterator[tuple[str, list[pl.Series]]]:
    """A column of paths in both tables as they are here, and what it should be called."""
    index = FileIndex(files)

    def here(value: str | None) -> str | None:
        return None if value is None else index.find(value) or value

    yield "file", [column.map_elements(here, return_dtype=pl.String) for column in columns]


def _padded(columns: list[pl.Series], files: tuple[str, ...]) -> Iterator[tuple[str, list[pl.Series]]]:
    """A column of whole numbers in both tables as wide as those in file names, and what it should be called."""
    if not all(bool(column.str.contains(r"^\d+$").all()) for column in columns):
        return
    lengths = Counter(len(run) for name in files for run in re.findall(r"\d+", name.rpartition("/")[2]))
    longest = max(len(value) for column in columns for value in column)
    for width in [width for width, _ in lengths.most_common(WIDTHS) if width >= longest]:
        yield f"{columns[0].name}_padded", [column.str.zfill(width) for column in columns]


def divided(table: pl.DataFrame) -> tuple[str, pl.DataFrame, pl.DataFrame] | None:
    """The training rows and the rows to predict of one table that holds both and says so in a column.

    Args:
        table: All text.

    Returns:
        The column's name, and both parts without it; None where there is no such column.
    """
    for name in table.columns:
        values = table[name].fill_null("").str.strip_chars().str.to_lowercase()
        known = set(values.unique())
        if SPLITS.search(name) and known <= {*TRAINING, *TESTING} and known & {*TRAINING} and known & {*TESTING}:
            rest = table.drop(name)
            return name, rest.filter(values.is_in(TRAINING)), rest.filter(values.is_in(TESTING))
    return None


def may_be_joined(values: pl.Series) -> bool:
    """Whether a column names images, so that its rows of one value are about one image.

    Args:
        values: A column that names files and has values more than once.
    """
    return bool(NAMED.search(values.name)) or all(is_image_name(value) for value in values.drop_nulls().unique())


def rows_joined(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row a value of a column; what its rows differ in is joined, each value once.

    Numbers in which rows of one image differ are places in it, unless they are called a label; they are left out.

    Args:
        table: All text.
        column: What rows of one image share.
    """
    rest = [name for name in table.columns if name != column and not _is_place(table, name, column)]
    each = pl.col(rest).drop_nulls().unique().sort().str.join(SEVERAL).replace("", None)
    return table.drop_nulls(column).group_by(column, maintain_order=True).agg(each)


def _is_place(table: pl.DataFrame, name: str, column: str) -> bool:
    number = as_numbers(table[name]) is not None and name.lower() not in NAMES
    return number and not nests_in(table, column, name)
