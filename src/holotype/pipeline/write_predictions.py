"""Prediction files: scores and labels of the samples."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from holotype.audit import describe_training
from holotype.core.run_folder import RunFolder
from holotype.core.table_files import write_table
from holotype.evaluation.metrics import probabilities
from holotype.pipeline.out_of_distribution import TrainingRanges, low_score_threshold, warning_texts
from holotype.pipeline.run_result import RunResult
from holotype.postprocessing.decision import default_labels, label_names, prediction_flag_columns
from holotype.postprocessing.submission import prediction_table, submission_order, submission_table, write_scores
from holotype.recipe.sections import DataSpec, SubmissionSpec
from holotype.types import AnyScores, Calibration, Decision, Integers, LabelMatrix, TopKScores

MAX_CLASSES = 3
MAX_NEAREST = 3
MIN_IMAGES = 10  # fewer images may well be of the same class


def write_predictions(result: RunResult, folder: RunFolder, data: DataSpec, submit: SubmissionSpec) -> None:
    """Write `oof.parquet`, `test.parquet`, `predictions.csv` and `submission.csv`.

    Args:
        data: Names the id and label columns.
    """
    images, fitted, nested = result.prepared.images, result.postprocessing, result.nested
    if fitted.oof is not None and nested is not None:
        samples, logits, decided = fitted.oof.samples, fitted.oof.logits, nested.decided
        write_scores(folder.path("oof.parquet"), _sample_ids(result, samples), logits, decided)
    if fitted.test is not None and fitted.decided is not None:
        samples, logits, decided = fitted.test.samples, fitted.test.logits, fitted.decided
        write_scores(folder.path("test.parquet"), _sample_ids(result, samples), logits)
    elif nested is None:
        return
    names = label_names(decided, images.classes)
    table = predictions_csv_table(
        _sample_ids(result, samples),
        names,
        logits,
        fitted.decision,
        calibration=fitted.calibration,
        separator=submit.separator,
    )
    nearest = _nearest_training_images(result, samples)
    table = table if nearest is None else table.with_columns(nearest)
    table = table.with_columns(_group_and_truth_columns(result, samples, set(table.columns), submit.separator))
    if fitted.test is not None:
        table = table.with_columns(_warning_column(result, samples, logits))
    write_table(table, folder.path("predictions.csv"), byte_order_mark=True)
    if fitted.test is not None:
        id_column, column = submit.id or data.sample or data.id, submit.column or data.labels.column
        ordered_samples = submission_order(images.samples, submit.order, id_column)
        labels_by_sample = dict(
            zip(samples.tolist(), names, strict=True)
        )  # samples with unreadable images have no labels
        filled = [labels_by_sample.get(int(sample), []) for sample in ordered_samples]
        submission = submission_table(images.samples, ordered_samples, filled, id_column, column, submit.separator)
        write_table(submission, folder.path("submission.csv"))


def _group_and_truth_columns(result: RunResult, samples: Integers, taken: set[str], separator: str) -> list[pl.Series]:
    """Group columns; without a test table also fold and true labels."""
    images = result.prepared.images
    frame = images.samples.frame[samples]
    columns = [
        frame[f"group.{name}"].alias(f"group.{name}" if name in taken | {"fold", "true_labels"} else name)
        for name in images.group_names
    ]
    if result.postprocessing.test is None:
        truth = label_names(images.samples.label_matrix(samples), images.classes)
        columns.append(pl.Series("fold", result.prepared.folds.fold_of_sample[samples]))
        columns.append(pl.Series("true_labels", [separator.join(labels) for labels in truth], dtype=pl.String))
    return columns


def _warning_column(result: RunResult, samples: Integers, logits: AnyScores) -> pl.Series:
    """Column `warning`, the same as of `predict`."""
    images, frame = result.prepared.images, result.prepared.statistics.frame
    held_out = result.postprocessing.oof
    score = None if held_out is None else low_score_threshold(held_out.logits, images.kind)
    training_ranges = TrainingRanges(
        images.kind, score, describe_training(frame.filter(images.frame["role"] != "test"))
    )
    readable = frame["error"].is_null().to_numpy()
    rows_of: dict[int, list[int]] = {int(sample): [] for sample in samples}
    for row in images.rows_of_role("test").tolist():
        sample = int(images.sample_numbers[row])
        if sample in rows_of and readable[row]:
            rows_of[sample].append(row)
    return warning_texts(
        training_ranges, logits, [rows_of[int(sample)] for sample in samples], frame, images.channels or ()
    )


def _nearest_training_images(result: RunResult, samples: Integers) -> pl.Series | None:
    """Column `nearest` of each sample's first image, if a model has neighbors."""
    images = result.prepared.images
    tables = [model.nearest for model in result.models if model.nearest.height]
    if not tables:
        return None
    ids = images.frame["id"].cast(pl.String).gather(images.samples.first_rows[samples])
    ids_by_image = dict(tables[0].select("id", "nearest").iter_rows())
    return nearest_column([ids_by_image.get(name) or [] for name in ids])


