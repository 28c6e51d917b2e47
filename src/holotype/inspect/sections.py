"""The sections of a proposed recipe that say what the data are, each with its reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from holotype.core.errors import join_names
from holotype.data.missing import without_missing
from holotype.inspect.coco import ranks_of_json
from holotype.inspect.groups import GroupGuess
from holotype.inspect.inspect_folder import FolderFindings
from holotype.inspect.labels import LabelGuess
from holotype.inspect.match_files import FileMatch
from holotype.inspect.tables import WRITTEN_MARK, is_submission
from holotype.inspect.taxonomy import find_taxonomy
from holotype.inspect.trial import are_photographs

__all__ = ["add_groups", "add_sample", "add_submission", "data_section", "unlabeled_table_name"]


def data_section(
    findings: FolderFindings, labels: LabelGuess
) -> tuple[dict[str, Any], dict[str, str], dict[str, pl.DataFrame]]:
    """Tables, images and labels.

    Args:
        findings: From `look`, with one column of labels.
        labels: What that holds.

    Returns:
        The section; by address why it says what it says; tables to be written, by file name.
    """
    file_match = findings.file_match
    changed = _describe_changes(findings, labels)
    data: dict[str, Any] = {
        "train": _written_table_name(findings.train_path, "train") if changed else str(findings.train_path)
    }
    tables = {data["train"]: file_match.train} if changed else {}
    reasons = {"data.train": f"written beside this recipe from {changed}"} if changed else {}
    if file_match.test is not None:
        source = findings.train_path if findings.role_column else findings.test_path
        data["test"] = (
            _written_table_name(source, "test", "test" if findings.role_column else "")
            if changed
            else str(findings.test_path)
        )
        tables |= {data["test"]: file_match.test.drop(labels.column, strict=False)} if changed else {}
    if findings.unlabeled is not None:
        tables[unlabeled_table_name(findings)] = findings.unlabeled
    data["id"] = file_match.id
    both = " of both tables" if file_match.test is not None else ""
    reasons["data.id"] = f"different in every row{both}" + (
        ", and in the files' names" if f"{{{file_match.id}}}" in file_match.pattern else ""
    )
    if findings.layout == "json":
        reasons["data.train"] = "its entries name the image files themselves"
    else:
        folder = _escape_braces(findings.folder)
        data["images"] = f"{folder}/{file_match.pattern}"
        if file_match.patterns:
            data["images"] = {channel: f"{folder}/{pattern}" for channel, pattern in file_match.patterns.items()}
        rows = file_match.train.height + (file_match.test.height if file_match.test is not None else 0)
        fits = rows - file_match.missing
        reasons["data.images"] = f"{'fits' if fits == rows else 'fits only'} {fits:,} of {rows:,} rows"
    if file_match.channels and not file_match.patterns:
        data["channels"] = list(file_match.channels)
        reasons["data.channels"] = f"what differs between the {len(file_match.channels)} files of one image"
    elif are_photographs(findings.headers):
        data["channels"] = ["red", "green", "blue"]
        reasons["data.channels"] = "some images are grey and some in colour: so all are read in colour"
    if findings.trial.projection is not None:
        data["projection"] = findings.trial.projection
        reasons["data.projection"] = "each file holds several planes or times, and networks see one"
    data["labels"], reasons["data.labels"] = _make_label_section(findings, labels)
    return data, reasons, tables


def add_sample(data: dict[str, Any], reasons: dict[str, str], file_match: FileMatch, sample: str | None) -> None:
    """Say of which sample the images are.

    Args:
        data: The section, which is added to.
        reasons: By address, likewise.
        file_match: The tables.
        sample: The column, or None.
    """
    if sample is None:
        return
    data["sample"] = sample
    counted = (
        f"{file_match.train.height:,} images of {file_match.train[sample].n_unique():,} samples, which are "
        f"scored as one"
    )
    reasons["data.sample"] = f"the ids begin with it: {counted}"
    if file_match.sample:
        reasons["data.sample"] = f"each row of the table has several images ({file_match.added}): {counted}"


def add_groups(data: dict[str, Any], reasons: dict[str, str], groups: GroupGuess, domain: str | None) -> None:
    """Say what ties samples together, and what their kinds are.

    Args:
        data: The section, which is added to.
        reasons: By address, likewise.
        groups: The columns that no fold may divide.
        domain: The column of the kinds, or None.
    """
    if groups.columns:
        data["groups"] = list(groups.columns)
        reasons["data.groups"] = f"{groups.reason} ({groups.components} sets of rows)"
    if domain is not None:
        data["domain"] = domain
        reasons["data.domain"] = "its name and its few values; every fold gets its share of each"


def add_submission(
    content: dict[str, Any], reasons: dict[str, str], findings: FolderFindings, label: str, sample: str | None
) -> None:
    """Say what a sample submission calls its columns, where that differs from the tables' names.

    Args:
        content: The recipe, which is added to.
        reasons: By address, likewise.
        findings: From `look`.
        label: The column of labels.
        sample: The column of the samples, or None where each image is one.
    """
    identity = sample or findings.file_match.id
    for name, table in findings.others.items():
        test = findings.file_match.test
        if not is_submission(name) or table.width != 2 or test is None:
            continue
        submission_columns = dict(zip(("id", "column"), table.columns, strict=True))
        differing = {
            key: value for key, value in submission_columns.items() if value != {"id": identity, "column": label}[key]
        }
        if differing and set(table[table.columns[0]]) == set(test[identity]):
            content["submission"] = differing
            reasons["submission"] = f"the columns of {name}"


def _describe_changes(findings: FolderFindings, labels: LabelGuess) -> str:
    """What tables have to be written from, and how they differ from it; empty where they stay as they are."""
    if findings.layout == "folders":
        return "the folders"
    file_match = findings.file_match
    added = [
        repr(name)
        for name in (file_match.added, labels.column if labels.flags else None, *file_match.added_files)
        if name is not None
    ]
    changes = [f"with {join_names(added)} added"] if added else []
    changes += [f"one row a value of {file_match.joined!r}"] if file_match.joined is not None else []
    changes += ["without the rows that name no image"] if file_match.nameless else []
    changes += ["without the rows that have no label"] if findings.unlabeled is not None else []
    changes += [f"divided by {findings.role_column!r}"] if findings.role_column is not None else []
    return ", ".join(["the table", *changes]) if changes else ""


def _written_table_name(source: Path | None, role: str, part: str = "") -> str:
    """What a written table is called: never as the one that was read, which may lie where the recipe will."""
    return f"{role}.csv" if source is None else f"{'.'.join(filter(None, [source.stem, part]))}{WRITTEN_MARK}.csv"


def unlabeled_table_name(findings: FolderFindings) -> str:
    """What the table of the rows without a label is called.

    Args:
        findings: From `look`.
    """
    return _written_table_name(findings.train_path, "train", "unlabelled")


def _make_label_section(findings: FolderFindings, labels: LabelGuess) -> tuple[dict[str, Any], str]:
    section: dict[str, Any] = {"column": labels.column, "kind": labels.kind}
    how, more = "one a sample", ""
    names = list(labels.counts)
    if (findings.layout == "folders" or labels.flags) and without_missing(pl.Series(names))[0].to_list() != names:
        section["classes"] = sorted(names)  # so that NA is a class, and 1.0 is not 1
    if labels.separator is not None:
        section["separator"] = labels.separator
        how = f"several a sample, parted by {labels.separator!r}"
    elif labels.kind == "multilabel":
        how = "several a sample, in lists"
    ranked = _find_ranks(findings, labels) if labels.kind == "multiclass" else None
    if ranked is not None:
        section["taxonomy"], more = ranked
    (common, highest), *_, (rare, lowest) = [*labels.counts.items()] * 2
    return section, (
        f"{_describe_tables(findings, labels)}: {len(labels.counts)} classes, {how}, "
        f"from {highest:,} images ({common}) down to {lowest:,} ({rare}){more}"
    )


def _describe_tables(findings: FolderFindings, labels: LabelGuess) -> str:
    if labels.flags:
        return f"made of {len(labels.flags)} columns of 0 and 1"
    if findings.layout != "table":
        return "the folders' names" if findings.layout == "folders" else f"the categories' {labels.column!r}"
    test = findings.file_match.test
    alone = test is not None and not findings.role_column and labels.column not in test.columns
    return f"{labels.column!r}" + (", which the test table does not have" if alone else "")


def _find_ranks(findings: FolderFindings, labels: LabelGuess) -> tuple[str | list[str], str] | None:
    """The recipe's `taxonomy`, and where it comes from in words; None where nothing tells of ranks."""
    if findings.layout == "json":
        ranks = ranks_of_json(findings.file_match.train, labels.column)
        return (
            (ranks, f"; its entries give {join_names(ranks)} of each, and scores are told by rank") if ranks else None
        )
    ranked = find_taxonomy(findings.others, set(labels.counts))
    if ranked is None:
        return None
    return str(
        findings.folder / ranked[0]
    ), f"; {ranked[0]} gives {join_names(ranked[1])} of each, and scores are told by rank"


def _escape_braces(folder: Path) -> str:
    return folder.as_posix().replace("{", "{{").replace("}", "}}")
