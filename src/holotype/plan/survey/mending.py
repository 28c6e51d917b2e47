"""Changes to a table before its rows name images: lost zeros, paths of elsewhere, several rows an image, two in one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from holotype.plan.survey.files import is_image_name
from holotype.plan.survey.groups import nests_in
from holotype.plan.survey.labels import NAMES
from holotype.plan.survey.tables import as_numbers

__all__ = ["SEVERAL", "divided", "free_name", "may_be_joined", "padded_tables", "path_tables", "rows_joined"]

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


def path_tables(
    train: pl.DataFrame, test: pl.DataFrame | None, columns: Sequence[str], files: tuple[str, ...]
) -> Iterator[tuple[str, str, pl.DataFrame, pl.DataFrame | None]]:
    """The tables with a column of paths once more, as they are here: `/elsewhere/scans/a/1.png` is `a/1.png`.

    Args:
        train: The training table.
        test: The test table, or None.
        columns: Those that may name files.
        files: Image files.

    Yields:
        The column's name, that of the new one, and both tables with it.
    """
    places: dict[str, list[str]] = {}
    for path in files:
        places.setdefault(path.rpartition("/")[2], []).append(path)

    def here(value: str | None) -> str | None:
        written = "/" + (value or "").replace("\\", "/")
        found = places.get(written.rpartition("/")[2], [])
        ending = [path for path in found if written.endswith(f"/{path}")]
        return max(ending, key=len) if ending else found[0] if len(found) == 1 else value

    for column in columns:
        if not train[column].drop_nulls().head(100).map_elements(is_image_name, return_dtype=pl.Boolean).all():
            continue
        added = free_name("file", train, test)
        paths = [table[column].map_elements(here, return_dtype=pl.String).alias(added) for table in (train, test) if
                 table is not None]  # fmt: skip
        yield column, added, train.with_columns(paths[0]), None if test is None else test.with_columns(paths[1])


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
