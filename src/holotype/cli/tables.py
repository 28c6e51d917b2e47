"""Scores, predictions, steps and trials as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from holotype.cli.output import IntervalCell, Table, TextLine
from holotype.core.errors import pluralize
from holotype.core.independence import few_groups_warning

if TYPE_CHECKING:
    from holotype.tuning.study import TrialRecord

MAX_CLASSES = 24
MAX_ROWS = 40
LOWER_IS_BETTER = {"log_loss", "calibration_error"}  # a bar would mislead, because smaller is better


def score_table(scores: Mapping[str, Any]) -> list[Table | TextLine]:
    """Score with its intervals, step effects, and classes. `scores`: content of `scores.json`."""
    if not scores["metrics"]:
        return [TextLine(f"{scores.get('method', 'no score')}.", "note")]
    name, metric = next(iter(scores["metrics"].items()))
    prediction_interval = metric["prediction_interval"]
    warning = few_groups_warning(metric["samples"], metric["groups"])
    first: list[Table | TextLine] = [] if warning is None else [TextLine(warning, "note")]
    rows = [
        (
            name,
            IntervalCell(metric["value"], metric["low"], metric["high"]),
            _format_interval(metric),
            _sample_counts(metric),
        ),
        (
            "a new test set",
            IntervalCell(metric["value"], prediction_interval["low"], prediction_interval["high"]),
            _format_interval(prediction_interval),
            f"{prediction_interval['rows']:,.0f} rows",
        ),
    ]
    others = [
        (
            other,
            entry["value"] if other in LOWER_IS_BETTER else IntervalCell(entry["value"], entry["low"], entry["high"]),
            _format_interval(entry),
            "",
        )
        for other, entry in list(scores["metrics"].items())[1:]
    ]
    below = ""
    if _is_one_interval(metric):
        rows, below = rows[:1], f"The same interval holds for a new test set of {_test_set_size(metric)}."
    head = Table(("", "0 to 1", "95 %", "on"), [*rows, *others], title="Score", below=below)
    steps = [
        (step["step"], IntervalCell(step["value"], step["low"], step["high"]), _format_difference(step["difference"]))
        for step in scores["steps"]
    ]
    step_tables = [Table(("step", "0 to 1", "difference, 95 %"), steps, title="Step effects")] if len(steps) > 1 else []
    return [*first, head, *step_tables, _class_table(scores["classes"])]


def score_lines(scores: Mapping[str, Any]) -> list[str]:
    """Score as one line, after a warning if it rests on one or two independent groups.

    `scores`: content of `scores.json`.
    """
    if not scores["metrics"]:
        return [f"{scores.get('method', 'no score')}"]
    name, metric = next(iter(scores["metrics"].items()))
    warning = few_groups_warning(metric["samples"], metric["groups"])
    line = f"{name} {metric['value']:.3f} on {_sample_counts(metric)}; 95 % interval {_format_interval(metric)}"
    line += (
        f", also for a new test set of {_test_set_size(metric)}"
        if _is_one_interval(metric)
        else (
            f"; a new test set of {_test_set_size(metric)} "
            f"should fall between {_format_interval(metric['prediction_interval']).replace(' to ', ' and ')}"
        )
    )
    return [line] if warning is None else [f"warning: {warning}", line]


def _is_one_interval(metric: Mapping[str, Any]) -> bool:
    """Whether the confidence and the prediction interval read the same."""
    return metric["low"] is not None and _format_interval(metric) == _format_interval(metric["prediction_interval"])


def _test_set_size(metric: Mapping[str, Any]) -> str:
    rows = metric["prediction_interval"]["rows"]
    return "the same size" if rows == metric["samples"] else f"{rows:,.0f} rows"


def prediction_table(table: pl.DataFrame) -> list[Table | TextLine]:
    """First predictions with their probabilities. `table`: from `FittedRun.predict`."""
    lesser = {name for name in table.columns if name.startswith("class_")} - {"class_1"}
    columns = [name for name in table.columns if table[name].dtype in (pl.String, pl.Boolean) and name not in lesser]
    score_columns = [name for name in table.columns if table[name].dtype.is_float()][:1]
    rows: list[tuple[str | IntervalCell, ...]] = [
        (*(_format_value(row[name]) for name in columns), *(IntervalCell(row[name]) for name in score_columns))
        for row in table.head(MAX_ROWS).iter_rows(named=True)
    ]
    more = table.height - len(rows)
    below = f"and {more:,} more; -o FILE.csv writes them all" if more else ""
    return [Table((*columns, *score_columns), rows, title=f"{table.height:,} predictions", below=below)]


def trial_table(trials: Sequence[TrialRecord]) -> list[Table | TextLine]:
    """Trials of a tuning run, the best first."""
    rows = [
        (
            trial.number,
            IntervalCell(trial.score) if trial.score is not None else "",
            trial.epochs,
            trial.state,
            ", ".join(f"{name} {_format_value(value)}" for name, value in trial.drawn.items()),
        )
        for trial in trials
    ]
    return [Table(("trial>", "score", "epochs>", "state", "settings"), rows, title="Trials")]


def _class_table(classes: Sequence[Mapping[str, Any]]) -> Table:
    rows_of_classes, below = list(classes), ""
    if len(classes) > MAX_CLASSES:
        scored = [entry for entry in classes if entry["f1"] is not None]
        rows_of_classes = sorted(scored, key=lambda entry: entry["f1"])[:MAX_CLASSES]
        below = f"the {len(rows_of_classes)} with the lowest F1 of {len(classes):,}; all are in the report"
    rows = [
        (
            entry["name"],
            entry["support"],
            IntervalCell(entry["f1"], entry["low"], entry["high"]),
            entry["precision"],
            entry["recall"],
        )
        for entry in rows_of_classes
    ]
    return Table(("class", "samples>", "F1, 95 %", "precision>", "recall>"), rows, title="Classes", below=below)


def _sample_counts(metric: Mapping[str, Any]) -> str:
    return f"{pluralize(metric['samples'], 'sample')} in {pluralize(metric['groups'], 'independent group')}"


def _format_interval(metric: Mapping[str, Any]) -> str:
    if metric["low"] is None or metric["high"] is None:
        return "unknown" if metric["low"] is None else f"{metric['low']:.3f} or more"
    return f"{metric['low']:.3f} to {metric['high']:.3f}"


def _format_difference(difference: Any) -> str:
    if not isinstance(difference, Mapping):
        return "" if difference is None else f"{difference:+.3f}"
    if difference["low"] is None or difference["high"] is None:
        return f"{difference['value']:+.3f} (unknown)"
    return f"{difference['value']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})"


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
