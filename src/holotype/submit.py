"""The tables that leave a run: the submission, and the predictions for a spreadsheet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.types import Integers, Labels

__all__ = ["prediction_table", "submission_table", "write_scores", "write_table"]

LIKELIEST = 3


def submission_table(
    labels: Labels, samples: Integers, names: list[list[str]], id_column: str, label_column: str, separator: str
) -> pl.DataFrame:
    """One row a test sample, in the order of the test table.

    Args:
        labels: The samples of the run.
        samples: Numbers of the test samples, shape (n,).
        names: The decided labels of each.
        id_column: Name of the id column.
        label_column: Name of the label column.
        separator: What stands between labels.
    """
    ids = labels.frame["sample"].gather(samples)
    return pl.DataFrame({id_column: ids, label_column: [separator.join(row) for row in names]})


def prediction_table(
    ids: pl.Series, names: list[list[str]], probability: NDArray[np.float64], classes: tuple[str, ...], separator: str
) -> pl.DataFrame:
    """Labels and the likeliest classes, for a spreadsheet.

    Args:
        ids: One a sample.
        names: The decided labels of each.
        probability: Shape (n, classes).
        classes: The class names in order.
        separator: What stands between labels.

    Returns:
        `id`, `labels`, then `class_1`, `probability_1` and so on for the three likeliest.
    """
    columns: dict[str, pl.Series | list[str]] = {
        "id": ids.alias("id"),
        "labels": [separator.join(row) for row in names],
    }
    order = np.argsort(-probability, axis=1, kind="stable")[:, : min(LIKELIEST, len(classes))]
    for rank in range(order.shape[1]):
        columns[f"class_{rank + 1}"] = [classes[number] for number in order[:, rank]]
        values = np.take_along_axis(probability, order[:, rank : rank + 1], axis=1)[:, 0]
        columns[f"probability_{rank + 1}"] = pl.Series(values.round(4))
    return pl.DataFrame(columns)


def write_scores(path: Path, ids: pl.Series, logits: NDArray[np.float32]) -> None:
    """Logits as Parquet: `id`, and `scores`, a list of float32 in the order of the classes.

    Args:
        path: The file.
        ids: One a sample.
        logits: Shape (n, classes).
    """
    scores = pl.Series("scores", logits.astype(np.float32), dtype=pl.Array(pl.Float32, logits.shape[1]))
    write_table(path, pl.DataFrame([ids.alias("id"), scores.cast(pl.List(pl.Float32))]))


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write CSV or Parquet, whole or not at all.

    Args:
        path: The file; its ending decides.
        table: What to write.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if path.suffix == ".parquet":
        table.write_parquet(temporary)
    else:
        table.write_csv(temporary)
    temporary.replace(path)
