"""A run's scores, its data and its answers as tables for a terminal, and its score in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from holotype.errors import counted
from holotype.independence import few_groups_warning
from holotype.plan import TrialRecord
from holotype.terminal import Note, Span, Table

__all__ = ["answer_looks", "score_lines", "score_looks", "stage_looks", "trial_looks"]

CLASSES_AT_MOST = 24
ROWS_AT_MOST = 40
NOT_OF_ONE = {"log_loss", "calibration_error"}  # the smaller the better, so that a bar would mislead


def score_looks(scores: Mapping[str, Any]) -> list[Table | Note]:
    """The score with its interval, what each step bought, and the classes.

    Args:
        scores: Of `scores.json`.
    """
    if not scores["metrics"]:
        return [Note(f"{scores.get('how', 'nothing was scored')}.", "note")]
    name, metric = next(iter(scores["metrics"].items()))
    fresh = metric["next"]
    warning = few_groups_warning(metric["samples"], metric["groups"])
    first: list[Table | Note] = [] if warning is None else [Note(warning, "note")]
    rows = [
        (name, Span(metric["value"], metric["low"], metric["high"]), _range(metric),
         _on(metric)),
        ("a fresh test set", Span(metric["value"], fresh["low"], fresh["high"]), _range(fresh),
         f"{fresh['rows']:,.0f} rows"),
    ]  # fmt: skip
    others = [
        (other, one["value"] if other in NOT_OF_ONE else Span(one["value"], one["low"], one["high"]), _range(one), "")
        for other, one in list(scores["metrics"].items())[1:]
    ]
    head = Table(("", "0 to 1", "95 %", "on"), [*rows, *others], title="Score")
    steps = [
        (step["step"], Span(step["value"], step["low"], step["high"]), _gain(step["difference"]))
        for step in scores["ledger"]
    ]
    ledger = [Table(("step", "0 to 1", "gain, 95 %"), steps, title="What each step bought")] if len(steps) > 1 else []
    return [*first, head, *ledger, _class_table(scores["classes"])]


def score_lines(scores: Mapping[str, Any]) -> list[str]:
    """The score in a line, after a warning where it rests on one or two independent groups.

    Args:
        scores: Of `scores.json`.
    """
    if not scores["metrics"]:
        return [f"{scores.get('how', 'nothing was scored')}"]
    name, metric = next(iter(scores["metrics"].items()))
    warning = few_groups_warning(metric["samples"], metric["groups"])
    line = (
        f"{name} {metric['value']:.3f} on {_on(metric)}; "
        f"95 % interval {_range(metric)}; a fresh test set of {metric['next']['rows']:,.0f} rows "
        f"should fall between {_range(metric['next']).replace(' to ', ' and ')}"
    )
    return [line] if warning is None else [f"warning: {warning}", line]


def answer_looks(table: pl.DataFrame) -> list[Table | Note]:
    """The first answers, each with how likely it is.

    Args:
        table: From `OpenedRun.predict`.
    """
    lesser = {name for name in table.columns if name.startswith("class_")} - {"class_1"}
    shown = [name for name in table.columns if table[name].dtype in (pl.String, pl.Boolean) and name not in lesser]
    sure = [name for name in table.columns if table[name].dtype.is_float()][:1]
    rows: list[tuple[str | Span, ...]] = [
        (*(_word(row[name]) for name in shown), *(Span(row[name]) for name in sure))
        for row in table.head(ROWS_AT_MOST).iter_rows(named=True)
    ]
    more = table.height - len(rows)
    below = f"and {more:,} more; -o FILE.csv writes them all" if more else ""
    return [Table((*shown, *sure), rows, title=f"{table.height:,} predictions", below=below)]


def stage_looks(stages: Sequence[tuple[str, str, str]]) -> list[Table | Note]:
    """What would become of each stage.

    Args:
        stages: Name, state (`kept`, `runs`, `follows`) and words.
    """
    marks = {"kept": "✓", "runs": "▶", "follows": "…"}
    count = sum(state != "kept" for _, state, _ in stages)
    rows = [(marks[state], name, words) for name, state, words in stages]
    return [Table(("", "stage", "what would become of it"), rows),
            Note(f"{count:,} of {len(stages):,} stages would run.", "note" if count else "done")]  # fmt: skip


def trial_looks(trials: Sequence[TrialRecord]) -> list[Table | Note]:
    """The trials of a search, the best first.

    Args:
        trials: In that order.
    """
    rows = [
        (one.number, Span(one.score) if one.score is not None else "", one.epochs, one.state,
         ", ".join(f"{name} {_word(value)}" for name, value in one.drawn.items()))
        for one in trials
    ]  # fmt: skip
    return [Table(("trial>", "score", "epochs>", "state", "settings"), rows, title="Trials")]


def _class_table(classes: Sequence[Mapping[str, Any]]) -> Table:
    """The classes in their order, or of very many the worst."""
    chosen, below = list(classes), ""
    if len(classes) > CLASSES_AT_MOST:
        known = [one for one in classes if one["f1"] is not None]
        chosen = sorted(known, key=lambda one: one["f1"])[:CLASSES_AT_MOST]
        below = f"the {len(chosen)} with the lowest F1 of {len(classes):,}; all are in the report"
    rows = [
        (one["name"], one["support"], Span(one["f1"], one["low"], one["high"]), one["precision"], one["recall"])
        for one in chosen
    ]
    return Table(("class", "samples>", "F1, 95 %", "precision>", "recall>"), rows, title="Classes", below=below)


def _on(metric: Mapping[str, Any]) -> str:
    return f"{counted(metric['samples'], 'sample')} in {counted(metric['groups'], 'independent group')}"


def _range(metric: Mapping[str, Any]) -> str:
    if metric["low"] is None or metric["high"] is None:
        return "unknown" if metric["low"] is None else f"{metric['low']:.3f} or more"
    return f"{metric['low']:.3f} to {metric['high']:.3f}"


def _gain(difference: Any) -> str:
    if not isinstance(difference, Mapping):
        return "" if difference is None else f"{difference:+.3f}"
    if difference["low"] is None or difference["high"] is None:
        return f"{difference['value']:+.3f} (unknown)"
    return f"{difference['value']:+.3f} ({difference['low']:+.3f} to {difference['high']:+.3f})"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
