"""Data sections of a proposed recipe, each with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from holotype.core.errors import join_names
from holotype.data.missing import without_missing
from holotype.inspect.coco import ranks_of_json
from holotype.inspect.file_match import FileMatch
from holotype.inspect.groups import GroupGuess
from holotype.inspect.inspect_folder import FolderFindings
from holotype.inspect.labels import LabelGuess
from holotype.inspect.tables import WRITTEN_MARK, is_submission
from holotype.inspect.taxonomy import find_taxonomy
from holotype.inspect.trial import are_photographs


def data_section(
    findings: FolderFindings, labels: LabelGuess
) -> tuple[dict[str, Any], dict[str, str], dict[str, pl.DataFrame]]:
    """Propose the data section: tables, images and labels.

    Returns the section; reasons by key path; tables to be written, by file name.
    """
    file_match = findings.file_match
    changed = _describe_changes(findings, labels)
    data: dict[str, Any] = {
        "train": _written_table_name(findings.train_path, "train") if changed else str(findings.train_path)
    }
    tables = {data["train"]: file_match.train} if changed else {}
    reasons = {"data.train": f"written next to this recipe from {changed}"} if changed else {}
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
    in_names = ", and part of the file names" if f"{{{file_match.id}}}" in file_match.pattern else ""
    reasons["data.id"] = f"unique in every row{both}{in_names}"
    if findings.layout == "json":
        reasons["data.train"] = "the entries of this file name the images"
    else:
        folder = findings.folder.as_posix().replace("{", "{{").replace("}", "}}")
        data["images"] = f"{folder}/{file_match.pattern}"
        if file_match.patterns:
            data["images"] = {channel: f"{folder}/{pattern}" for channel, pattern in file_match.patterns.items()}
        rows = file_match.train.height + (file_match.test.height if file_match.test is not None else 0)
        fits = rows - file_match.missing
        reasons["data.images"] = f"matches {'' if fits == rows else 'only '}{fits:,} of {rows:,} rows"
    if file_match.channels and not file_match.patterns:
        data["channels"] = list(file_match.channels)
        reasons["data.channels"] = f"the part in which the {len(file_match.channels)} files of an image differ"
    elif are_photographs(findings.headers):
        data["channels"] = ["red", "green", "blue"]
        reasons["data.channels"] = "some images are gray and some are in color, so all are read in color"
    if findings.trial.projection is not None:
        data["projection"] = findings.trial.projection
        reasons["data.projection"] = (
            "each file holds several planes or time points, but a network takes one; or: mean, sum, first, middle"
        )
    data["labels"], reasons["data.labels"] = _make_label_section(findings, labels)
    return data, reasons, tables


def add_sample(data: dict[str, Any], reasons: dict[str, str], file_match: FileMatch, sample: str | None) -> None:
    """Add the sample column to the data section, with its reason."""
    if sample is None:
        return
    data["sample"] = sample
    counted = f"{file_match.train.height:,} images of {file_match.train[sample].n_unique():,} samples"
    why = f"each row has several images ({file_match.added})" if file_match.sample else "the ids begin with it"
    reasons["data.sample"] = f"{why}: {counted}; the images of a sample are scored together; or: null"


def add_groups(data: dict[str, Any], reasons: dict[str, str], groups: GroupGuess, domain: str | None) -> None:
    """Add the group and domain columns to the data section, with their reasons."""
    if groups.columns:
        data["groups"] = list(groups.columns)
        reasons["data.groups"] = f"{groups.reason} ({groups.components} independent sets of rows)"
    else:
        data["groups"] = []
        reasons["data.groups"] = "no column of patients, slides or plates was found; if there is one, write [COLUMN]"
    if domain is not None:
        data["domain"] = domain
        reasons["data.domain"] = "recognized by its name and its few values; every fold gets its share of each value"


def add_submission(
    content: dict[str, Any], reasons: dict[str, str], findings: FolderFindings, label: str, sample: str | None
) -> None:
    """Add the column names of a sample submission to the recipe, if they differ from the tables."""
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
    if findings.layout == "folders":
        return "the folders"
    file_match = findings.file_match
    added = [
        repr(name)
        for name in (file_match.added, labels.column if labels.flags else None, *file_match.added_files)
        if name is not None
    ]
    changes = [f"with {join_names(added)} added"] if added else []
    changes += [f"one row per value of {file_match.joined!r}"] if file_match.joined is not None else []
    changes += ["without the rows that name no image"] if file_match.nameless else []
    changes += ["without the rows that have no label"] if findings.unlabeled is not None else []
    changes += [f"split by {findings.role_column!r}"] if findings.role_column is not None else []
    return ", ".join(["the table", *changes]) if changes else ""


def _written_table_name(source: Path | None, role: str, part: str = "") -> str:
    """File name of a written table, which never equals the one that was read, because both may be in one folder."""
    return f"{role}.csv" if source is None else f"{'.'.join(filter(None, [source.stem, part]))}{WRITTEN_MARK}.csv"


def unlabeled_table_name(findings: FolderFindings) -> str:
    """File name of the table of rows without a label."""
    return _written_table_name(findings.train_path, "train", "unlabeled")


def _make_label_section(findings: FolderFindings, labels: LabelGuess) -> tuple[dict[str, Any], str]:
    section: dict[str, Any] = {"column": labels.column, "kind": labels.kind}
    how, more = "one per sample", ""
    names = list(labels.counts)
    if (findings.layout == "folders" or labels.flags) and without_missing(pl.Series(names))[0].to_list() != names:
        section["classes"] = sorted(names)  # so that NA is a class, and 1.0 differs from 1
    if labels.separator is not None:
        section["separator"] = labels.separator
        how = f"several per sample, separated by {labels.separator!r}"
    elif labels.kind == "multilabel":
        how = "several per sample, in lists"
    ranked = _find_ranks(findings, labels) if labels.kind == "multiclass" else None
    if ranked is not None:
        section["taxonomy"], more = ranked
    (common, highest), *_, (rare, lowest) = [*labels.counts.items()] * 2
    return section, (
        f"{_describe_tables(findings, labels)}: {len(labels.counts)} classes, {how}, "
        f"from {highest:,} images ({common}) to {lowest:,} ({rare}){more}"
    )


def _describe_tables(findings: FolderFindings, labels: LabelGuess) -> str:
    if labels.flags:
        return f"joined from {len(labels.flags)} columns of 0 and 1"
    if findings.layout != "table":
        return "the folder names" if findings.layout == "folders" else f"{labels.column!r} of the categories"
    test = findings.file_match.test
    alone = test is not None and not findings.role_column and labels.column not in test.columns
    return f"column {labels.column!r}" + (", which is not in the test table" if alone else "")


def _find_ranks(findings: FolderFindings, labels: LabelGuess) -> tuple[str | list[str], str] | None:
    """The recipe's `taxonomy` and a description of its source; None if there are no ranks."""
    if findings.layout == "json":
        ranks = ranks_of_json(findings.file_match.train, labels.column)
        return (ranks, _describe_ranks("its entries give", ranks)) if ranks else None
    ranked = find_taxonomy(findings.others, set(labels.counts))
    if ranked is None:
        return None
    return str(findings.folder / ranked[0]), _describe_ranks(f"{ranked[0]} gives", ranked[1])


def _describe_ranks(source: str, ranks: Sequence[str]) -> str:
    return f"; {source} {join_names(ranks)} of each class, so there are scores by rank"
