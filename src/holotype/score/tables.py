"""Scores by class, by group and by domain, the table of confusions, and `scores.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.metrics import METRICS, Draws, Judged, class_intervals, f1_per_class, precision_recall_per_class
from holotype.types import AnyLabels, Integers, Kind, LabelMatrix, Labels, Scorecard

__all__ = ["class_table", "confusion_counts", "domain_table", "group_table", "scorecard_to_json"]

VALUES_AT_MOST = 200
CONFUSED_AT_MOST = 2_000


def class_table(judged: Judged, classes: Sequence[str], draws: Draws) -> list[dict[str, Any]]:
    """One entry a class: `name`, `support`, `predicted`, `precision`, `recall`, `f1`, `low`, `high` (of the F1).

    What is not defined is None: F1 and recall of a class without a positive sample, precision of one never given.

    Args:
        judged: The samples.
        classes: The class names in order.
        draws: Draws of their groups.
    """
    precision, recall = precision_recall_per_class(judged.truth, judged.decided)
    low, high = class_intervals(judged, draws)
    columns = {
        "name": list(classes),
        "support": LabelMatrix.of(judged.truth).counts(),
        "predicted": LabelMatrix.of(judged.decided).counts(),
        "precision": precision,
        "recall": recall,
        "f1": f1_per_class(judged.truth, judged.decided),
        "low": low,
        "high": high,
    }
    rows = zip(*columns.values(), strict=True)
    return [{name: _plain(value) for name, value in zip(columns, row, strict=True)} for row in rows]


def group_table(judged: Judged, labels: Labels, samples: Integers, metric: str) -> list[dict[str, Any]]:
    """One entry a value of each group column: `column`, `group`, `samples`, `value`, `accuracy`.

    Columns of more than 200 values are left out.

    Args:
        judged: The samples.
        labels: The samples of the run.
        samples: The numbers of the judged ones, shape (n,).
        metric: What `value` is.
    """
    columns = [name for name in labels.frame.columns if name.startswith("group.")]
    table = []
    for column in columns:
        for value, scores in _by_value(judged, labels.frame[column].gather(samples), metric):
            table.append({"column": column.removeprefix("group."), "group": value, **scores})
    return table


def domain_table(judged: Judged, labels: Labels, samples: Integers, metric: str) -> list[dict[str, Any]]:
    """One entry a domain: `domain`, `samples`, `value`, `accuracy`.

    Args:
        judged: The samples.
        labels: The samples of the run.
        samples: The numbers of the judged ones, shape (n,).
        metric: What `value` is.
    """
    if "domain" not in labels.frame.columns:
        return []
    parts = _by_value(judged, labels.frame["domain"].gather(samples), metric)
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
    if truth.shape[1] > CONFUSED_AT_MOST or isinstance(truth, LabelMatrix) or isinstance(decided, LabelMatrix):
        return np.zeros((0, 0), np.int64)
    if kind == "multiclass":
        return _together(truth, decided)
    confusion = _together(truth & ~decided, decided & ~truth)
    np.fill_diagonal(confusion, (truth & decided).sum(axis=0))
    return confusion


def scorecard_to_json(scorecard: Scorecard) -> dict[str, Any]:
    """What `scores.json` holds: plain numbers and None, never NaN.

    Args:
        scorecard: The scores.
    """
    content: dict[str, Any] = _plain(asdict(scorecard))
    return content


def _by_value(judged: Judged, values: pl.Series, metric: str) -> list[tuple[str, dict[str, Any]]]:
    names = values.drop_nulls().unique().sort()
    if len(names) > VALUES_AT_MOST:
        return []
    table = []
    for name in names:
        here = np.flatnonzero((values == name).fill_null(False).to_numpy())
        part = judged.rows(here)
        given = (part.truth, part.decided, part.logits, part.kind)
        scores = {"samples": len(here), "value": METRICS[metric](*given), "accuracy": METRICS["accuracy"](*given)}
        table.append((str(name), {key: _plain(value) for key, value in scores.items()}))
    return table


def _together(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> Integers:
    counts: Integers = np.rint(left.T.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return counts


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
