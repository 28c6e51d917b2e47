"""Scores by class, by group and by domain, the table of confusions, and `scores.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
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
from holotype.types import AnyLabels, Integers, Kind, LabelMatrix, Labels, Scorecard

__all__ = ["class_table", "confusion_counts", "domain_table", "group_table", "scorecard_to_json"]

MAX_VALUES = 200
MAX_CONFUSION_CLASSES = 2_000


def class_table(scored: ScoredSamples, classes: Sequence[str], resamples: GroupResamples) -> list[dict[str, Any]]:
    """One entry a class: `name`, `support`, `predicted`, `precision`, `recall`, `f1`, `low`, `high` (of the F1).

    What is not defined is None: F1 and recall of a class without a positive sample, precision of one never given.

    Args:
        scored: The samples.
        classes: The class names in order.
        resamples: Draws of their groups.
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
    return [{name: _to_json(value) for name, value in zip(columns, row, strict=True)} for row in rows]


def group_table(scored: ScoredSamples, labels: Labels, samples: Integers, metric: str) -> list[dict[str, Any]]:
    """One entry a value of each group column: `column`, `group`, `samples`, `value`, `accuracy`.

    Columns of more than 200 values are left out.

    Args:
        scored: The samples.
        labels: The samples of the run.
        samples: The numbers of the judged ones, shape (n,).
        metric: What `value` is.
    """
    columns = [name for name in labels.frame.columns if name.startswith("group.")]
    table = []
    for column in columns:
        for value, scores in _score_by_value(scored, labels.frame[column].gather(samples), metric):
            table.append({"column": column.removeprefix("group."), "group": value, **scores})
    return table


def domain_table(scored: ScoredSamples, labels: Labels, samples: Integers, metric: str) -> list[dict[str, Any]]:
    """One entry a domain: `domain`, `samples`, `value`, `accuracy`.

    Args:
        scored: The samples.
        labels: The samples of the run.
        samples: The numbers of the judged ones, shape (n,).
        metric: What `value` is.
    """
    if "domain" not in labels.frame.columns:
        return []
    parts = _score_by_value(scored, labels.frame["domain"].gather(samples), metric)
    return [{"domain": value, **scores} for value, scores in parts]


def confusion_counts(truth: AnyLabels, decided: AnyLabels, kind: Kind) -> Integers:
    """How often one class was taken for another.

    Args:
        truth: Which classes each sample has, shape (n, classes).
        decided: Which classes each sample was given, shape (n, classes).
        kind: One label a sample, or many.

    Returns:
        Shape (classes, classes). The diagonal holds what was right. For one label a sample, entry (i, j) counts the
        samples of class i that were given j; for many, the samples that have i and missed it while they were wrongly
        given j. Above 2,000 classes, where it would be a wall, shape (0, 0).
    """
    if truth.shape[1] > MAX_CONFUSION_CLASSES or isinstance(truth, LabelMatrix) or isinstance(decided, LabelMatrix):
        return np.zeros((0, 0), np.int64)
    if kind == "multiclass":
        return _cooccurrence_counts(truth, decided)
    confusion = _cooccurrence_counts(truth & ~decided, decided & ~truth)
    np.fill_diagonal(confusion, (truth & decided).sum(axis=0))
    return confusion


def scorecard_to_json(scorecard: Scorecard) -> dict[str, Any]:
    """What `scores.json` holds: plain numbers and None, never NaN.

    Args:
        scorecard: The scores.
    """
    content: dict[str, Any] = _to_json(asdict(scorecard))
    return content


def _score_by_value(scored: ScoredSamples, values: pl.Series, metric: str) -> list[tuple[str, dict[str, Any]]]:
    names = values.drop_nulls().unique().sort()
    if len(names) > MAX_VALUES:
        return []
    table = []
    for name in names:
        rows = np.flatnonzero((values == name).fill_null(False).to_numpy())
        part = scored.rows(rows)
        arguments = (part.truth, part.decided, part.logits, part.kind)
        scores = {
            "samples": len(rows),
            "value": METRICS[metric](*arguments),
            "accuracy": METRICS["accuracy"](*arguments),
        }
        table.append((str(name), {key: _to_json(value) for key, value in scores.items()}))
    return table


def _cooccurrence_counts(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> Integers:
    counts: Integers = np.rint(left.T.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return counts


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
