"""Aggregation of rows: the mean or median of each column over the objects of an image, some columns at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.types import Integers

__all__ = ["aggregate_array", "aggregate_columns", "number_keys"]

BATCH_BYTES = 128 << 20


def number_keys(keys: pl.Series) -> tuple[pl.Series, Integers]:
    """Distinct keys in ascending order, and the number of each row's key; -1 for rows without a key."""
    numbers = keys.rank("dense").cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64) - 1
    return keys.drop_nulls().unique().sort(), numbers


def aggregate_columns(
    frame: pl.LazyFrame, columns: Sequence[str], rows: Integers, count: int, method: str
) -> NDArray[np.float64]:
    """Aggregate the columns of a lazy table; missing and infinite values do not count.

    Memory is bounded by the result and a few batches of columns of 128 MB.

    Args:
        rows: Number of the result's row for each row of the table; negative numbers are left out.
        count: Number of rows of the result.
        method: `mean` or `median`.

    Returns:
        Shape (count, columns); NaN without values.
    """
    result = np.full((count, len(columns)), np.nan)
    batch = max(1, BATCH_BYTES // (8 * max(len(rows), 1)))
    for start in range(0, len(columns), batch):
        names = list(columns[start : start + batch])
        values = frame.select(pl.col(names).cast(pl.Float64)).collect()
        result[:, start : start + batch] = _aggregate(values, rows, count, method)
    return result


def aggregate_array(values: NDArray[np.float64], rows: Integers, count: int, method: str) -> NDArray[np.float64]:
    """Aggregate the rows of an array, as `aggregate_columns` does."""
    return _aggregate(
        pl.DataFrame(values, schema=[str(index) for index in range(values.shape[1])]), rows, count, method
    )


def _aggregate(values: pl.DataFrame, rows: Integers, count: int, method: str) -> NDArray[np.float64]:
    result = np.full((count, values.width), np.nan)
    finite = values.select(pl.when(pl.all().is_finite()).then(pl.all()))
    used = rows >= 0
    if len(np.unique(rows[used])) == used.sum():  # no two rows share a result
        result[rows[used]] = finite.filter(pl.Series(used)).to_numpy()
        return result
    rule = pl.all().mean() if method == "mean" else pl.all().median()
    key = pl.Series("\0row", rows)
    grouped = finite.with_columns(key).filter(pl.Series(used)).group_by("\0row").agg(rule)
    result[grouped["\0row"].to_numpy()] = grouped.drop("\0row").to_numpy()
    return result
