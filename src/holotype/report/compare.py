"""Runs side by side → what the page of a comparison shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from holotype.report.charts import axis_strip, difference_strip, interval_strip
from holotype.report.provenance import duration
from holotype.report.svg import Scale, nice_scale
from holotype.report.words import finite, metric_meaning, metric_title, score, signed

__all__ = ["CompareContents", "ComparedRun", "Difference", "PairedRuns", "compare_page"]

LOWER_IS_BETTER = {"log_loss", "calibration_error"}
CLASSES_UP_TO, CHANGED_SHOWN = 2_000, 400


@dataclass(frozen=True)
class ComparedRun:
    """One run.

    Args:
        letter: By which the page calls it.
        name: The recipe's name.
        place: Its folder.
        kind: One label a sample, or many.
        classes: How many there are.
        metrics: As in `scores.json`; empty where nothing was scored.
        seconds: Of all stages, each when it was last made.
        megabytes: The largest memory of a stage; none where nobody knows.
    """

    letter: str
    name: str
    place: str
    kind: str
    classes: int
    metrics: Mapping[str, Mapping[str, Any]]
    seconds: float
    megabytes: float | None


@dataclass(frozen=True)
class Difference:
    """What a metric changed, on the same samples.

    Args:
        name: The metric.
        value: The run's less the first's.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    name: str
    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> bool:
        """Whether the change is for the better."""
        return (self.value < 0) if self.name in LOWER_IS_BETTER else (self.value > 0)

    def sentence(self, samples: int) -> str:
        """The change in words.

        Args:
            samples: On how many samples.
        """
        between = f"{signed(self.value)} {metric_title(self.name)} ({signed(self.low)} to {signed(self.high)})"
        on = f"on the {samples:,} samples that they share"
        if self.value == 0 == self.low == self.high:
            return f"the same {metric_title(self.name)} {on}"
        if not self.sure:
            return f"{between} {on}: that could be chance"
        return f"{'better' if self.better else 'worse'}: {between} {on}"


@dataclass(frozen=True)
class PairedRuns:
    """A run against the first.

    Args:
        letter: Of the run.
        samples: How many samples both were scored on.
        classes: How many classes they share.
        metrics: What changed; empty where nothing can be compared.
        table: One entry a shared class: `name`, `support`, `before`, `after`, `value`, `low`, `high`.
        notes: What is and what is not comparable, clauses without a full stop.
        groups: How many independent groups the samples form.
        unit: What was drawn: `groups` or `samples`.
    """

    letter: str
    samples: int
    classes: int
    metrics: tuple[Difference, ...]
    table: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    groups: int = 0
    unit: str = "groups"


@dataclass(frozen=True)
class CompareContents:
    """Everything the page of a comparison shows.

    Args:
        metric: What the first run's choices maximised.
        runs: The first is what the others are compared with.
        pairs: One entry a run but the first.
        settings: The recipe's keys that differ, each with its value in every run.
    """

    metric: str
    runs: tuple[ComparedRun, ...]
    pairs: tuple[PairedRuns, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]


def compare_page(contents: CompareContents) -> dict[str, Any]:
    """What the template of the page is filled with.

    Args:
        contents: The runs and their differences.
    """
    title = metric_title(contents.metric)
    own = [run.metrics.get(contents.metric) for run in contents.runs]
    scale = nice_scale([one[key] for one in own if one for key in ("value", "low", "high")])
    runs = [_run_row(run, one, scale) for run, one in zip(contents.runs, own, strict=True)]
    names = list(dict.fromkeys(name for run in contents.runs for name in run.metrics))
    return {
        "contents": contents,
        "title": title,
        "meaning": metric_meaning(contents.metric),
        "runs": runs,
        "axis": Markup(axis_strip(scale)),
        "metrics": [
            {"name": metric_title(name), "meaning": metric_meaning(name), "lower": name in LOWER_IS_BETTER,
             "values": [score((run.metrics.get(name) or {}).get("value")) for run in contents.runs]}
            for name in names
        ],
        "pairs": [_pair(pair) for pair in contents.pairs],
        "settings": contents.settings,
    }  # fmt: skip


