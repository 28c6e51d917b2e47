"""Comparison page: paired differences of runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from holotype.report.charts import axis_strip, difference_strip, interval_strip
from holotype.report.formatting import (
    finite,
    format_difference,
    format_p_value,
    format_score,
    metric_meaning,
    metric_title,
)
from holotype.report.provenance import duration
from holotype.report.svg import Scale, nice_scale

LOWER_IS_BETTER = {"log_loss", "calibration_error"}
SIGNIFICANCE_LEVEL = 0.05
MAX_CLASSES, MAX_CHANGED_CLASSES = 2_000, 400


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Args:
        metrics: Section `metrics` of `scores.json`; empty if nothing was scored.
        seconds: Time of all steps, each when it was last computed.
        megabytes: Largest peak memory of a step; None if unknown.
    """

    letter: str
    name: str
    folder: str
    kind: str
    classes: int
    metrics: Mapping[str, Mapping[str, Any]]
    seconds: float
    megabytes: float | None


@dataclass(frozen=True)
class Difference:
    """Paired difference of a metric on the shared samples.

    Args:
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        p_value: Two-sided, of no difference.
        p_adjusted: The same, adjusted for the number of compared runs (Holm 1979).
    """

    name: str
    value: float
    low: float
    high: float
    p_value: float
    p_adjusted: float

    @property
    def sure(self) -> bool:
        """True if the 95 % interval excludes zero and the adjusted p-value is below 0.05."""
        return (self.low > 0 or self.high < 0) and self.p_adjusted < SIGNIFICANCE_LEVEL

    @property
    def better(self) -> bool:
        """True if the change is an improvement."""
        return (self.value < 0) if self.name in LOWER_IS_BETTER else (self.value > 0)

    def sentence(self, samples: int) -> str:
        """Difference as a clause."""
        between = (
            f"{format_difference(self.value)} {metric_title(self.name)} ({format_difference(self.low)} to "
            f"{format_difference(self.high)}, {format_p_value(self.p_adjusted)})"
        )
        on = f"on the {samples:,} shared samples"
        if self.value == 0 == self.low == self.high:
            return f"the same {metric_title(self.name)} {on}"
        if not self.sure:
            return f"not significantly different: {between} {on}"
        return f"{'better' if self.better else 'worse'}: {between} {on}"


@dataclass(frozen=True)
class PairedRuns:
    """Differences of a run from the first run.

    Args:
        table: One entry per shared class: `name`, `support`, `before`, `after`, `value`, `low`, `high`.
        notes: Limits of the comparison, clauses without a full stop.
        unit: Resampled unit: `groups` or `samples`.
        group_table: One entry per value of a group column: `column`, `group`, `samples`, `before`, `after`, `value`, of
            the first metric.
    """

    letter: str
    samples: int
    classes: int
    metrics: tuple[Difference, ...]
    table: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    groups: int = 0
    unit: str = "groups"
    group_table: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class CompareData:
    """Data of a comparison page. `settings`: recipe keys that differ, each with its value in every run."""

    metric: str
    runs: tuple[ComparedRun, ...]
    pairs: tuple[PairedRuns, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]


def compare_page(contents: CompareData) -> dict[str, Any]:
    """Template values of the comparison page."""
    title = metric_title(contents.metric)
    headlines = [run.metrics.get(contents.metric) for run in contents.runs]
    scale = nice_scale([headline[key] for headline in headlines if headline for key in ("value", "low", "high")])
    runs = [_run_row(run, headline, scale) for run, headline in zip(contents.runs, headlines, strict=True)]
    counts = Counter(run.name for run in contents.runs)
    for row in runs:
        if counts[row["name"]] > 1:  # two runs of one recipe differ in their folders only
            row |= {"name": row["folder"], "folder": ""}
    names = list(dict.fromkeys(name for run in contents.runs for name in run.metrics))
    return {
        "contents": contents,
        "title": title,
        "meaning": metric_meaning(contents.metric),
        "runs": runs,
        "axis": Markup(axis_strip(scale)),
        "metrics": [
            {
                "name": metric_title(name),
                "meaning": metric_meaning(name),
                "lower": name in LOWER_IS_BETTER,
                "values": [format_score((run.metrics.get(name) or {}).get("value")) for run in contents.runs],
            }
            for name in names
        ],
        "pairs": [_pair_fields(pair) for pair in contents.pairs],
        "settings": contents.settings,
    }


