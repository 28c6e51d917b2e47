"""Taxonomy tables: the ranks above the classes, such as genus and family of each species."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import polars as pl

from holotype.inspect.groups import nests_in
from holotype.inspect.tables import is_submission

CLASS_COLUMN_NAMES = {"class", "name", "label"}


def find_taxonomy(tables: Mapping[str, pl.DataFrame], classes: set[str]) -> tuple[str, tuple[str, ...]] | None:
    """Find the first table with one row per class whose other columns are nested ranks, from near to far.

    Returns name of the table and its ranks; None if no table describes every class with nested columns.
    """
    for name, table in tables.items():
        column = next(
            (candidate for candidate in table.columns if candidate.lower() in CLASS_COLUMN_NAMES), table.columns[0]
        )
        ranks = [candidate for candidate in table.columns if candidate != column]
        rows = table.filter(pl.col(column).is_in(list(classes))).unique(maintain_order=True)
        if not ranks or is_submission(name) or rows.height != len(classes) or set(rows[column]) != classes:
            continue
        filled = not rows.select(pl.any_horizontal(pl.col(ranks).fill_null("") == "").any()).item()
        nested = all(nests_in(rows, near, far) for near, far in pairwise(ranks))
        if filled and nested and all(1 < rows[rank].n_unique() < len(classes) for rank in ranks):
            return name, tuple(ranks)
    return None