def nearest_column(nearest: Sequence[Sequence[str]]) -> pl.Series:
    """Column `nearest`: ids of up to three nearest training images.

    They are a JSON list, because an id may hold any character.

    Args:
        nearest: Ids for each sample, nearest first.
    """
    return pl.Series(
        "nearest", [json.dumps(list(names[:MAX_NEAREST]), ensure_ascii=False) for names in nearest], dtype=pl.String
    )


def predictions_csv_table(
    ids: pl.Series,
    names: list[list[str]],
    logits: AnyScores,
    decision: Decision,
    *,
    calibration: Calibration,
    separator: str,
) -> pl.DataFrame:
    """Table of `predictions.csv`.

    Args:
        ids: One per sample.
        names: Decided labels of each sample.
        logits: Shape (n, classes).
        separator: Between labels.
    """
    if isinstance(logits, TopKScores):
        return prediction_table(ids, names, logits, decision.classes, separator)
    class_probabilities = probabilities(logits, decision.kind)
    marks = prediction_flag_columns(calibration, class_probabilities, decision.classes, decision.kind, separator)
    return prediction_table(ids, names, class_probabilities, decision.classes, separator).with_columns(marks)


def describe_decision_effect(result: RunResult) -> str | None:
    """Describe in a sentence how the labels differ from those of the default rule.

    Returns:
        None without test samples, or if the decision is the default rule.
    """
    fitted = result.postprocessing
    if fitted.test is None or fitted.decided is None:
        return None
    baseline, kind = default_labels(fitted.test.logits, fitted.decision.kind), fitted.decision.kind
    before, after = LabelMatrix.from_dense(baseline), LabelMatrix.from_dense(fitted.decided)
    changed = len(np.unique(np.setxor1d(before.flat_indices, after.flat_indices) // before.classes))
    if not changed and fitted.decision.rule in {"argmax", "threshold"}:
        return None
    rule = "thresholds of 0.5" if kind == "multilabel" else "argmax"
    words = f"decision {fitted.decision.rule}: {changed:,} of {len(baseline):,} test samples get other labels than"
    return f"{words} with {rule}{_describe_largest_changes(before.counts(), after.counts(), fitted.decision.classes)}"


def describe_uniform_predictions(result: RunResult) -> str | None:
    """Describe that all predictions of a run are the same: of the test table, else the out-of-fold ones.

    Returns:
        None if they differ, or there are none.
    """
    fitted = result.postprocessing
    decided = fitted.decided
    if fitted.test is None or decided is None:
        if result.nested is None:
            return None
        decided = result.nested.decided
    classes = fitted.decision.classes
    names = label_names(decided, classes)
    return describe_single_label({", ".join(labels) for labels in names}, len(names), len(classes))


def describe_single_label(labels: Collection[str], count: int, class_count: int) -> str | None:
    """Describe that all images were labeled alike.

    Args:
        labels: Distinct predicted labels.
        count: Number of images.
        class_count: Number of classes of the run.

    Returns:
        None if labels differ, or there are few images or one class.
    """
    if len(labels) != 1 or count < MIN_IMAGES or class_count < 2:
        return None
    (label,) = labels
    return f"note: all {count:,} images were labeled {label or 'with no class'}."


def _describe_largest_changes(before: Integers, after: Integers, classes: tuple[str, ...]) -> str:
    most = [number for number in np.argsort(-np.abs(after - before), kind="stable") if after[number] != before[number]]
    parts = [f"{classes[number]} {before[number]:,} to {after[number]:,}" for number in most[:MAX_CLASSES]]
    return f" ({', '.join(parts)})" if parts else ""


def _sample_ids(result: RunResult, samples: Integers) -> pl.Series:
    return result.prepared.images.samples.frame["sample"].gather(samples)
