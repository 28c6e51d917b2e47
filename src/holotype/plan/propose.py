"""From what was found to a recipe, with a reason for everything that was guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from holotype.errors import listing
from holotype.plan.flags import find_flags, joined_flags
from holotype.plan.groups import GroupGuess, find_domain, find_groups, find_sample
from holotype.plan.labels import LabelGuess, choose_label_column, judge_labels
from holotype.plan.look import Findings
from holotype.plan.naming import Naming
from holotype.plan.ranks import find_taxonomy
from holotype.plan.remarks import (
    notes_on_columns,
    notes_on_tables,
    question_on_channels,
    warnings_on_images,
    warnings_on_rows,
)
from holotype.plan.tables import WRITTEN

__all__ = ["FOLDS", "Proposal", "propose", "propose_size"]

FOLDS = 5
SMALLEST, LARGEST, STEP = 64, 224, 32


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
    named_by_files = {naming.id, *re.findall(r"\{([^{}]+)\}", naming.pattern)}
    paths = {naming.id, naming.column, naming.added or naming.id}
    findings, labels, others = _labelled(findings, paths | _not_labels(findings))
    naming, column = findings.naming, labels.column
    folds = _folds(labels)
    compared = naming.test if findings.layout == "table" else None  # test folders say nothing of plates or patients
    sample = naming.sample or find_sample(naming.train, naming.test, naming.id, column)
    paths |= {sample} if sample else set()
    groups = find_groups(naming.train, compared, paths | {column}, folds)
    if 2 <= groups.components < folds:
        folds = groups.components
    if groups.components < 2:
        groups = GroupGuess((), "", 0, groups.notes)
    domain = find_domain(naming.train, naming.test, paths | {column, *groups.columns})

    data, reasons, tables = _data_section(findings, labels)
    _add_sample(data, reasons, naming, sample)
    _add_groups(data, reasons, groups, domain)
    content: dict[str, Any] = {"name": _run_name(findings.folder), "data": data}
    if folds != FOLDS:
        content["split"] = {"folds": folds}
        reasons["split.folds"] = "as many as the groups or the rarer classes can fill; the default is 5"
    size, why = propose_size(findings.headers)
    content["members"] = [{"input": {"size": size}}]
    reasons["members.0.input.size"] = why
    _add_submission(content, reasons, findings, column)

    used = {*named_by_files, *paths, column, *groups.columns, *([domain] if domain else [])}
    meant = (f"Is {column!r} the label? {listing(others, 4)} could be as well.",) if others else ()
    return Proposal(
        content,
        reasons,
        (*meant, *labels.questions, *question_on_channels(naming.channels), *_sample_questions(naming, sample),
         *_group_questions(groups)),
        (*warnings_on_rows(naming, labels, folds), *warnings_on_images(findings.headers)),
        tables,
        (
            *notes_on_columns(naming, used, groups),
            *notes_on_tables(findings, labels, data["labels"].get("taxonomy")),
            *findings.remarks,
        ),
    )


def propose_size(headers: pl.DataFrame) -> tuple[int, str]:
    """The side of the network's input in pixels: the images' longest side, within bounds, and why.

    Args:
        headers: Columns `height` and `width`; where sizes differ, the median of the longer sides counts.
    """
    sides = headers.select(pl.max_horizontal("height", "width")).to_series()
    longest, least, most = (round(float(side)) for side in np.quantile(sides.to_numpy(), (0.5, 0.0, 1.0)))
    size = -(-min(max(longest, SMALLEST), LARGEST) // STEP) * STEP
    seen = f"{longest} px" if least == most else f"{least} to {most} px, mostly about {longest}"
    why = f"the images' longest side is {seen}"
    if longest < SMALLEST:
        why += f"; below {SMALLEST} networks see little"
    elif longest > LARGEST:
        why += f", and {LARGEST} is enough to begin with: more shows more and is slower, twice the side four times"
    elif longest < size:
        why += f", rounded up to a multiple of {STEP}"
    return size, why


def _labelled(findings: Findings, taken: set[str]) -> tuple[Findings, LabelGuess, tuple[str, ...]]:
    """The findings with one column of labels, what that holds, and which other columns it could be."""
    naming = findings.naming
    flags = find_flags(naming.train, naming.test, taken)
    if flags:
        train, labels = joined_flags(naming.train, flags)
        return replace(findings, naming=replace(naming, train=train)), labels, ()
    column, others = choose_label_column(naming.train, naming.test, taken)
    return findings, judge_labels(naming.train[column], column), others


def _not_labels(findings: Findings) -> set[str]:
    """Columns that the folder layout made for itself."""
    return {"subfolder"} if findings.layout == "folders" else set()


def _folds(labels: LabelGuess) -> int:
    """Five, or as many as half of the classes have samples for."""
    counts = sorted(labels.counts.values())
    return max(2, min(FOLDS, counts[len(counts) // 2]))


def _data_section(
    findings: Findings, labels: LabelGuess
) -> tuple[dict[str, Any], dict[str, str], dict[str, pl.DataFrame]]:
    naming = findings.naming
    made = [name for name in (naming.added, labels.column if labels.flags else None) if name is not None]
    rewritten = findings.layout == "folders" or bool(made)
    tables = {}
    data: dict[str, Any] = {"train": _name(findings.train_path, "train") if rewritten else str(findings.train_path)}
    reasons = {}
    if rewritten:
        tables[data["train"]] = naming.train
        added = f"the table, with {listing([repr(name) for name in made])} added"
        what = "the folders" if findings.layout == "folders" else added
        reasons["data.train"] = f"written beside this recipe from {what}"
    if naming.test is not None:
        data["test"] = _name(findings.test_path, "test") if rewritten else str(findings.test_path)
        if rewritten:
            tables[data["test"]] = naming.test
    data["id"] = naming.id
    both = " of both tables" if naming.test is not None else ""
    reasons["data.id"] = f"different in every row{both}" + (
        ", and in the files' names" if f"{{{naming.id}}}" in naming.pattern else ""
    )
    data["images"] = f"{_escaped(findings.folder)}/{naming.pattern}"
    rows = naming.train.height + (naming.test.height if naming.test is not None else 0)
    fits = rows - naming.missing
    reasons["data.images"] = f"{'fits' if fits == rows else 'fits only'} {fits:,} of {rows:,} rows"
    if naming.channels:
        data["channels"] = list(naming.channels)
        reasons["data.channels"] = f"what differs between the {len(naming.channels)} files of one image"
    data["labels"], reasons["data.labels"] = _labels(findings, labels)
    return data, reasons, tables


def _name(source: Path | None, role: str) -> str:
    """What a written table is called: never as the one that was read, which may lie where the recipe will."""
    return f"{role}.csv" if source is None else f"{source.stem}{WRITTEN}.csv"


def _run_name(folder: Path) -> str:
    """The folder's name as far as a run may bear it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name).strip("-_.") or "run"


