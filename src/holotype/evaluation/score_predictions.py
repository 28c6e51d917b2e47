"""Scores of predictions made by any tool, with the intervals of a run, and paired differences between models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.core.errors import InputError, join_names, pluralize
from holotype.core.independence import components
from holotype.evaluation.metrics import (
    METRICS,
    PairedDifference,
    adjust_p_values,
    bootstrap_intervals,
    classes_without_positives,
    compare_paired,
    is_decision_metric,
    resample_groups,
)
from holotype.evaluation.nested import add_method, metric_names
from holotype.evaluation.prediction_columns import find_columns
from holotype.evaluation.prediction_tables import (
    LabeledPredictions,
    TableSource,
    parse_predictions,
    read_prediction_table,
)
from holotype.evaluation.tables import class_table, difference_table, domain_table, group_table, scorecard_to_json
from holotype.types import Integers, LabelMatrix, SampleTable, Scorecard

METHOD = "the predictions were read from a table, which does not say whether the models were trained on these samples"
MAX_MODELS = 100


@dataclass(frozen=True)
class ScoredModel:
    """Scores of one model.

    Args:
        notes: What was guessed, left out or counted as wrong, in sentences.
    """

    name: str
    scorecard: Scorecard
    notes: tuple[str, ...]

    @property
    def scores(self) -> dict[str, Any]:
        """Content of `scores.json`, in the form of a run."""
        return scorecard_to_json(self.scorecard)


@dataclass(frozen=True)
class ModelComparison:
    """Paired differences of a model from the first one, on the samples of both.

    Args:
        metrics: Difference of each metric.
        adjusted: P-value of each metric, adjusted by Holm for the number of compared models.
        groups: Differences by group value, as in `difference_table`.
        samples: Number of shared samples.
        independent_groups: Number of independent groups that they are in.
        notes: Limits of the comparison, in sentences.
    """

    model: str
    against: str
    metrics: Mapping[str, PairedDifference]
    adjusted: Mapping[str, float]
    groups: list[dict[str, Any]]
    samples: int
    independent_groups: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PredictionScores:
    """Scores of one or several models, each compared with the first.

    Args:
        metric: The first metric of each scorecard.
    """

    metric: str
    models: tuple[ScoredModel, ...]
    comparisons: tuple[ModelComparison, ...]

    @property
    def scores(self) -> dict[str, Any]:
        """Scores of the first model, in the form of a run's `scores.json`."""
        return self.models[0].scores


def score_tables(
    tables: Mapping[str, TableSource] | Sequence[TableSource],
    *,
    label: str | None = None,
    predicted: str | None = None,
    probabilities: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    id_column: str | None = None,
    by: str | None = None,
    metric: str = "macro_f1",
    separator: str | None = None,
    seed: int = 1,
) -> PredictionScores:
    """Score tables of predictions; columns that are not named are roles by their names.

    Args:
        tables: Files or data frames, one per model, by name or named after their files.
        probabilities: Columns, or patterns such as `prob_*`.
        groups: Columns that make samples dependent (plate, patient, cluster of copies); `["none"]` for none.
        by: Column with the name of the model, if one table has the predictions of several.
        separator: Between several labels of a sample.

    Raises:
        InputError: A column is not clear, or the table does not fit.
    """
    frames, columns, names = [], [], []
    for name, table in _name_tables(tables):
        frame, notes = read_prediction_table(table)
        roles = find_columns(
            frame,
            name or "the table",
            label=label,
            predicted=predicted,
            probabilities=probabilities,
            groups=groups,
            id_column=id_column,
            separator=separator,
            taken=[] if by is None else [by],
        )
        roles = replace(roles, notes=(*notes, *roles.notes))
        for model, part in _split_by(frame, by, name):
            frames.append(part)
            columns.append(roles)
            names.append(model)
    _require_unique(names)
    return score_predictions(parse_predictions(frames, columns, names, separator), metric, seed)


def score_predictions(predictions: Sequence[LabeledPredictions], metric: str, seed: int = 1) -> PredictionScores:
    """Score the predictions of each model, and compare the others with the first.

    Raises:
        InputError: The metric is unknown, or needs probabilities that a model lacks.
    """
    allowed = sorted(METRICS)
    if metric not in allowed:
        raise InputError(f"unknown metric {metric!r}", field="--metric", value=metric, allowed=allowed)
    lacking = [model.model for model in predictions if not model.has_probabilities]
    if not is_decision_metric(metric) and lacking:
        raise InputError(
            f"{metric} needs probabilities, which {join_names(lacking, 3)} has not",
            field="--metric",
            remedy="name their columns with --probabilities, or choose a metric of labels such as macro_f1",
        )
    models = tuple(ScoredModel(model.model, _make_scorecard(model, metric, seed), model.notes) for model in predictions)
    return PredictionScores(metric, models, compare_predictions(predictions, metric, seed))


def compare_predictions(
    predictions: Sequence[LabeledPredictions], metric: str, seed: int = 1
) -> tuple[ModelComparison, ...]:
    """Compare each model with the first, on the samples of both and over the same independent groups.

    The p-values of each metric are adjusted for the number of models (Holm 1979). Raises InputError if two models
    share no samples.
    """
    comparisons = [_compare(predictions[0], other, metric, seed) for other in predictions[1:]]
    adjusted: list[dict[str, float]] = [{} for _ in comparisons]
    for name in dict.fromkeys(name for comparison in comparisons for name in comparison.metrics):
        having = [number for number, comparison in enumerate(comparisons) if name in comparison.metrics]
        p_values = adjust_p_values([comparisons[number].metrics[name].p_value for number in having])
        for number, p_value in zip(having, p_values, strict=True):
            adjusted[number][name] = float(p_value)
    return tuple(replace(part, adjusted=values) for part, values in zip(comparisons, adjusted, strict=True))


