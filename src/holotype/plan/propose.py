"""From what was found to a recipe, with a reason for everything that was guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from holotype.errors import listing
from holotype.plan.remarks import (
    notes_on_columns,
    notes_on_tables,
    question_on_channels,
    questions_on_images,
    questions_on_rows,
    warnings_on_images,
    warnings_on_rows,
)
from holotype.plan.sections import add_groups, add_sample, add_submission, data_section, unlabelled_table_name
from holotype.plan.survey import (
    LESS_SURE,
    SEVERAL,
    TOLD,
    Findings,
    GroupGuess,
    LabelGuess,
    choose_label_column,
    files_of_row,
    find_domain,
    find_flags,
    find_groups,
    find_sample,
    joined_flags,
    judge_folder_names,
    judge_labels,
    labels_of_json,
    questions_on_classes,
)
from holotype.plan.training import propose_member

__all__ = ["FOLDS", "Proposal", "propose"]

FOLDS = 5
HOLE = r"\{([^{}]+)\}"


@dataclass(frozen=True)
class Proposal:
    """A recipe that nobody has confirmed yet.

    Args:
        content: What the YAML holds; paths to existing files are absolute, tables to be written are plain names.
        reasons: Path of a key (`data.groups`) to why it says what it says.
        questions: What a person should decide or confirm, in sentences.
        warnings: What will hurt or stop a run, in sentences.
        tables: Tables to be written beside the recipe, by file name.
        notes: What was seen and is not used, in sentences.
    """

    content: dict[str, Any]
    reasons: dict[str, str]
    questions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def propose(findings: Findings) -> Proposal:
    """Write down the best recipe that the findings allow.

    Args:
        findings: From `look`.

    Raises:
        DataError: The labels are amounts, dates or free text, or there is no label column.
    """
    naming = findings.naming
    of_channels = {*naming.added_files, *re.findall(HOLE, " ".join(naming.patterns.values()))}
    named_by_files = {naming.id, *of_channels, *re.findall(HOLE, naming.pattern)}
    paths = {naming.id, naming.column, naming.added or naming.id, *of_channels}
    paths |= set(TOLD) if findings.layout == "json" else set()
    findings, labels, others = _labelled(findings, paths | _not_labels(findings))
    findings = _without_unlabelled(findings, labels)
    naming, column = findings.naming, labels.column
    folds = _folds(labels)
    compared = None if findings.layout == "folders" else naming.test  # test folders say nothing of plates or patients
    sample = naming.sample or find_sample(naming.train, naming.test, naming.id, column)
    paths |= {sample} if sample else set()
    groups = find_groups(naming.train, compared, paths | {column}, folds)
    if 2 <= groups.components < folds:
        folds = groups.components
    if groups.components < 2:
        groups = GroupGuess((), "", 0, groups.notes)
    domain = find_domain(naming.train, naming.test, paths | {column, *groups.columns})

    data, reasons, tables = data_section(findings, labels)
    add_sample(data, reasons, naming, sample)
    add_groups(data, reasons, groups, domain)
    content: dict[str, Any] = {"name": _run_name(findings.folder), "data": data}
    if findings.trial.unread:
        content["audit"] = {"on_unreadable": "skip"}
        reasons["audit.on_unreadable"] = "leaves out the images that cannot be read; `stop` refuses them"
    if folds != FOLDS:
        content["split"] = {"folds": folds}
        reasons["split.folds"] = "as many as the groups or the rarer classes can fill; the default is 5"
    member, why = propose_member(findings, labels, folds)
    content["members"] = [member]
    reasons |= {f"members.0.{address}": reason for address, reason in why.items()}
    add_submission(content, reasons, findings, column, sample)

    used = {*named_by_files, *paths, column, *groups.columns, *([domain] if domain else [])}
    questions = (
        *_question_on_label(findings, column, others),
        *labels.questions,
        *findings.questions,
        *questions_on_images(findings.trial),
        *questions_on_classes(_written_names(naming.train[column], labels)),
        *naming.questions,
        *(question_on_channels(naming.channels) if not naming.patterns else ()),
        *questions_on_rows(naming, sample, groups),
    )
    unlabelled = "" if findings.unlabelled is None else unlabelled_table_name(findings)
    warnings = (
        *warnings_on_rows(naming, labels, folds, unlabelled),
        *warnings_on_images(findings.headers),
        *findings.warnings,
    )
    notes = notes_on_columns(naming, used, groups)
    notes += notes_on_tables(findings, labels, data["labels"].get("taxonomy")) + findings.remarks
    return Proposal(content, reasons, questions, warnings, tables, notes)


def _labelled(findings: Findings, taken: set[str]) -> tuple[Findings, LabelGuess, tuple[str, ...]]:
    """The findings with one column of labels, what that holds, and which other columns it could be."""
    naming = findings.naming
    if findings.layout == "json":
        return findings, labels_of_json(naming.train, findings.others), ()
    test = None if findings.divided else naming.test  # the other part of one table has labels, too
    flags = find_flags(naming.train, test, taken)
    if flags:
        train, labels = joined_flags(naming.train, flags)
        return replace(findings, naming=replace(naming, train=train)), labels, ()
    column, others = choose_label_column(naming.train, test, taken)
    if findings.layout == "folders":
        return findings, judge_folder_names(naming.train[column], column), ()
    several = naming.joined is not None and naming.train[column].str.contains(SEVERAL, literal=True).any()
    return findings, judge_labels(naming.train[column], column, SEVERAL if several else None), others


def _without_unlabelled(findings: Findings, labels: LabelGuess) -> Findings:
    """The findings with rows that have no label in a table of their own, since a run stops at them."""
    naming, column = findings.naming, labels.column
    if not labels.unlabelled or labels.kind != "multiclass" or findings.layout != "table":
        return findings
    without = naming.train[column].fill_null("").str.strip_chars() == ""
    rows = naming.train.filter(without)
    own = [files_of_row(naming, row) for row in rows.iter_rows(named=True)]
    absent = [[name for name in names if not (findings.folder / name).is_file()] for names in own]
    names = {name for of_row in absent for name in of_row}
    naming = replace(
        naming,
        train=naming.train.filter(~without),
        missing=naming.missing - sum(bool(of_row) for of_row in absent),
        examples_missing=tuple(name for name in naming.examples_missing if name not in names),
    )
    return replace(findings, naming=naming, unlabelled=rows.drop(column))


def _question_on_label(findings: Findings, column: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """Whether the right column was taken for the label, where its name does not say so or others could be meant."""
    if others:
        return (f"Is {column!r} the label? {listing(others, 4)} could be as well.",)
    if findings.layout != "table" or column not in findings.naming.train.columns or LESS_SURE.search(column):
        return ()
    return (f"Is {column!r} the label? No column is called label, class or the like.",)


def _written_names(values: pl.Series, labels: LabelGuess) -> dict[str, int]:
    """How many samples have each class, by the class's name as it is written."""
    if labels.kind == "multilabel":
        return labels.counts
    known = values.filter(values.fill_null("").str.strip_chars() != "")
    return dict(known.value_counts(sort=True).iter_rows())


def _not_labels(findings: Findings) -> set[str]:
    """Columns that the folder layout made for itself."""
    return {"subfolder"} if findings.layout == "folders" else set()


def _folds(labels: LabelGuess) -> int:
    """Five, or as many as half of the classes have samples for."""
    counts = sorted(labels.counts.values())
    return max(2, min(FOLDS, counts[len(counts) // 2]))


def _run_name(folder: Path) -> str:
    """The folder's name as far as a run may bear it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name).strip("-_.") or "run"
