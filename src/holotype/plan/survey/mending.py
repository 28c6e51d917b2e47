"""Changes to a table before its rows name images: zeros that a spreadsheet took away, several rows an image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from holotype.plan.survey.files import is_image_name
from holotype.plan.survey.groups import nests_in
from holotype.plan.survey.labels import NAMES
from holotype.plan.survey.tables import as_numbers

__all__ = ["SEVERAL", "free_name", "may_be_joined", "padded_tables", "rows_joined"]

SEVERAL = "|"
"""Stands between the values that rows of one image differ in."""
WIDTHS = 3  # of numbers in file names, the commonest first
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


def padded_tables(
    train: pl.DataFrame, test: pl.DataFrame | None, columns: Sequence[str], files: tuple[str, ...]
) -> Iterator[tuple[str, str, pl.DataFrame, pl.DataFrame | None]]:
    """The tables with a column of whole numbers once more, padded with zeros as numbers in the file names are.

    Args:
        train: The training table.
        test: The test table, or None.
        columns: Those that may name files.
        files: Image files.

    Yields:
        The column's name, that of the new one, and both tables with it.
    """
    lengths = Counter(len(run) for name in files for run in re.findall(r"\d+", name.rpartition("/")[2]))
    tables = [table for table in (train, test) if table is not None]
    for column in columns:
        if not all(bool(table[column].str.contains(r"^\d+$").all()) for table in tables):
            continue
        longest = max(len(value) for table in tables for value in table[column])
        added = free_name(f"{column}_padded", train, test)
        for width in [width for width, _ in lengths.most_common(WIDTHS) if width >= longest]:
            padded = pl.col(column).str.zfill(width).alias(added)
            yield column, added, train.with_columns(padded), None if test is None else test.with_columns(padded)


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
