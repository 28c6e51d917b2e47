"""Which of the further tables gives the ranks above the classes: genus and family of each species."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import polars as pl

from holotype.inspect.groups import nests_in
from holotype.inspect.tables import is_submission

__all__ = ["find_taxonomy"]

CLASS_COLUMN_NAMES = {"class", "name", "label"}


def find_taxonomy(tables: Mapping[str, pl.DataFrame], classes: set[str]) -> tuple[str, tuple[str, ...]] | None:
    """The first table with a row a class whose other columns are ranks from near to far, each within the next.

    Args:
        tables: Further tables by name.
        classes: The class names.

    Returns:
        The table's name and its ranks; none where no table tells of every class, or its columns do not nest.
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
