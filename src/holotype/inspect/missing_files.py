"""Missing and unused files of a match, after names that differ in case or in the encoding of accents are matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import polars as pl

from holotype.core.errors import pluralize
from holotype.data.uris import normalize_name
from holotype.inspect.file_match import FileMatch, files_of_row, iterate_rows
from holotype.inspect.repair_tables import free_name


def count_missing(file_match: FileMatch, files: tuple[str, ...]) -> FileMatch:
    """Count rows without files and files without rows; other spellings of names are matched first."""
    file_match = _match_spellings(file_match, files)
    present = set(files)
    named: set[str] = set()
    missing: list[str] = []
    absent_rows = 0
    for role, row in iterate_rows(file_match):
        row_files = files_of_row(file_match, row, role)
        absent = [name for name in row_files if name.removeprefix("./") not in present]
        named.update(name.removeprefix("./") for name in row_files)
        absent_rows += bool(absent)
        missing += [name or "an empty cell" for name in absent[: max(0, 3 - len(missing))]]
    unused = present - named
    endings = Counter(PurePosixPath(name).suffix.lower() or "without an ending" for name in unused)
    return replace(
        file_match,
        missing=absent_rows,
        examples_missing=tuple(missing),
        unused=len(unused),
        unused_endings=dict(endings.most_common()),
    )


def _match_spellings(file_match: FileMatch, files: tuple[str, ...]) -> FileMatch:
    present = set(files)
    by_normalized: dict[str, list[str]] = {}
    for path in files:
        by_normalized.setdefault(normalize_name(path), []).append(path)
    unique = {normalized: paths[0] for normalized, paths in by_normalized.items() if len(paths) == 1}
    columns = {
        channel: free_name(f"file_{channel}" if channel else "file", file_match.train, file_match.test)
        for channel in file_match.channels or ("",)
    }
    files_of_role: dict[str, list[list[str]]] = {"train": [], "test": []}
    changed: list[tuple[str, str]] = []
    for role, row in iterate_rows(file_match):
        row_files = [name.removeprefix("./") for name in files_of_row(file_match, row, role)]
        here = [name if name in present else unique.get(normalize_name(name), name) for name in row_files]
        changed += [pair for pair in zip(row_files, here, strict=True) if pair[0] != pair[1]]
        files_of_role[role].append(here)
    if not changed:
        return file_match

    def with_files(table: pl.DataFrame, role: str) -> pl.DataFrame:
        names = zip(columns.values(), zip(*files_of_role[role], strict=True), strict=True)
        return table.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in names)

    question = _describe_spellings(changed)
    return replace(
        file_match,
        pattern=f"{{{next(iter(columns.values()))}}}",
        patterns={channel: f"{{{name}}}" for channel, name in columns.items()} if file_match.channels else {},
        train=with_files(file_match.train, "train"),
        test=None if file_match.test is None else with_files(file_match.test, "test"),
        added_files=(*file_match.added_files, *columns.values()),
        questions=(*file_match.questions, question),
    )


def question_spelling(table: pl.DataFrame, written: str, file_column: str) -> tuple[str, ...]:
    """Ask about files whose names differ from the table in case or in the encoding of accents."""
    pairs = [
        (str(name).replace("\\", "/").rpartition("/")[2], str(here).rpartition("/")[2])
        for name, here in zip(table[written], table[file_column], strict=True)
    ]
    changed = [
        (name, here) for name, here in pairs if name not in here and normalize_name(name) in normalize_name(here)
    ]
    return (_describe_spellings(changed),) if changed else ()


def _describe_spellings(changed: Sequence[tuple[str, str]]) -> str:
    written, called = changed[0]
    return (
        f"Do {pluralize(len(changed), 'file')} belong to the table although names differ in case or in the encoding "
        f"of accents ({written} is {called})? They are used."
    )
