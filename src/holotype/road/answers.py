"""What a run answers: the scores and the labels of the samples to predict, as files."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from holotype.audit import describe_training
from holotype.decide import decide_plainly, label_names, prediction_marks, probabilities
from holotype.road.outcome import Outcome
from holotype.road.unusual import Usual, least_sure, warning_texts
from holotype.runs import RunFolder
from holotype.spec import DataSpec, SubmitSpec
from holotype.submit import prediction_table, submission_order, submission_table, write_scores
from holotype.table_files import write_table
from holotype.types import AnyScores, Calibration, Decision, Integers, LabelMatrix, TopScores

__all__ = ["answer_table", "nearest_column", "what_the_decision_changed", "write_answers"]

CLASSES_NAMED = 3
NEAREST_NAMED = 3


def write_answers(outcome: Outcome, folder: RunFolder, data: DataSpec, submit: SubmitSpec) -> None:
    """Write `oof.parquet`, `test.parquet`, `predictions.csv` and `submission.csv`.

    Args:
        outcome: What the run came to.
        folder: Where to.
        data: Names the id and label columns.
        submit: The form of the submission.
    """
    images, chosen, nested = outcome.prepared.images, outcome.chosen, outcome.nested
    if chosen.together is not None and nested is not None:
        samples, logits, decided = chosen.together.samples, chosen.together.logits, nested.decided
        write_scores(folder.path("oof.parquet"), _ids(outcome, samples), logits, decided)
    if chosen.answer is not None and chosen.decided is not None:
        samples, logits, decided = chosen.answer.samples, chosen.answer.logits, chosen.decided
        write_scores(folder.path("test.parquet"), _ids(outcome, samples), logits)
    elif nested is None:
        return
    names = label_names(decided, images.classes)
    table = answer_table(_ids(outcome, samples), names, logits, chosen.decision, (chosen.calibration, submit.separator))
    named = _nearest(outcome, samples)
    table = table if named is None else table.with_columns(named)
    table = table.with_columns(_known_columns(outcome, samples, set(table.columns), submit.separator))
    if chosen.answer is not None:
        table = table.with_columns(_warnings(outcome, samples, logits))
    write_table(table, folder.path("predictions.csv"), byte_order_mark=True)
    if chosen.answer is not None:
        id_column, column = submit.id or data.sample or data.id, submit.column or data.labels.column
        every = submission_order(images.samples, submit.order, id_column)
        said_of = dict(zip(samples.tolist(), names, strict=True))  # a row whose images cannot be read has no labels
        filled = [said_of.get(int(sample), []) for sample in every]
        submission = submission_table(images.samples, every, filled, id_column, column, submit.separator)
        write_table(submission, folder.path("submission.csv"))


def _known_columns(outcome: Outcome, samples: Integers, taken: set[str], separator: str) -> list[pl.Series]:
    """The groups of some samples; the fold and the true labels too, where those are known."""
    images = outcome.prepared.images
    frame = images.samples.frame[samples]
    columns = [
        frame[f"group.{name}"].alias(f"group.{name}" if name in taken | {"fold", "true_labels"} else name)
        for name in images.group_names
    ]
    if outcome.chosen.answer is None:
        truth = label_names(images.samples.label_matrix(samples), images.classes)
        columns.append(pl.Series("fold", outcome.prepared.folds.fold_of_sample[samples]))
        columns.append(pl.Series("true_labels", [separator.join(own) for own in truth], dtype=pl.String))
    return columns


def _warnings(outcome: Outcome, samples: Integers, logits: AnyScores) -> pl.Series:
    """In which respects the images of some samples are unlike the training images, as `predict` says it."""
    images, frame = outcome.prepared.images, outcome.prepared.statistics.frame
    held_out = outcome.chosen.together
    score = None if held_out is None else least_sure(held_out.logits, images.kind)
    usual = Usual(images.kind, score, describe_training(frame.filter(images.frame["role"] != "test")))
    readable = frame["error"].is_null().to_numpy()
    rows_of: dict[int, list[int]] = {int(sample): [] for sample in samples}
    for row in images.rows_of_role("test").tolist():
        sample = int(images.sample_numbers[row])
        if sample in rows_of and readable[row]:
            rows_of[sample].append(row)
    return warning_texts(usual, logits, [rows_of[int(sample)] for sample in samples], frame, images.channels or ())


def _nearest(outcome: Outcome, samples: Integers) -> pl.Series | None:
    """The nearest specimens of each sample's first image, where a member knows them."""
    images = outcome.prepared.images
    known = [member.nearest for member in outcome.members if member.nearest.height]
    if not known:
        return None
    ids = images.frame["id"].cast(pl.String).gather(images.samples.first_rows[samples])
    near = dict(known[0].select("id", "nearest").iter_rows())
    return nearest_column([near.get(name) or [] for name in ids])


def nearest_column(nearest: Sequence[Sequence[str]]) -> pl.Series:
    """The ids of the nearest specimens as a JSON list, the nearest first, three at most: an id may hold any character.

    Args:
        nearest: One entry a sample.
    """
    return pl.Series(
        "nearest", [json.dumps(list(names[:NEAREST_NAMED]), ensure_ascii=False) for names in nearest], dtype=pl.String
    )


def answer_table(
    ids: pl.Series, names: list[list[str]], logits: AnyScores, decision: Decision, form: tuple[Calibration, str]
) -> pl.DataFrame:
    """What `predictions.csv` holds.

    Args:
        ids: One a sample.
        names: The decided labels of each.
        logits: Shape (n, classes).
        decision: Knows the classes.
        form: The calibration, and what stands between labels.
    """
    calibration, separator = form
    if isinstance(logits, TopScores):
        return prediction_table(ids, names, logits, decision.classes, separator)
    said = probabilities(logits, decision.kind)
    marks = prediction_marks(calibration, said, decision.classes, decision.kind, separator)
    return prediction_table(ids, names, said, decision.classes, separator).with_columns(marks)


def what_the_decision_changed(outcome: Outcome) -> str | None:
    """How the labels differ from those that the plain rule would have given, in one sentence.

    Args:
        outcome: What the run came to.

    Returns:
        None where there is nothing to predict, or where the decision is the plain rule.
    """
    chosen = outcome.chosen
    if chosen.answer is None or chosen.decided is None:
        return None
    plain, kind = decide_plainly(chosen.answer.logits, chosen.decision.kind), chosen.decision.kind
    before, after = LabelMatrix.of(plain), LabelMatrix.of(chosen.decided)
    changed = len(np.unique(np.setxor1d(before.places, after.places) // before.classes))
    if not changed and chosen.decision.rule in {"argmax", "threshold"}:
        return None
    rule = "thresholds of one half" if kind == "multilabel" else "the likeliest class"
    words = f"decision {chosen.decision.rule}: {changed:,} of {len(plain):,} samples to predict get other labels than"
    return f"{words} by {rule}{_changed_most(before.counts(), after.counts(), chosen.decision.classes)}"


def _changed_most(before: Integers, after: Integers, classes: tuple[str, ...]) -> str:
    most = [number for number in np.argsort(-np.abs(after - before), kind="stable") if after[number] != before[number]]
    parts = [f"{classes[number]} {before[number]:,} to {after[number]:,}" for number in most[:CLASSES_NAMED]]
    return f" ({', '.join(parts)})" if parts else ""


def _ids(outcome: Outcome, samples: Integers) -> pl.Series:
    return outcome.prepared.images.samples.frame["sample"].gather(samples)
