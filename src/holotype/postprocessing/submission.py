"""Output tables of a run: the submission, the predictions for a spreadsheet, and the scores as Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.core.errors import DataError, join_names, pluralize
from holotype.core.table_files import read_parquet, write_parquet
from holotype.data import read_table
from holotype.types import AnyLabels, AnyScores, Integers, LabelMatrix, SampleTable, TopKScores

TOP_CLASSES = 3


def submission_order(labels: SampleTable, order: str, id_column: str) -> Integers:
    """Order the test samples for the submission.

    `order`: `test`, or the path of a sample submission, whose order is used. Raises DataError if the ids of the sample
    submission differ from those of the test table.
    """
    samples = labels.of_role("test")
    if order == "test":
        return samples
    table = read_table(order, "submission.order")
    if id_column not in table.columns:
        raise DataError(f"there is no column {id_column!r} in {order!r}", field="submission.id", allowed=table.columns)
    ordered_ids = table[id_column].cast(pl.String).to_list()
    number = dict(zip(labels.frame["sample"].gather(samples).cast(pl.String), samples.tolist(), strict=True))
    id_set = set(ordered_ids)
    unknown = [name for name in ordered_ids if name not in number]
    missing = [name for name in number if name not in id_set]
    repeated = table[id_column].filter(table[id_column].is_duplicated()).unique(maintain_order=True).cast(pl.String)
    for wrong_ids, words in (
        (unknown, "of the sample submission {} not in the test table"),
        (missing, "of the test table {} not in the sample submission"),
        (repeated.to_list(), "of the sample submission {} repeated"),
    ):
        if wrong_ids:
            problem = words.format("is" if len(wrong_ids) == 1 else "are")
            raise DataError(
                f"{pluralize(len(wrong_ids), 'id')} {problem}: {join_names(wrong_ids, 5)}",
                field="submission.order",
                value=order,
                remedy="use the same ids in both, or set `order: test`",
            )
    return np.array([number[name] for name in ordered_ids], np.int64)


def submission_table(
    labels: SampleTable, samples: Integers, names: list[list[str]], id_column: str, label_column: str, separator: str
) -> pl.DataFrame:
    """Build the submission: one row per test sample.

    `samples`: sample numbers in the order of the submission, shape (n,).
    """
    ids = labels.frame["sample"].gather(samples)
    return pl.DataFrame({id_column: ids, label_column: [separator.join(row) for row in names]})


def prediction_table(
    ids: pl.Series,
    names: list[list[str]],
    probability: NDArray[np.float64] | TopKScores,
    classes: tuple[str, ...],
    separator: str,
) -> pl.DataFrame:
    """Build the predictions for a spreadsheet.

    Returns `id`, `labels`, then `class_1`, `probability_1` and so on for the three most likely classes.
    """
    columns: dict[str, pl.Series | list[str]] = {
        "id": ids.alias("id"),
        "labels": [separator.join(row) for row in names],
    }
    if isinstance(probability, TopKScores):
        order = probability.top_classes[:, :TOP_CLASSES].astype(np.int64)
        top_probability = np.exp(probability.top_logits[:, :TOP_CLASSES] - probability.total[:, None])
    else:
        order = np.argsort(-probability, axis=1, kind="stable")[:, : min(TOP_CLASSES, len(classes))]
        top_probability = np.take_along_axis(probability, order, axis=1)
    for rank in range(order.shape[1]):
        columns[f"class_{rank + 1}"] = [classes[number] for number in order[:, rank]]
        columns[f"probability_{rank + 1}"] = pl.Series(top_probability[:, rank].round(4))
    return pl.DataFrame(columns)


def score_columns(logits: AnyScores) -> list[pl.Series]:
    """Convert scores to table columns.

    Returns `scores`, a list of float32 in the order of the classes; for top-k scores `top_classes` (class numbers),
    `top_logits` and `rest_logsumexp`.
    """
    if not isinstance(logits, TopKScores):
        scores = pl.Series("scores", logits.astype(np.float32), dtype=pl.Array(pl.Float32, logits.shape[1]))
        return [scores.cast(pl.List(pl.Float32))]
    width = logits.top_classes.shape[1]
    top = pl.Series("top_classes", logits.top_classes, dtype=pl.Array(pl.Int32, width)).cast(pl.List(pl.Int32))
    logit = pl.Series("top_logits", logits.top_logits, dtype=pl.Array(pl.Float32, width)).cast(pl.List(pl.Float32))
    return [top, logit, pl.Series("rest_logsumexp", logits.rest_logsumexp, dtype=pl.Float32)]


def write_scores(path: Path, ids: pl.Series, logits: AnyScores, decided: AnyLabels | None = None) -> None:
    """Write logits as Parquet: `id`, the columns of `score_columns`, and the decisions if given.

    `decided`: adds a column `decided`, lists of class numbers.
    """
    columns = [ids.alias("id"), *score_columns(logits)]
    if decided is not None:
        columns.append(pl.Series("decided", LabelMatrix.from_dense(decided).lists(), dtype=pl.List(pl.UInt32)))
    write_parquet(pl.DataFrame(columns), path)


def read_scores(path: Path, classes: int) -> tuple[pl.Series, AnyScores]:
    """Read ids and logits of a file written by `write_scores`."""
    table = read_parquet(path)
    if "scores" in table.columns:
        return table["id"], table["scores"].list.to_array(classes).to_numpy().astype(np.float32)
    width = len(table["top_classes"][0]) if table.height else 0
    top, logit = (table[name].list.to_array(width).to_numpy() for name in ("top_classes", "top_logits"))
    rest = table["rest_logsumexp"].to_numpy()
    return table["id"], TopKScores(classes, top.astype(np.int32), logit.astype(np.float32), rest)