def _name_tables(tables: Mapping[str, TableSource] | Sequence[TableSource]) -> list[tuple[str, TableSource]]:
    if isinstance(tables, Mapping):
        return list(tables.items())
    names = ["" if isinstance(table, pl.DataFrame) else Path(str(table)).stem for table in tables]
    if len(set(names)) < len(names):
        names = [str(number) if isinstance(table, pl.DataFrame) else str(table) for number, table in enumerate(tables)]
    return list(zip(names, tables, strict=True))


def _split_by(frame: pl.DataFrame, by: str | None, name: str) -> list[tuple[str, pl.DataFrame]]:
    """Parts of a table by the column of models, in the order of first appearance."""
    if by is None:
        return [(name or "predictions", frame)]
    if by not in frame.columns:
        raise InputError(f"the table has no column {by!r}", field="--by", value=by, allowed=frame.columns)
    values = frame[by].unique(maintain_order=True)
    if values.null_count() or len(values) > MAX_MODELS:
        what = "empty cells" if values.null_count() else f"{len(values):,} values, more than {MAX_MODELS}"
        raise InputError(f"the column of models has {what}", field="--by", value=by)
    return [(str(value), frame.filter(pl.col(by) == value)) for value in values]


def _require_unique(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise InputError(f"two models have the same name: {join_names(names)}", remedy="give each its own name")


def _make_scorecard(model: LabeledPredictions, metric: str, seed: int) -> Scorecard:
    scored, groups = model.scored, model.independent_groups()
    resamples = resample_groups(scored.truth, groups, seed)
    metrics = bootstrap_intervals(_metric_names([model], metric), scored, resamples)
    left_out = classes_without_positives(scored.truth, model.classes)
    frame = model.groups.rename({name: f"group.{name}" for name in model.groups.columns})
    rows = np.arange(len(scored.truth))
    labels = SampleTable(frame, rows, model.classes, scored.kind)
    return Scorecard(
        {name: add_method(name, value, METHOD, left_out) for name, value in metrics.items()},
        steps=[],
        classes=class_table(scored, model.classes, resamples),
        groups=group_table(scored, labels, rows, metric),
        domains=domain_table(scored, labels, rows, metric),
    )


def _metric_names(models: Sequence[LabeledPredictions], metric: str) -> list[str]:
    scored = models[0].scored
    names = metric_names(metric, scored.kind, scored.truth.size, scored.truth.shape[1])
    has_probabilities = all(model.has_probabilities for model in models)
    return [name for name in names if has_probabilities or is_decision_metric(name)]


def _compare(first: LabeledPredictions, other: LabeledPredictions, metric: str, seed: int) -> ModelComparison:
    here, there, notes = _shared_rows(first, other)
    shared, counterpart = first.rows(here), other.rows(there)
    changed = _count_relabeled(shared, counterpart)
    if changed:
        notes.append(
            f"{pluralize(changed, 'shared sample')} with another true label in {other.model}: scored by {first.model}'s"
        )
    after = replace(counterpart.scored, truth=shared.scored.truth)
    ties = [*shared.group_ties(), *counterpart.group_ties()]
    groups = components(np.arange(len(here)), ties)
    resamples = resample_groups(shared.scored.truth, groups, seed)
    names = _metric_names([first, other], metric)
    metrics = {name: compare_paired(name, shared.scored, after, resamples) for name in names}
    by_group = difference_table(shared.scored, after, shared.groups, metric)
    compared = {row["column"] for row in by_group}
    notes += [
        f"the column {name!r} has too many values to be compared one by one"
        for name in shared.groups.columns
        if name not in compared and shared.groups[name].null_count() < len(here)
    ]
    return ModelComparison(other.model, first.model, metrics, {}, by_group, len(here), resamples.count, tuple(notes))


def _count_relabeled(first: LabeledPredictions, other: LabeledPredictions) -> int:
    """Number of rows with other true labels."""
    flat = [LabelMatrix.from_dense(model.scored.truth).flat_indices for model in (first, other)]
    return len(np.unique(np.setxor1d(flat[0], flat[1], assume_unique=True) // len(first.classes)))


def _shared_rows(first: LabeledPredictions, other: LabeledPredictions) -> tuple[Integers, Integers, list[str]]:
    """Row numbers of the shared samples, in the order of the first; by order if there are no ids."""
    if first.ids is None or other.ids is None:
        if len(first.scored.truth) != len(other.scored.truth) or _count_relabeled(first, other):
            raise InputError(
                f"{first.model} and {other.model} have no id column, and their rows do not have the same labels in the "
                "same order",
                field="--id",
                remedy="name the column that identifies a sample with --id",
            )
        rows = np.arange(len(first.scored.truth))
        return rows, rows, ["without an id, the rows were matched by their order"]
    frames = [
        pl.DataFrame({"id": model.ids, f"row{side}": np.arange(len(model.ids))})
        for side, model in enumerate((first, other))
        if model.ids is not None
    ]
    joined = frames[0].join(frames[1], on="id", how="inner").sort("row0")
    if not joined.height:
        raise InputError(
            f"{first.model} and {other.model} share no sample", field="--id", remedy="name the column of ids with --id"
        )
    alone = [frame.height - joined.height for frame in frames]
    notes = []
    if any(alone):
        notes.append(
            f"{joined.height:,} samples are shared and compared; {alone[0]:,} only of {first.model} and {alone[1]:,} "
            f"only of {other.model} are not"
        )
    return joined["row0"].to_numpy(), joined["row1"].to_numpy(), notes
