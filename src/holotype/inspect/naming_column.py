"""Naming column: the column whose values occur in the names of the image files."""

from __future__ import annotations

import re

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.inspect.headers import spread_positions
from holotype.inspect.patterns import HOLE, match_values
from holotype.inspect.tables import is_unique

EXAMPLES = {"train": 300, "test": 150}
ENOUGH = 0.5
ID_NAME = re.compile(r"(^|[_ ])(id|uuid|image|filename|file|name)([_ ]|$)", re.IGNORECASE)


def shared_columns(train: pl.DataFrame, test: pl.DataFrame | None) -> tuple[list[str], list[str]]:
    """Columns that both tables have, and those of them with distinct values."""
    shared = [name for name in train.columns if test is None or name in test.columns]
    return shared, [name for name in shared if is_unique(train, name) and (test is None or is_unique(test, name))]


def sample_rows(train: pl.DataFrame, test: pl.DataFrame | None, columns: list[str]) -> pl.DataFrame:
    """Example rows of both tables, evenly spread, with their role in the column `HOLE`."""
    return pl.concat(
        table.select(columns)[spread_positions(table.height, EXAMPLES[role])].with_columns(pl.lit(role).alias(HOLE))
        for role, table in (("train", train), ("test", test))
        if table is not None
    )


def find_naming_column(
    examples: pl.DataFrame, columns: list[str], files: tuple[str, ...]
) -> tuple[str | None, dict[str, list[str]]]:
    """Column by which most rows find files; low effort and names such as `id` are tried first."""
    for effort in range(3):
        best: tuple[float, str | None, dict[str, list[str]]] = (0.0, None, {})
        for column in sorted(columns, key=lambda name: ID_NAME.search(name) is None):
            names = match_values(files, set(examples[column].drop_nulls()), effort)
            share = len(names) / max(1, examples[column].n_unique())
            if share > best[0]:
                best = share, column, names
        if best[0] >= ENOUGH:
            return best[1], best[2]
    return None, {}


def choose_id_column(unique: list[str], column: str) -> str:
    """Column named id if there is one, else the column that names the files."""
    called = [name for name in unique if name.lower() in {"id", "image_id", "uuid"}]
    return called[0] if called and column not in called else column


def no_match_error(examples: pl.DataFrame, files: tuple[str, ...]) -> DataError:
    """Error of a table in which no column names the image files, with examples of both."""
    column_examples = "; ".join(
        f"{name}: {join_names(examples[name].drop_nulls().unique(maintain_order=True).head(2), 2)}"
        for name in examples.columns[:4]
        if name != HOLE
    )
    return DataError(
        f"no column with unique values matches the image files; the table has {column_examples or 'nothing shared'} "
        f"and the files are named {join_names(files[:3], 3)}",
        remedy="add a column with the path of each file, relative to the data folder",
    )
