"""Template values of the report sections: rows of plain values and finished drawings."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.charts import (
    axis_strip,
    bar_strip,
    dot_strip,
    interval_strip,
    ranked_columns,
    ranked_dots,
    waterfall_strip,
)
from holotype.report.formatting import finite, format_difference, format_score, metric_meaning, metric_title
from holotype.report.report_data import ReportData
from holotype.report.summary import Confusion
from holotype.report.svg import Scale, nice_scale
from holotype.types import Metric

UNIT = Scale(0.0, 1.0, (0.0, 0.5, 1.0))
MAX_ROWS = 28
MAX_CLASSES = 2_000
MAX_PER_END = 200


def summary(contents: ReportData) -> dict[str, Any]:
    """Headline score with its intervals, and the other metrics."""
    metrics = contents.scorecard.metrics
    ends = [
        end
        for metric in metrics.values()
        for end in (
            metric.value,
            metric.low,
            metric.high,
            metric.prediction_interval.get("low"),
            metric.prediction_interval.get("high"),
        )
    ]
    scale = nice_scale(ends)
    rows = []
    for name, metric in metrics.items():
        fresh = (
            (metric.prediction_interval["low"], metric.prediction_interval["high"])
            if finite([metric.prediction_interval.get("low"), metric.prediction_interval.get("high")])[1:]
            else None
        )
        strip = interval_strip(metric.value, metric.low, metric.high, scale, fresh, metric_title(name))
        rows += [
            {
                "name": metric_title(name),
                "meaning": metric_meaning(name),
                "value": format_score(metric.value),
                "strip": Markup(strip),
            }
        ]
    headline = contents.metric if contents.metric in metrics else next(iter(metrics), None)
    if headline is None:
        return {"metric": None, "rows": rows, "axis": Markup(axis_strip(scale))}
    metric = metrics[headline]
    return {
        "metric": metric,
        "title": metric_title(headline),
        "meaning": metric_meaning(headline),
        "is_one_interval": _is_one_interval(metric),
        "fresh_rows": int(metric.prediction_interval.get("rows", 0)),
        "rows": rows,
        "axis": Markup(axis_strip(scale)),
    }


def _is_one_interval(metric: Metric) -> bool:
    """Whether the confidence and the prediction interval read the same."""
    ends = [metric.prediction_interval.get("low"), metric.prediction_interval.get("high")]
    return bool(finite(ends)) and [*map(format_score, ends)] == [format_score(metric.low), format_score(metric.high)]


def subset_rows(contents: ReportData) -> list[dict[str, Any]]:
    """Scores of subsets: without duplicates, and of external samples that resemble the test set."""
    rows = []
    for name, metrics in contents.scorecard.subsets.items():
        metric = metrics.get(contents.metric)
        if metric is not None:
            between = f"{format_score(metric.low)} to {format_score(metric.high)}"
            rows.append(
                {"name": name, "samples": metric.samples, "value": format_score(metric.value), "between": between}
            )
    return rows


def step_effects(contents: ReportData) -> dict[str, Any]:
    """Step effects as rows of a waterfall chart; a bar starts at the step it is compared with."""
    steps = contents.scorecard.steps
    scale = nice_scale([step.get(key) for step in steps for key in ("value", "low", "high")])
    rows: list[dict[str, Any]] = []
    values: dict[str, float] = {}
    for step in steps:
        value, change = float(step["value"]), step.get("difference")
        before = None if change is None else values.get(str(step.get("against")), value - change["value"])
        sure = change is not None and (change["low"] > 0 or change["high"] < 0)
        strip = waterfall_strip(
            before, value, scale, str(step["step"]), sure=sure, low=step.get("low"), high=step.get("high")
        )
        rows += [
            {
                "name": str(step["step"]),
                "value": format_score(value),
                "change": "" if change is None else format_difference(change["value"]),
                "between": ""
                if change is None
                else f"{format_difference(change['low'])} to {format_difference(change['high'])}",
                "lower": change is not None and change["value"] < 0,
                "sure": sure,
                "strip": Markup(strip),
            }
        ]
        values[str(step["step"])] = value
    return {"rows": rows, "axis": Markup(axis_strip(scale)), "metric": metric_title(contents.metric)}


def class_rows(contents: ReportData) -> list[dict[str, Any]]:
    """One row per class in class order, with the index of its example image.

    With very many classes, only the weakest and the most frequent.
    """
    specimens: dict[str, int] = {}
    for index in sorted(range(len(contents.samples)), key=lambda index: len(contents.samples[index].labels)):
        for label in contents.samples[index].labels:
            specimens.setdefault(label, index)
    rows = []
    for number, entry in _select_classes(contents.scorecard.classes):
        low, high = entry.get("low", entry.get("f1_low")), entry.get("high", entry.get("f1_high"))
        scored = bool(entry.get("support"))
        strip = interval_strip(entry.get("f1"), low, high, UNIT, name=f"{entry['name']}: F1") if scored else ""
        rows += [
            {
                **{key: entry.get(key) for key in ("precision", "recall", "f1", "threshold", "predicted")},
                "number": number,
                "name": str(entry["name"]),
                "support": int(entry.get("support") or 0),
                "interval": f"{format_score(low)} to {format_score(high)}" if finite([low, high])[1:] else "",
                "specimen": specimens.get(str(entry["name"])),
                "strip": Markup(strip),
            }
        ]
    return rows


def _select_classes(entries: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    every = list(enumerate(entries))
    if len(every) <= MAX_CLASSES:
        return every
    scored = [pair for pair in every if pair[1].get("support")]
    weakest = sorted(scored, key=lambda pair: float(pair[1].get("f1") or 0.0))[:MAX_PER_END]
    commonest = sorted(scored, key=lambda pair: -int(pair[1]["support"]))[:MAX_PER_END]
    return sorted(dict([*weakest, *commonest]).items())


def distribution(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Class sizes and prediction counts: bars, or one column chart for many classes."""
    ordered = sorted(rows, key=lambda row: -row["support"])
    largest = max([1, *(max(row["support"], row["predicted"] or 0) for row in rows)])
    words = [f"{row['name']}\n{row['support']:,} samples" + _decided_text(row) for row in ordered]
    if len(rows) > MAX_ROWS:
        columns = ranked_columns([float(row["support"]) for row in ordered], words, "Samples of each class")
        return {"rows": [], "columns": Markup(columns), "largest": ordered[0], "smallest": ordered[-1]}
    bars = [
        {
            "name": row["name"],
            "support": row["support"],
            "strip": Markup(bar_strip(row["support"], largest, row["predicted"], word)),
        }
        for row, word in zip(ordered, words, strict=True)
    ]
    return {"rows": bars, "columns": None}


