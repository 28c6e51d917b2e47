"""The one table reader: CSV or Parquet in, columns of text out."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars import selectors

from holotype.data.addresses import ending, is_remote, opened
from holotype.errors import DataError

__all__ = ["read_table"]


def read_table(path: Path | str, field: str = "data.train", lists: bool = False) -> pl.DataFrame:
    """A CSV or Parquet file with every column as text, so that `00365` stays `00365`.

    Args:
        path: The file, or an address that fsspec opens; `.parquet` and `.pq` are Parquet, all else is CSV.
        field: The recipe's key that names the file, for messages.
        lists: Leave columns of lists as they are, where a Parquet file has them.

    Raises:
        DataError: The file is missing, broken or empty.
    """
    if not is_remote(path) and not Path(path).is_file():
        near = sorted(sibling.name for sibling in Path(path).parent.glob("*") if sibling.suffix == Path(path).suffix)
        raise DataError(f"there is no table {str(path)!r}", field=field, value=Path(path).name, allowed=near)
    try:
        if ending(path) in {".parquet", ".pq"}:
            table = pl.read_parquet(opened(path))
            table = table.with_columns((~selectors.nested() if lists else pl.all()).cast(pl.String))
        else:
            table = pl.read_csv(opened(path), infer_schema=False)
    except pl.exceptions.NoDataError:
        raise DataError(f"the table {str(path)!r} is empty", field=field) from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"the table {str(path)!r} cannot be read: {reason}", field=field) from error
    if table.height == 0:
        raise DataError(f"the table {str(path)!r} has a header and no rows", field=field)
    return table
