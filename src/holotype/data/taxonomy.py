"""Class taxonomy: genus and family of each class, from a table or from columns beside the labels."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from holotype.core.errors import DataError, join_names, pluralize
from holotype.data.missing import without_missing
from holotype.data.tables import read_table
from holotype.recipe.sections import LabelSpec

FIELD = "data.labels.taxonomy"


def class_taxonomy(spec: LabelSpec, classes: tuple[str, ...], labeled: pl.DataFrame) -> pl.DataFrame | None:
    """Ranks of every class.

    `spec`: the recipe's `labels` section; `taxonomy` is a table (its first column, or `class` or `name`, holds the
    classes, the others the ranks from near to far) or names of columns of the labeled tables. Returns one row a class
    in their order: `class`, and a column for each rank; None without a taxonomy.
    """
    if spec.taxonomy is None:
        return None
    if isinstance(spec.taxonomy, str):
        table = read_table(spec.taxonomy, FIELD)
        named = next((name for name in table.columns if name.lower() in {"class", "name", "label"}), table.columns[0])
        ranks = [name for name in table.columns if name != named]
        table = table.select(pl.col(named).alias("class"), *ranks).unique(maintain_order=True)
    else:
        ranks = spec.taxonomy
        unknown = [name for name in ranks if name not in labeled.columns]
        if unknown:
            raise DataError(
                f"there is no column {unknown[0]!r} in the labeled tables",
                field=FIELD,
                value=unknown[0],
                allowed=labeled.columns,
            )
        table = labeled.select(pl.col(spec.column).alias("class"), *ranks).unique(maintain_order=True)
    for name in ranks:
        table = table.with_columns(without_missing(table[name])[0])
    table = table.with_columns(without_missing(table["class"], classes)[0]).unique(maintain_order=True)
    if not ranks:
        raise DataError(
            "the taxonomy has no column beside the classes",
            field=FIELD,
            remedy="give it a column a rank, as in `class,genus,family`",
        )
    return _validate_taxonomy(table, classes, ranks)


def _validate_taxonomy(table: pl.DataFrame, classes: tuple[str, ...], ranks: list[str]) -> pl.DataFrame:
    table = table.filter(pl.col("class").is_in(list(classes)))
    repeated = table.filter(pl.col("class").is_duplicated())["class"].unique(maintain_order=True).to_list()
    if repeated:
        raise DataError(
            f"{pluralize(len(repeated), 'class')} with more than one set of ranks: {join_names(repeated, 5)}",
            field=FIELD,
        )
    missing = [name for name in classes if name not in set(table["class"])]
    if missing:
        raise DataError(
            f"{pluralize(len(missing), 'class')} without ranks: {join_names(missing, 5)}",
            field=FIELD,
            remedy="give every class a row",
        )
    empty = table.filter(pl.any_horizontal(pl.col(ranks).fill_null("") == ""))
    if empty.height:
        raise DataError(f"{join_names(empty['class'].to_list(), 5)}: a rank is empty", field=FIELD)
    for near, far in pairwise(ranks):
        conflicting = table.group_by(near, maintain_order=True).agg(pl.col(far).unique(maintain_order=True))
        conflicting = conflicting.filter(pl.col(far).list.len() > 1)
        if conflicting.height:
            raise DataError(
                f"{near} {conflicting[near][0]!r} lies in several of {far}: "
                f"{join_names(conflicting[far][0].to_list(), 5)}",
                field=FIELD,
                remedy="order the columns from the near rank to the far, and correct the row",
            )
    return pl.DataFrame({"class": list(classes)}).join(table, on="class", how="left", maintain_order="left")
