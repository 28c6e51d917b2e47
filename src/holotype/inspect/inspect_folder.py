"""Inspection of a data folder or table: its tables, its images, and how rows are matched to files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.core.table_files import strip_sheet_name
from holotype.data.list_files import ImageFiles
from holotype.data.tables import TABLE_SUFFIXES, read_noted_table
from holotype.inspect.class_names import questions_on_empty_folders
from holotype.inspect.coco import CocoFiles, find_coco
from holotype.inspect.file_match import FileMatch
from holotype.inspect.files import FileIndex, is_image_name, list_images
from holotype.inspect.folders import read_class_folders, repeats_folders
from holotype.inspect.labels import NAMES
from holotype.inspect.match_files import match_rows_to_files
from holotype.inspect.measurement_tables import MeasurementGuess, find_measurements
from holotype.inspect.repair_tables import split_by_role
from holotype.inspect.tables import (
    SAVE_ANEW,
    list_tables,
    read_table,
    read_with_notes,
    sheets_of,
    sibling_test_table,
    table_name,
    unreadable_tables,
)
from holotype.inspect.trial import TrialReading, read_trial

MOSTLY = 0.5  # share of unreadable images from which a folder is refused
EXPLAINED = (*TABLE_SUFFIXES, ".json", ".yaml", ".yml")
"""Extensions of files that other notes report: tables and recipes."""
WRITTEN_FROM_FOLDERS = ("train.csv", "test.csv")
LABEL_TABLES = ("labels", "metadata", "annotations", "data", "samples", "images")


@dataclass(frozen=True)
class FolderFindings:
    """Folder findings: tables, images and their match.

    Args:
        layout: `table` (a table names the images), `folders` (a folder per class) or `json` (a COCO JSON file).
        train_path: The training table; None for class folders.
        role_column: Column that splits one table into training and test rows, if any.
        unlabeled: Rows without a label that were removed from the training table.
        rewritten: Tables written from the folders earlier, without further information.
        measurements: Tables of measurements.
    """

    folder: Path
    layout: Literal["table", "folders", "json"]
    train_path: Path | None
    test_path: Path | None
    file_match: FileMatch
    trial: TrialReading
    others: dict[str, pl.DataFrame]
    images: int
    remarks: tuple[str, ...] = ()
    role_column: str | None = None
    warnings: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    unlabeled: pl.DataFrame | None = None
    rewritten: tuple[Path, ...] = ()
    measurements: tuple[MeasurementGuess, ...] = ()

    @property
    def headers(self) -> pl.DataFrame:
        """Headers of the images that were read: `file`, `height`, `width`, `channels`, `bits`, `role`."""
        return self.trial.headers


def inspect_folder(data: Path) -> FolderFindings:
    """Inspect a folder or a table without changing anything.

    `data`: a folder with `train.csv` or COCO JSON and images below it, a folder with a subfolder per class, or a table
    or JSON file next to its images. Raises DataError if there is no training data, or rows cannot be matched to images.
    """
    data = Path(data)
    if not Path(strip_sheet_name(data)[0]).exists():
        raise DataError("no such folder or table", field=str(data), value=data.name, allowed=_choices(data.parent))
    folder = (data if data.is_dir() else data.parent).resolve()
    tables = list_tables(folder)
    file_path = None if data.is_dir() else data.resolve()
    sheets = [] if file_path is None else sheets_of(file_path)
    annotated = None if file_path is None else find_coco(folder, file_path)
    if file_path is not None and annotated is None:
        read_table(sheets[0])  # refuse a file that is not a table before listing the images
    files, listed = list_images(folder)
    rewritten = () if file_path is not None else _written_from_folders(tables, files, folder)
    measurements = find_measurements(folder, [path for path in tables if path not in {file_path, *rewritten}])
    measured = {path for guess in measurements for path in guess.tables}
    tables = [path for path in tables if path not in rewritten]
    tables = [path for path in tables if path not in measured] or tables
    if file_path is None and not any(table_name(path).startswith("train") for path in tables):
        annotated = find_coco(folder)
    if annotated is not None:
        findings = _inspect_json(folder, tables, files, annotated)
    else:
        train_path, unfit = (
            (sheets[0], ()) if len(sheets) == 1 else _find_training_table(sheets or tables, folder, files)
        )
        if train_path is None and sheets:
            raise DataError(f"no sheet names the images: {'; '.join(unfit)}", field=str(file_path))
        findings = (
            _inspect_class_folders(folder, tables, files, unfit, listed)
            if train_path is None
            else _inspect_table(folder, train_path, tables, files)
        )
    others = {ending: count for ending, count in listed.others.items() if ending not in EXPLAINED}
    unusable = replace(listed, others={}, leftovers={}).notes()
    unused = replace(listed, unread={}, unnamed=(), others=others).notes()
    remarks = (*findings.remarks, *unused)
    measurements = tuple(guess for guess in measurements if findings.train_path not in guess.tables)
    return replace(
        findings,
        warnings=(*findings.warnings, *unusable),
        remarks=remarks,
        rewritten=rewritten,
        measurements=measurements,
    )


def _choices(folder: Path) -> list[str]:
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith((".", "~$"))]
    except OSError:
        return []
    return sorted(path.name for path in paths if path.is_dir() or path.suffix.lower() in (*TABLE_SUFFIXES, ".json"))


def _written_from_folders(tables: list[Path], files: tuple[str, ...], folder: Path) -> tuple[Path, ...]:
    """`train.csv` and `test.csv` if they were written from the folders earlier and not changed since."""
    named = {path.name: path for path in tables if path.name in WRITTEN_FROM_FOLDERS}
    if "train.csv" not in named:
        return ()
    try:
        class_folders = read_class_folders(files, folder.name)
        frames = {name: read_noted_table(path, "DATA").frame for name, path in named.items()}
    except DataError:
        return ()
    rows = {"train.csv": class_folders.train} | ({} if class_folders.test is None else {"test.csv": class_folders.test})
    repeated = all(name in rows and repeats_folders(table, rows[name]) for name, table in frames.items())
    return tuple(named.values()) if repeated else ()


def _inspect_table(folder: Path, train_path: Path, tables: list[Path], files: tuple[str, ...]) -> FolderFindings:
    test_path = sibling_test_table(train_path, tables)
    (train, notes), test = read_with_notes(train_path), read_table(test_path) if test_path else None
    _require_header(train, train_path, files)
    column = None
    if test is None and (both := split_by_role(train)) is not None:
        column, train, test = both
    file_match = match_rows_to_files(train, test, files)
    questions = _questions_on_sheets(train_path, test_path, tables)
    tables = [path for path in tables if path not in {train_path, test_path}]
    findings = _make_findings(folder, "table", tables, files, file_match, train_path, test_path)
    return replace(findings, role_column=column, warnings=notes, questions=questions)


def _require_header(table: pl.DataFrame, path: Path, files: tuple[str, ...]) -> None:
    index = FileIndex(files)
    first = next((name for name in table.columns if is_image_name(name) and index.find(name)), None)
    if first is not None:
        raise DataError(
            f"the first row of {path.name} names the image {first!r} instead of the columns",
            field=str(path),
            remedy="insert a row such as `file,label` above it",
        )


def _questions_on_sheets(train: Path, test: Path | None, tables: list[Path]) -> tuple[str, ...]:
    file, sheet = strip_sheet_name(train)
    others = [
        str(strip_sheet_name(path)[1])
        for path in tables
        if path not in {train, test} and strip_sheet_name(path)[0] == file
    ]
    if sheet is None or not others:
        return ()
    return (
        f"Is {sheet!r} the right sheet of {Path(file).name}? Its other sheets are not used: "
        f"{join_names([repr(name) for name in others], 6)}.",
    )


def _inspect_json(folder: Path, tables: list[Path], files: tuple[str, ...], coco: CocoFiles) -> FolderFindings:
    file_match = FileMatch("id", "file", "{file}", (), coco.train, coco.test)
    findings = _make_findings(folder, "json", tables, files, file_match, coco.train_path, coco.test_path)
    return replace(findings, remarks=(*coco.remarks, *findings.remarks))


def _inspect_class_folders(
    folder: Path, tables: list[Path], files: tuple[str, ...], unfit: tuple[str, ...], listed: ImageFiles
) -> FolderFindings:
    try:
        class_folders = read_class_folders(files, folder.name)
    except DataError as error:
        unreadable = [path.relative_to(folder).as_posix() for path in unreadable_tables(folder)]
        if unreadable:
            what = f"{error.what}; {join_names(unreadable, 3)} cannot be read"
            remedy = SAVE_ANEW if len(unreadable) == 1 else SAVE_ANEW.replace("it", "the one with the labels")
            raise DataError(what, field=error.field, remedy=remedy) from None
        what = "; ".join([error.what, *unfit[:3]])
        raise DataError(what, field=error.field, remedy=error.remedy) from None
    file_match = FileMatch(
        "id", "file", class_folders.pattern, class_folders.channels, class_folders.train, class_folders.test
    )
    findings = _make_findings(folder, "folders", tables, files, file_match)
    empty = [name for parent in class_folders.parents for name in listed.folders_without_images(folder / parent)]
    questions = (*class_folders.questions, *questions_on_empty_folders(empty))
    remarks = (*class_folders.remarks, *findings.remarks)
    return replace(findings, remarks=remarks, warnings=class_folders.warnings, questions=questions)


def _find_training_table(
    tables: list[Path], folder: Path, files: tuple[str, ...]
) -> tuple[Path | None, tuple[str, ...]]:
    called = [path for path in tables if table_name(path) == "train"]
    called = called or [path for path in tables if table_name(path).startswith("train")]
    if len(called) == 1:
        return called[0], ()
    candidates = called or [path for path in tables if not table_name(path).startswith(("test", "sample_sub"))]
    named = [path for path in candidates if table_name(path) in LABEL_TABLES]
    unfit = {path: _explain_mismatch(path, files) for path in named or candidates}
    file_match = [path for path, why in unfit.items() if not why]
    typical = [path for path in file_match if {name.lower() for name in read_table(path).columns} & {*NAMES}]
    if len(typical) == 1 and len(file_match) > 1:  # the others are tables of metadata
        return typical[0], ()
    if len({strip_sheet_name(path)[0] for path in file_match}) > 1:
        raise DataError(
            f"{len(file_match)} tables could hold the labels: "
            f"{join_names(path.relative_to(folder).as_posix() for path in file_match)}",
            field=str(folder),
            remedy=f"name one of them: holotype init {file_match[0]}",
        )
    return (file_match[0] if file_match else None), tuple(f"{path.name}: {why}" for path, why in unfit.items())


def _explain_mismatch(path: Path, files: tuple[str, ...]) -> str:
    table = read_table(path)
    try:
        file_match = match_rows_to_files(table, None, files)
    except DataError as error:
        return error.what
    if not {name for name in table.columns if table[name].n_unique() > 1} - {file_match.id, file_match.column}:
        return "no column could hold the labels"
    return ""


def _make_findings(
    folder: Path,
    layout: Literal["table", "folders", "json"],
    other_tables: list[Path],
    files: tuple[str, ...],
    file_match: FileMatch,
    *paths: Path | None,
) -> FolderFindings:
    others, remarks = {}, []
    for path in other_tables:
        name = path.relative_to(folder).as_posix()
        try:
            others[name] = read_table(path)
        except DataError as error:
            remarks.append(f"{name} was ignored: {error.what}")
    trial = read_trial(folder, file_match)
    if trial.tried == 0:
        raise DataError(
            f"no row of the table has all its image files; they are missing for {file_match.missing:,} rows",
            field=str(folder),
            remedy=f"add the missing files, such as {join_names(file_match.examples_missing, 1)}",
        )
    if trial.unread and len(trial.unread) > MOSTLY * trial.tried:
        raise DataError(trial.describe_unread(), field=str(folder))
    train_path, test_path = paths or (None, None)
    return FolderFindings(folder, layout, train_path, test_path, file_match, trial, others, len(files), tuple(remarks))
