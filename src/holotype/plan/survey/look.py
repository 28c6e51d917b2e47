"""Look at a folder or a table: which tables, which images, and how the one names the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from holotype.data.reading import TABLE_ENDINGS, read_noted_table
from holotype.data.walk import ImageFiles
from holotype.errors import DataError, listing
from holotype.plan.survey.annotated import Annotated, find_annotated
from holotype.plan.survey.class_names import questions_on_empty_folders
from holotype.plan.survey.files import FileIndex, is_image_name, list_images
from holotype.plan.survey.folders import read_class_folders, repeats_folders
from holotype.plan.survey.mending import divided
from holotype.plan.survey.naming import Naming, name_files
from holotype.plan.survey.tables import (
    SAVE_ANEW,
    list_tables,
    read_table,
    read_with_notes,
    sheets_of,
    sibling_test_table,
    table_name,
    unreadable_tables,
)
from holotype.plan.survey.trial import TrialReading, read_trial
from holotype.table_files import without_sheet

__all__ = ["Findings", "look"]

MOSTLY = 0.5  # of the images that are tried
EXPLAINED = (*TABLE_ENDINGS, ".json", ".yaml", ".yml")
"""Endings of files that are spoken of elsewhere: tables and recipes."""
WRITTEN_FROM_FOLDERS = ("train.csv", "test.csv")
LABEL_TABLES = ("labels", "metadata", "annotations", "data", "samples", "images")


@dataclass(frozen=True)
class Findings:
    """What lies in a folder.

    Args:
        folder: The data folder; image names are relative to it.
        layout: `table`: a table names the images; `folders`: a folder a class; `json`: a JSON of COCO's form does.
        train_path: The training table, or None where the folders are the table.
        test_path: The table of the rows to predict, or None.
        naming: The tables, the id column and the pattern of the image files.
        trial: What came of reading some images.
        others: Further tables by name.
        images: How many image files there are.
        remarks: What else was noticed, in sentences.
        divided: The column by which one table was divided into both, or None.
        warnings: Image files that cannot be used, in sentences.
        questions: What a person should confirm of the folders.
        unlabelled: The rows without a label, where they were taken out of the training table.
        rewritten: Tables that were written from the folders before, and say nothing beyond them.
    """

    folder: Path
    layout: Literal["table", "folders", "json"]
    train_path: Path | None
    test_path: Path | None
    naming: Naming
    trial: TrialReading
    others: dict[str, pl.DataFrame]
    images: int
    remarks: tuple[str, ...] = ()
    divided: str | None = None
    warnings: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    unlabelled: pl.DataFrame | None = None
    rewritten: tuple[Path, ...] = ()

    @property
    def headers(self) -> pl.DataFrame:
        """Of images that were read: `file`, `height`, `width`, `channels`, `bits`, `role`."""
        return self.trial.headers


def look(data: Path) -> Findings:
    """Look at a folder or a table without changing anything.

    Args:
        data: A folder with `train.csv` or a JSON of COCO's form and images below it, or with a folder a class; or a
            table or JSON beside its images.

    Raises:
        DataError: There is nothing to learn from, or the rows cannot be matched with the images.
    """
    data = Path(data)
    if not Path(without_sheet(data)[0]).exists():
        near = [path.name for path in data.parent.glob("*")] if data.parent.is_dir() else []
        raise DataError("no such folder or table", field=str(data), value=data.name, allowed=sorted(near))
    folder = (data if data.is_dir() else data.parent).resolve()
    tables = list_tables(folder)
    given = None if data.is_dir() else data.resolve()
    sheets = [] if given is None else sheets_of(given)
    annotated = None if given is None else find_annotated(folder, given)
    if given is not None and annotated is None:
        read_table(sheets[0])  # what is no table is refused before the images are looked for
    files, listed = list_images(folder)
    rewritten = () if given is not None else _written_from_folders(tables, files, folder)
    tables = [path for path in tables if path not in rewritten]
    if given is None and not any(table_name(path).startswith("train") for path in tables):
        annotated = find_annotated(folder)
    if annotated is not None:
        found = _look_at_json(folder, tables, files, annotated)
    else:
        train_path, unfit = (sheets[0], ()) if len(sheets) == 1 else _training_table(sheets or tables, folder, files)
        if train_path is None and sheets:
            raise DataError(f"no sheet names the images: {'; '.join(unfit)}", field=str(given))
        found = (_look_at_folders(folder, tables, files, unfit, listed) if train_path is None
                 else _look_at_table(folder, train_path, tables, files))  # fmt: skip
    others = {ending: count for ending, count in listed.others.items() if ending not in EXPLAINED}
    unusable = replace(listed, others={}, leftovers={}).notes()
    unused = replace(listed, unread={}, unnamed=(), others=others).notes()
    remarks = (*found.remarks, *unused)
    return replace(found, warnings=(*found.warnings, *unusable), remarks=remarks, rewritten=rewritten)


def _written_from_folders(tables: list[Path], files: tuple[str, ...], folder: Path) -> tuple[Path, ...]:
    """The tables `train.csv` and `test.csv` that an earlier look at the folders wrote; none where one says more."""
    named = {path.name: path for path in tables if path.name in WRITTEN_FROM_FOLDERS}
    if "train.csv" not in named:
        return ()
    try:
        found = read_class_folders(files, folder.name)
        frames = {name: read_noted_table(path, "DATA").frame for name, path in named.items()}
    except DataError:
        return ()
    rows = {"train.csv": found.train} | ({} if found.test is None else {"test.csv": found.test})
    repeated = all(name in rows and repeats_folders(table, rows[name]) for name, table in frames.items())
    return tuple(named.values()) if repeated else ()


def _look_at_table(folder: Path, train_path: Path, tables: list[Path], files: tuple[str, ...]) -> Findings:
    test_path = sibling_test_table(train_path, tables)
    (train, notes), test = read_with_notes(train_path), read_table(test_path) if test_path else None
    _require_header(train, train_path, files)
    column = None
    if test is None and (both := divided(train)) is not None:
        column, train, test = both
    naming = name_files(train, test, files)
    others, remarks = _other_tables([path for path in tables if path not in {train_path, test_path}], folder)
    trial = _trial(folder, naming)
    return Findings(
        folder, "table", train_path, test_path, naming, trial, others, len(files), remarks, column,
        warnings=notes, questions=_questions_on_sheets(train_path, test_path, tables),
    )  # fmt: skip


def _require_header(table: pl.DataFrame, path: Path, files: tuple[str, ...]) -> None:
    """Refuse a table whose first row is of an image, which would be lost as the names of the columns."""
    index = FileIndex(files)
    first = next((name for name in table.columns if is_image_name(name) and index.find(name)), None)
    if first is not None:
        raise DataError(f"the first row of {path.name} names the image {first!r}, and names of columns belong there",
                        field=str(path), remedy="write a row such as `file,label` above it")  # fmt: skip


def _questions_on_sheets(train: Path, test: Path | None, tables: list[Path]) -> tuple[str, ...]:
    """Whether the right sheet of a workbook was taken, where there are others."""
    file, sheet = without_sheet(train)
    others = [str(without_sheet(path)[1]) for path in tables
              if path not in {train, test} and without_sheet(path)[0] == file]  # fmt: skip
    if sheet is None or not others:
        return ()
    return (f"Is the sheet {sheet!r} of {Path(file).name} the table? Its other sheets are not used: "
            f"{listing([repr(name) for name in others], 6)}.",)  # fmt: skip


def _look_at_json(folder: Path, tables: list[Path], files: tuple[str, ...], found: Annotated) -> Findings:
    naming = Naming("id", "file", "{file}", (), found.train, found.test)
    others, remarks = _other_tables(tables, folder)
    trial = _trial(folder, naming)
    remarks = (*found.remarks, *remarks)
    return Findings(folder, "json", found.train_path, found.test_path, naming, trial, others, len(files), remarks)


def _look_at_folders(
    folder: Path, tables: list[Path], files: tuple[str, ...], unfit: tuple[str, ...], listed: ImageFiles
) -> Findings:
    try:
        found = read_class_folders(files, folder.name)
    except DataError as error:
        unreadable = [path.relative_to(folder).as_posix() for path in unreadable_tables(folder)]
        if unreadable:
            what = f"{error.what}; {listing(unreadable, 3)} cannot be read"
            remedy = SAVE_ANEW if len(unreadable) == 1 else SAVE_ANEW.replace("it", "the one with the labels")
            raise DataError(what, field=error.field, remedy=remedy) from None
        what = "; ".join([error.what, *unfit[:3]])
        raise DataError(what, field=error.field, remedy=error.remedy) from None
    naming = Naming("id", "file", found.pattern, found.channels, found.train, found.test)
    others, remarks = _other_tables(tables, folder)
    trial = _trial(folder, naming)
    empty = [name for parent in found.parents for name in listed.folders_without_images(folder / parent)]
    return Findings(
        folder, "folders", None, None, naming, trial, others, len(files), (*found.remarks, *remarks),
        warnings=found.warnings, questions=(*found.questions, *questions_on_empty_folders(empty)),
    )  # fmt: skip


def _training_table(tables: list[Path], folder: Path, files: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    """The table called train; else the only one that names the images; None, and why, where none does."""
    called = [path for path in tables if table_name(path) == "train"]
    called = called or [path for path in tables if table_name(path).startswith("train")]
    if len(called) == 1:
        return called[0], ()
    candidates = called or [path for path in tables if not table_name(path).startswith(("test", "sample_sub"))]
    named = [path for path in candidates if table_name(path) in LABEL_TABLES]
    unfit = {path: _why_not(path, files) for path in named or candidates}
    naming = [path for path, why in unfit.items() if not why]
    if len({without_sheet(path)[0] for path in naming}) > 1:
        raise DataError(
            f"{len(naming)} tables could hold the labels: "
            f"{listing(path.relative_to(folder).as_posix() for path in naming)}",
            field=str(folder),
            remedy=f"name the one to learn from: holotype new {naming[0]}",
        )
    return (naming[0] if naming else None), tuple(f"{path.name}: {why}" for path, why in unfit.items())


def _why_not(path: Path, files: tuple[str, ...]) -> str:
    """Why a table does not name the images; empty where it does."""
    try:
        name_files(read_table(path), None, files)
    except DataError as error:
        return error.what
    return ""


def _other_tables(paths: list[Path], folder: Path) -> tuple[dict[str, pl.DataFrame], tuple[str, ...]]:
    tables, remarks = {}, []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            tables[name] = read_table(path)
        except DataError as error:
            remarks.append(f"{name} was left alone: {error.what}")
    return tables, tuple(remarks)


def _trial(folder: Path, naming: Naming) -> TrialReading:
    """A trial reading of images; refused where most of them cannot be read."""
    trial = read_trial(folder, naming)
    if trial.tried == 0:
        raise DataError(f"no row of the table has all its image files; {naming.missing:,} lack one",
                        field=str(folder), remedy=f"the first is {listing(naming.examples_missing, 1)}")  # fmt: skip
    if trial.unread and len(trial.unread) > MOSTLY * trial.tried:
        raise DataError(trial.unread_in_words(), field=str(folder))
    return trial
