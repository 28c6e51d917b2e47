"""Proposal of a recipe for an inspected folder, with a reason for every guess."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from holotype.core.errors import join_names
from holotype.inspect.answers import Answers
from holotype.inspect.class_names import questions_on_classes
from holotype.inspect.coco import COCO_COLUMNS, labels_of_json
from holotype.inspect.data_warnings import (
    notes_on_columns,
    notes_on_tables,
    question_on_channels,
    question_on_masks,
    questions_on_images,
    questions_on_rows,
    warnings_on_images,
    warnings_on_rows,
)
from holotype.inspect.file_match import files_of_row
from holotype.inspect.groups import GroupGuess, find_domain, find_groups, find_sample
from holotype.inspect.inspect_folder import FolderFindings
from holotype.inspect.labels import POSSIBLE_NAME, LabelGuess, choose_label_column, judge_folder_names, judge_labels
from holotype.inspect.one_hot_labels import find_one_hot_columns, join_one_hot
from holotype.inspect.propose_training import propose_model
from holotype.inspect.repair_tables import SEPARATOR
from holotype.inspect.sections import add_groups, add_sample, add_submission, data_section, unlabeled_table_name

FOLDS = 5
HOLE = r"\{([^{}]+)\}"


@dataclass(frozen=True)
class Proposal:
    """Proposed recipe, not yet confirmed by the user.

    Args:
        content: The recipe; paths of existing files are absolute, tables to be written are plain names.
        reasons: Reason by key path (`data.groups`).
        warnings: Problems that will stop a run or harm its score, as sentences.
    """

    content: dict[str, Any]
    reasons: dict[str, str]
    questions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def propose(findings: FolderFindings, answers: Answers | None = None) -> Proposal:
    """Propose the best recipe that the findings allow.

    `answers`: recipe keys that the user sets; the label column and kind, the groups and the sample are taken from them,
    and their questions are left out.

    Raises DataError if the labels are amounts, dates or free text, or there is no label column.
    """
    answers = Answers({}) if answers is None else answers
    file_match = findings.file_match
    of_channels = {*file_match.added_files, *re.findall(HOLE, " ".join(file_match.patterns.values()))}
    named_by_files = {file_match.id, *of_channels, *re.findall(HOLE, file_match.pattern)}
    paths = {file_match.id, file_match.column, file_match.added or file_match.id, *of_channels}
    paths |= set(COCO_COLUMNS) if findings.layout == "json" else set()
    subfolder = {"subfolder"} if findings.layout == "folders" else set()  # a group, but never the label
    findings, labels, others = _choose_labels(findings, paths | subfolder, answers)
    findings = _separate_unlabeled(findings, labels)
    file_match, column = findings.file_match, labels.column
    counts = sorted(labels.counts.values())
    folds = max(2, min(FOLDS, counts[len(counts) // 2]))  # at most the median class size
    # Test folders do not show plates or patients, so groups cannot be compared with them.
    compared = None if findings.layout == "folders" else file_match.test
    sample = file_match.sample or find_sample(file_match.train, file_match.test, file_match.id, column)
    sample = answers.column("data.sample", file_match.train) if "data.sample" in answers else sample
    paths |= {sample} if sample else set()
    groups = find_groups(file_match.train, compared, paths | {column}, folds)
    groups = answers.groups(file_match.train, groups) if "data.groups" in answers else groups
    if 2 <= groups.components < folds:
        folds = groups.components
    if groups.components < 2:
        groups = GroupGuess((), "", 0, groups.notes)
    domain = find_domain(file_match.train, file_match.test, paths | {column, *groups.columns})

    data, reasons, tables = data_section(findings, labels)
    add_sample(data, reasons, file_match, sample)
    add_groups(data, reasons, groups, domain)
    run_name = re.sub(r"[^A-Za-z0-9_.-]+", "-", findings.folder.name).strip("-_.") or "run"
    content: dict[str, Any] = {"name": run_name, "data": data}
    if findings.trial.unread:
        content["audit"] = {"on_unreadable": "skip"}
        reasons["audit.on_unreadable"] = "skip leaves out the images that cannot be read; stop would refuse to run"
    if folds != FOLDS:
        content["split"] = {"folds": folds}
        reasons["split.folds"] = "limited by the number of groups or of images in the rarer classes; the default is 5"
    model, why = propose_model(findings, labels, folds)
    content["models"] = [model]
    reasons |= {f"models.0.{address}": reason for address, reason in why.items()}
    add_submission(content, reasons, findings, column, sample)

    # Candidates for the label are in the question on it.
    used = {*named_by_files, *paths, column, *others, *groups.columns, *([domain] if domain else [])}
    questions = (
        *answers.open_questions(_question_label(findings, column, others)),
        *labels.questions,
        *findings.questions,
        *answers.open_questions(questions_on_images(findings.trial)),
        *questions_on_classes(_count_written_names(file_match.train[column], labels)),
        *(question_on_masks(file_match.train["file"].to_list()) if findings.layout == "folders" else ()),
        *file_match.questions,
        *(question_on_channels(file_match.channels) if not file_match.patterns else ()),
        *answers.open_questions(questions_on_rows(file_match, sample, groups)),
    )
    unlabeled = "" if findings.unlabeled is None else unlabeled_table_name(findings)
    warnings = (
        *warnings_on_rows(file_match, labels, folds, unlabeled),
        *warnings_on_images(findings.headers),
        *findings.warnings,
    )
    notes = notes_on_columns(file_match, used, groups)
    notes += notes_on_tables(findings, labels, data["labels"].get("taxonomy")) + findings.remarks
    notes += tuple(guess.note(findings.folder, file_match.id, groups.columns) for guess in findings.measurements)
    return Proposal(content, reasons, questions, warnings, tables, notes)


def _choose_labels(
    findings: FolderFindings, taken: set[str], answers: Answers
) -> tuple[FolderFindings, LabelGuess, tuple[str, ...]]:
    file_match = findings.file_match
    if "data.labels.column" in answers:
        column = answers.column("data.labels.column", file_match.train)
        return findings, answers.labels(judge_labels(file_match.train[str(column)], str(column)), file_match.train), ()
    if findings.layout == "json":
        return findings, labels_of_json(file_match.train, findings.others), ()
    test = None if findings.role_column else file_match.test  # both parts of one table have labels
    flags = find_one_hot_columns(file_match.train, test, taken)
    if flags:
        train, labels = join_one_hot(file_match.train, flags)
        return replace(findings, file_match=replace(file_match, train=train)), labels, ()
    column, others = choose_label_column(file_match.train, test, taken)
    if findings.layout == "folders":
        return findings, judge_folder_names(file_match.train[column], column), ()
    several = file_match.joined is not None and file_match.train[column].str.contains(SEPARATOR, literal=True).any()
    labels = judge_labels(file_match.train[column], column, SEPARATOR if several else None)
    return findings, answers.labels(labels, file_match.train), others


def _separate_unlabeled(findings: FolderFindings, labels: LabelGuess) -> FolderFindings:
    """Move rows without a label to a table of their own, because a run refuses them."""
    file_match, column = findings.file_match, labels.column
    if not labels.unlabeled or labels.kind != "multiclass" or findings.layout != "table":
        return findings
    without = file_match.train[column].fill_null("").str.strip_chars() == ""
    rows = file_match.train.filter(without)
    row_files = [files_of_row(file_match, row) for row in rows.iter_rows(named=True)]
    absent = [[name for name in names if not (findings.folder / name).is_file()] for names in row_files]
    names = {name for of_row in absent for name in of_row}
    file_match = replace(
        file_match,
        train=file_match.train.filter(~without),
        missing=file_match.missing - sum(bool(of_row) for of_row in absent),
        examples_missing=tuple(name for name in file_match.examples_missing if name not in names),
    )
    return replace(findings, file_match=file_match, unlabeled=rows.drop(column))


def _question_label(findings: FolderFindings, column: str, others: tuple[str, ...]) -> dict[str, str]:
    if others:
        answer = f"If it is, answer with `--set {shlex.quote(f'data.labels.column={others[0]}')}`."
        return {"data.labels.column": f"Is {column!r} the label? It could also be {join_names(others, 4)}. {answer}"}
    if findings.layout != "table" or column not in findings.file_match.train.columns or POSSIBLE_NAME.search(column):
        return {}
    answer = "If it is another one, answer with `--set data.labels.column=COLUMN`."
    return {"data.labels.column": f"Is {column!r} the label? No column is named label, class or similar. {answer}"}


def _count_written_names(values: pl.Series, labels: LabelGuess) -> dict[str, int]:
    if labels.kind == "multilabel":
        return labels.counts
    labeled_values = values.filter(values.fill_null("").str.strip_chars() != "")
    return dict(labeled_values.value_counts(sort=True).iter_rows())