def _labels(findings: Findings, labels: LabelGuess) -> tuple[dict[str, Any], str]:
    section: dict[str, Any] = {"column": labels.column, "kind": labels.kind}
    where = "the folders' names" if findings.layout == "folders" else f"{labels.column!r}"
    if findings.naming.test is not None and findings.layout == "table":
        where += ", which the test table does not have" if labels.column not in findings.naming.test.columns else ""
    if labels.flags:
        where = f"made of {len(labels.flags)} columns of 0 and 1"
    common, rare = next(iter(labels.counts.items())), list(labels.counts.items())[-1]
    how = "one a sample"
    if labels.separator is not None:
        section["separator"] = labels.separator
        how = f"several a sample, parted by {labels.separator!r}"
    more = ""
    ranked = find_taxonomy(findings.others, set(labels.counts)) if labels.kind == "multiclass" else None
    if ranked is not None:
        section["taxonomy"] = str(findings.folder / ranked[0])
        more = f"; {ranked[0]} gives {listing(ranked[1])} of each, and scores are told by rank"
    return section, (
        f"{where}: {len(labels.counts)} classes, {how}, "
        f"from {common[1]:,} images ({common[0]}) down to {rare[1]:,} ({rare[0]}){more}"
    )


def _add_sample(data: dict[str, Any], reasons: dict[str, str], naming: Naming, sample: str | None) -> None:
    if sample is None:
        return
    data["sample"] = sample
    counted = f"{naming.train.height:,} images of {naming.train[sample].n_unique():,} samples, which are scored as one"
    reasons["data.sample"] = f"the ids begin with it: {counted}"
    if naming.sample:
        reasons["data.sample"] = f"each row of the table has several images ({naming.added}): {counted}"


def _add_groups(data: dict[str, Any], reasons: dict[str, str], groups: GroupGuess, domain: str | None) -> None:
    if groups.columns:
        data["groups"] = list(groups.columns)
        reasons["data.groups"] = f"{groups.reason} ({groups.components} sets of rows)"
    if domain is not None:
        data["domain"] = domain
        reasons["data.domain"] = "its name and its few values; every fold gets its share of each"


def _add_submission(content: dict[str, Any], reasons: dict[str, str], findings: Findings, label: str) -> None:
    """The sample submission's own names, where they differ from the tables'."""
    for name, table in findings.others.items():
        test = findings.naming.test
        if "submission" not in name.lower() or table.width != 2 or test is None:
            continue
        own = dict(zip(("id", "column"), table.columns, strict=True))
        differing = {
            key: value for key, value in own.items() if value != {"id": findings.naming.id, "column": label}[key]
        }
        if differing and set(table[table.columns[0]]) == set(test[findings.naming.id]):
            content["submit"] = differing
            reasons["submit"] = f"the columns of {name}"


def _sample_questions(naming: Naming, sample: str | None) -> tuple[str, ...]:
    if sample is None:
        return ()
    rows = f"rows of one {sample!r}" if naming.added is None else f"the images of one {sample!r} ({naming.added})"
    return (f"Are {rows} views of one sample? They are scored and predicted as one; if not, leave out `sample:`.",)


def _group_questions(groups: GroupGuess) -> tuple[str, ...]:
    if groups.columns:
        return ()
    return ("Do several images come from one patient, slide or plate? No column was found that tells; if so, add one "
            "and name it in `groups:`, or the score will flatter.",)  # fmt: skip


def _escaped(folder: Path) -> str:
    return folder.as_posix().replace("{", "{{").replace("}", "}}")
