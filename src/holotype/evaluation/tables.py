"""Score tables by class, group and domain, the confusion matrix, and `scores.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.evaluation.metrics import (
    METRICS,
    GroupResamples,
    ScoredSamples,
    class_intervals,
    f1_per_class,
    precision_recall_per_class,
)
from holotype.types import AnyLabels, Integers, Kind, LabelMatrix, SampleTable, Scorecard

MAX_VALUES = 200
MAX_CONFUSION_CLASSES = 2_000


def class_table(scored: ScoredSamples, classes: Sequence[str], resamples: GroupResamples) -> list[dict[str, Any]]:
    """Build the table of classes: `name`, `support`, `predicted`, `precision`, `recall`, `f1`, and `low`, `high` of F1.

    Undefined values are None: F1 and recall without a positive sample, precision without a prediction.
    """
    precision, recall = precision_recall_per_class(scored.truth, scored.decided)
    low, high = class_intervals(scored, resamples)
    columns = {
        "name": list(classes),
        "support": LabelMatrix.from_dense(scored.truth).counts(),
        "predicted": LabelMatrix.from_dense(scored.decided).counts(),
        "precision": precision,
        "recall": recall,
        "f1": f1_per_class(scored.truth, scored.decided),
        "low": low,
        "high": high,
    }
    rows = zip(*columns.values(), strict=True)
    return [{name: to_json_value(value) for name, value in zip(columns, row, strict=True)} for row in rows]


def group_table(scored: ScoredSamples, labels: SampleTable, samples: Integers, metric: str) -> list[dict[str, Any]]:
    """Build the table of group values: `column`, `group`, `samples`, `value`, `accuracy`.

    Columns of more than 200 values are left out.
    """
    return [
        {"column": column.removeprefix("group."), "group": value, **scores}
        for column in labels.frame.columns
        if column.startswith("group.")
        for value, scores in _score_by_value(scored, labels.frame[column].gather(samples), metric)
    ]


def difference_table(
    before: ScoredSamples, after: ScoredSamples, columns: pl.DataFrame, metric: str
) -> list[dict[str, Any]]:
    """Build the table of differences by group value: `column`, `group`, `samples`, `before`, `after`, `value`.

    `columns` are the group columns of the samples. Columns of more than 200 values are left out.
    """
    return [
        {
            "column": column,
            "group": value,
            "samples": first["samples"],
            "before": first["value"],
            "after": second["value"],
            "value": _subtract(second["value"], first["value"]),
        }
        for column in columns.columns
        for (value, first), (_, second) in zip(
            _score_by_value(before, columns[column], metric),
            _score_by_value(after, columns[column], metric),
            strict=True,
        )
    ]


def domain_table(scored: ScoredSamples, labels: SampleTable, samples: Integers, metric: str) -> list[dict[str, Any]]:
    """Build the table of domains: `domain`, `samples`, `value`, `accuracy`."""
    if "domain" not in labels.frame.columns:
        return []
    parts = _score_by_value(scored, labels.frame["domain"].gather(samples), metric)
    return [{"domain": value, **scores} for value, scores in parts]


def confusion_counts(truth: AnyLabels, decided: AnyLabels, kind: Kind) -> Integers:
    """Compute the confusion matrix, shape (classes, classes); above 2,000 classes its shape is (0, 0).

    The diagonal counts correct labels. Multiclass: entry (i, j) counts samples of class i that were decided as j.
    Multilabel: samples that have i and miss it while they were wrongly given j.
    """
    if truth.shape[1] > MAX_CONFUSION_CLASSES or isinstance(truth, LabelMatrix) or isinstance(decided, LabelMatrix):
        return np.zeros((0, 0), np.int64)
    if kind == "multiclass":
        return _cooccurrence_counts(truth, decided)
    confusion = _cooccurrence_counts(truth & ~decided, decided & ~truth)
    np.fill_diagonal(confusion, (truth & decided).sum(axis=0))
    return confusion


def scorecard_to_json(scorecard: Scorecard) -> dict[str, Any]:
    """Convert a scorecard to the content of `scores.json`; NaN becomes None."""
    content: dict[str, Any] = to_json_value(scorecard)
    return content


def _score_by_value(scored: ScoredSamples, values: pl.Series, metric: str) -> list[tuple[str, dict[str, Any]]]:
    names = values.drop_nulls().unique().sort()
    if len(names) > MAX_VALUES:
        return []
    table = []
    for name in names:
        rows = np.flatnonzero((values == name).fill_null(False).to_numpy())
        part = scored.rows(rows)
        value, accuracy = (
            to_json_value(METRICS[each](part.truth, part.decided, part.logits, part.kind))
            for each in (metric, "accuracy")
        )
        table.append((str(name), {"samples": len(rows), "value": value, "accuracy": accuracy}))
    return table


def _subtract(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _cooccurrence_counts(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> Integers:
    counts: Integers = np.rint(left.T.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return counts


def to_json_value(value: Any) -> Any:
    """Convert dataclasses, tuples and numpy scalars to JSON values; NaN and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): to_json_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