def _run_row(run: ComparedRun, one: Mapping[str, Any] | None, scale: Scale) -> dict[str, Any]:
    strip = interval_strip(one["value"], one["low"], one["high"], scale, name=run.letter) if one else ""
    return {
        "letter": run.letter, "name": run.name, "place": run.place, "strip": Markup(strip), "kind": run.kind,
        "value": score(one["value"]) if one else "–", "samples": one["samples"] if one else 0,
        "between": f"{score(one['low'])} to {score(one['high'])}" if one else "nothing was scored",
        "groups": one["groups"] if one else 0, "classes": run.classes, "time": duration(run.seconds),
        "memory": "" if run.megabytes is None else f"{run.megabytes:,.0f} MB",
    }  # fmt: skip


def _pair(pair: PairedRuns) -> dict[str, Any]:
    scale = _about_zero([end for one in pair.metrics for end in (one.value, one.low, one.high)])
    strips = [difference_strip(one.value, (one.low, one.high), scale, one.better, one.name) for one in pair.metrics]
    rows = [
        {
            "name": metric_title(one.name), "lower_is_better": one.name in LOWER_IS_BETTER,
            "value": signed(one.value), "between": f"{signed(one.low)} to {signed(one.high)}",
            "verdict": "could be chance" if not one.sure else "better" if one.better else "worse",
            "strip": Markup(strip),
        }
        for one, strip in zip(pair.metrics, strips, strict=True)
    ]  # fmt: skip
    shown = _shown_classes(pair.table)
    classes = _about_zero([row[key] for row in shown for key in ("value", "low", "high")])
    sure = [row for row in shown if _is_sure(row)]
    return {
        "letter": pair.letter, "notes": [f"{note[:1].upper()}{note[1:]}." for note in pair.notes], "rows": rows,
        "axis": Markup(axis_strip(scale)), "sentence": pair.metrics[0].sentence(pair.samples) if pair.metrics else "",
        "samples": pair.samples, "groups": pair.groups, "unit": pair.unit,
        "classes": [_class_row(row, classes) for row in shown], "class_axis": Markup(axis_strip(classes)),
        "left_out": len(pair.table) - len(shown),
        "gained": sum(row["value"] > 0 for row in sure), "lost": sum(row["value"] < 0 for row in sure),
        "by_chance": 0.05 * len([row for row in shown if finite([row["low"]])]),
    }  # fmt: skip


def _class_row(row: dict[str, Any], scale: Scale) -> dict[str, Any]:
    known = bool(finite([row["low"]]))
    strip = difference_strip(row["value"], (row["low"], row["high"]), scale, row["value"] > 0, row["name"])
    return {
        "name": row["name"], "support": row["support"], "before": score(row["before"]), "after": score(row["after"]),
        "value": signed(row["value"]), "strip": Markup(strip) if known else "",
        "between": f"{signed(row['low'])} to {signed(row['high'])}" if known else "too few to say",
        "sure": _is_sure(row), "lost": row["value"] < 0,
    }  # fmt: skip


def _shown_classes(table: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    scored = sorted((row for row in table if row["support"]), key=lambda row: (-abs(row["value"]), row["name"]))
    return scored if len(scored) <= CLASSES_UP_TO else scored[:CHANGED_SHOWN]


def _is_sure(row: dict[str, Any]) -> bool:
    return bool(finite([row["low"]])) and (row["low"] > 0 or row["high"] < 0)


def _about_zero(values: list[float]) -> Scale:
    """A scale with zero in its middle."""
    furthest = max((abs(value) for value in values if math.isfinite(value)), default=0.0) or 0.01
    return nice_scale([-furthest, furthest], count=4)