def score_by(contents: ReportData) -> list[dict[str, Any]]:
    """Scores by domain and by each group column: dots, or one ranked plot for many groups."""
    card = contents.scorecard
    headline = card.metrics.get(contents.metric)
    reference = headline.value if headline is not None else None
    by_title: dict[str, list[tuple[str, int, float]]] = {}
    for entry in card.domains:
        by_title.setdefault("domain", []).append((str(entry["domain"]), int(entry["samples"]), entry["value"]))
    for entry in card.groups:
        scores = by_title.setdefault(str(entry["column"]), [])
        scores.append((str(entry["group"]), int(entry["samples"]), entry["value"]))
    metric = metric_title(contents.metric)
    return [_score_group(title, entries, reference, metric) for title, entries in by_title.items()]


def _score_group(
    title: str, entries: list[tuple[str, int, float]], reference: float | None, metric: str
) -> dict[str, Any]:
    defined = sorted((entry for entry in entries if finite([entry[2]])), key=lambda entry: entry[2])
    largest = max((samples for _, samples, _ in defined), default=1)
    words = [f"{name}\n{format_score(value)} on {samples:,} samples" for name, samples, value in defined]
    scale = nice_scale([*(value for _, _, value in defined), reference])
    is_ranked = len(defined) > MAX_ROWS
    plot = ""
    if is_ranked:
        weights = [samples / largest for _, samples, _ in defined]
        sorted_values = [value for _, _, value in defined]
        plot = ranked_dots(sorted_values, weights, words, reference, f"Score by {title}", metric)
    rows = [
        {
            "name": name,
            "samples": samples,
            "value": format_score(value),
            "strip": Markup(dot_strip(value, samples / largest, scale, reference, word)),
        }
        for (name, samples, value), word in zip(defined, words, strict=True)
    ]
    return {
        "title": title,
        "metric": metric,
        "count": len(defined),
        "left_out": len(entries) - len(defined),
        "plot": Markup(plot),
        "rows": rows[:6] if is_ranked else rows,
        "axis": Markup(axis_strip(scale)),
    }


def confusion_rows(confusions: list[Confusion]) -> list[dict[str, Any]]:
    """Most frequent confusions with a bar each."""
    return [
        {
            "truth": confusion.truth,
            "decided": confusion.decided,
            "count": confusion.count,
            "share": confusion.share,
            "strip": Markup(bar_strip(confusion.share, 1.0)),
        }
        for confusion in confusions
    ]


def supports_of(classes: tuple[str, ...], supports: dict[str, int]) -> NDArray[np.int64]:
    """Samples per class in class order; zero for a class that was not scored, shape (classes,)."""
    return np.asarray([supports.get(name, 0) for name in classes], dtype=np.int64)


def _decided_text(row: dict[str, Any]) -> str:
    return "" if row["predicted"] is None else f"\npredicted {row['predicted']:,} times"