def _run_row(run: ComparedRun, headline: Mapping[str, Any] | None, scale: Scale) -> dict[str, Any]:
    strip = (
        interval_strip(headline["value"], headline["low"], headline["high"], scale, name=run.letter) if headline else ""
    )
    return {
        "letter": run.letter,
        "name": run.name,
        "folder": run.folder,
        "strip": Markup(strip),
        "kind": run.kind,
        "value": format_score(headline["value"]) if headline else "–",
        "samples": headline["samples"] if headline else 0,
        "between": f"{format_score(headline['low'])} to {format_score(headline['high'])}" if headline else "no score",
        "groups": headline["groups"] if headline else 0,
        "classes": run.classes,
        "time": duration(run.seconds),
        "memory": "" if run.megabytes is None else f"{run.megabytes:,.0f} MB",
    }


def _pair_fields(pair: PairedRuns) -> dict[str, Any]:
    scale = _symmetric_scale(
        [end for difference in pair.metrics for end in (difference.value, difference.low, difference.high)]
    )
    strips = [
        difference_strip(difference.value, (difference.low, difference.high), scale, difference.better, difference.name)
        for difference in pair.metrics
    ]
    rows = [
        {
            "name": metric_title(difference.name),
            "lower_is_better": difference.name in LOWER_IS_BETTER,
            "value": format_difference(difference.value),
            "between": f"{format_difference(difference.low)} to {format_difference(difference.high)}",
            "verdict": "could be chance" if not difference.sure else "better" if difference.better else "worse",
            "p_value": format_p_value(difference.p_adjusted),
            "strip": Markup(strip),
        }
        for difference, strip in zip(pair.metrics, strips, strict=True)
    ]
    class_rows = _select_classes(pair.table)
    classes = _symmetric_scale([row[key] for row in class_rows for key in ("value", "low", "high")])
    sure = [row for row in class_rows if _is_sure(row)]
    return {
        "letter": pair.letter,
        "notes": [f"{note[:1].upper()}{note[1:]}." for note in pair.notes],
        "rows": rows,
        "axis": Markup(axis_strip(scale)),
        "sentence": pair.metrics[0].sentence(pair.samples) if pair.metrics else "",
        "samples": pair.samples,
        "groups": pair.groups,
        "unit": pair.unit,
        "classes": [_class_row(row, classes) for row in class_rows],
        "class_axis": Markup(axis_strip(classes)),
        "group_columns": _group_columns(pair),
        "left_out": len(pair.table) - len(class_rows),
        "gained": sum(row["value"] > 0 for row in sure),
        "lost": sum(row["value"] < 0 for row in sure),
        "by_chance": 0.05 * len([row for row in class_rows if finite([row["low"]])]),
    }


def _group_columns(pair: PairedRuns) -> list[dict[str, Any]]:
    """Differences by group value, the largest first, for each group column."""
    columns = []
    for column in dict.fromkeys(row["column"] for row in pair.group_table):
        table = [row for row in pair.group_table if row["column"] == column and row["value"] is not None]
        sign = -1 if pair.metrics[0].name in LOWER_IS_BETTER else 1
        table.sort(key=lambda row: (-abs(row["value"]), row["group"]))
        columns.append(
            {
                "column": column,
                "better": sum(sign * row["value"] > 0 for row in table),
                "worse": sum(sign * row["value"] < 0 for row in table),
                "rows": [
                    {
                        "name": row["group"],
                        "samples": row["samples"],
                        "before": format_score(row["before"]),
                        "after": format_score(row["after"]),
                        "value": format_difference(row["value"]),
                    }
                    for row in table
                ],
            }
        )
    return columns


def _class_row(row: dict[str, Any], scale: Scale) -> dict[str, Any]:
    has_interval = bool(finite([row["low"]]))
    strip = difference_strip(row["value"], (row["low"], row["high"]), scale, row["value"] > 0, row["name"])
    return {
        "name": row["name"],
        "support": row["support"],
        "before": format_score(row["before"]),
        "after": format_score(row["after"]),
        "value": format_difference(row["value"]),
        "strip": Markup(strip) if has_interval else "",
        "between": f"{format_difference(row['low'])} to {format_difference(row['high'])}"
        if has_interval
        else "too few samples",
        "sure": _is_sure(row),
        "lost": row["value"] < 0,
    }


def _select_classes(table: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    scored = sorted((row for row in table if row["support"]), key=lambda row: (-abs(row["value"]), row["name"]))
    return scored if len(scored) <= MAX_CLASSES else scored[:MAX_CHANGED_CLASSES]


def _is_sure(row: dict[str, Any]) -> bool:
    return bool(finite([row["low"]])) and (row["low"] > 0 or row["high"] < 0)


def _symmetric_scale(values: list[float]) -> Scale:
    furthest = max((abs(value) for value in values if math.isfinite(value)), default=0.0) or 0.01
    return nice_scale([-furthest, furthest], count=4)
