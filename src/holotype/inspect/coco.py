"""COCO JSON files as tables: the files with annotations, their rows, and the label column."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.data.coco import RANKS, coco_table
from holotype.inspect.groups import nests_in
from holotype.inspect.labels import LabelGuess, count_classes
from holotype.inspect.tables import is_submission
from holotype.recipe.sections import DataSpec, LabelSpec

NAME, NUMBER, SEPARATOR = "label", "category_id", "|"
"""Columns of the category names and ids, and the separator between several names of an image."""
COCO_COLUMNS = (NAME, NUMBER, *RANKS)
"""Columns that describe the category of an image."""


@dataclass(frozen=True)
class CocoFiles:
    """COCO JSON files of a data folder, as tables.

    Args:
        train: One row per image: `id`, `file` (relative to the data folder), `label`, and further fields.
    """

    train_path: Path
    test_path: Path | None
    train: pl.DataFrame
    test: pl.DataFrame | None
    remarks: tuple[str, ...]


def find_coco(folder: Path, json_path: Path | None = None) -> CocoFiles | None:
    """Find the COCO JSON files for training and test in a folder or its subfolders.

    Returns None if no file has annotations, or `json_path` is not COCO JSON.
    """
    if json_path is not None and json_path.suffix.lower() != ".json":
        return None
    there = {path.resolve() for pattern in ("*.json", "*/*.json") for path in folder.glob(pattern)}
    there |= set() if json_path is None else {json_path}
    parts = {path: lists for path in sorted(there) if (lists := _list_parts(path))}
    if json_path is not None and json_path not in parts:
        return None
    labeled = [path for path, lists in parts.items() if "annotations" in lists and not _is_called(path, folder, "test")]
    called = [path for path in labeled if _is_called(path, folder, "train")]
    choice = [json_path] if json_path is not None else called or labeled
    if len(choice) > 1:
        names = join_names(_relative_name(path, folder) for path in choice)
        raise DataError(
            f"{len(choice)} annotation files could be the training set: {names}",
            field=str(folder),
            remedy=f"name one of them: holotype init {choice[0]}",
        )
    if not choice:
        return None
    tests = [path for path in parts if _is_called(path, folder, "test")]
    rest = [path for path in parts if path not in {*choice, *tests[:1]}]
    remarks = [
        f"{_relative_name(path, folder)}: more annotated images; add the file to `external:` to train on them"
        for path in rest
        if "annotations" in parts[path]
    ]
    train = _read_coco(choice[0], folder, labeled=True)
    test = _read_coco(tests[0], folder, labeled=False) if tests else None
    return CocoFiles(choice[0], tests[0] if tests else None, train, test, tuple(remarks))


def labels_of_json(train: pl.DataFrame, submissions: Mapping[str, pl.DataFrame]) -> LabelGuess:
    """Choose the category names as labels, or the category ids if a sample submission uses them.

    `train`: from `find_coco`; `submissions`: further tables by name; only those named submission count. Raises
    DataError if all images have the same category.
    """
    submission_values = [
        set(table[table.columns[1]]) for name, table in submissions.items() if is_submission(name) and table.width == 2
    ]
    label_names = train[NAME].drop_nulls()
    several = bool(label_names.str.contains(SEPARATOR, literal=True).any())
    numbers = set() if several else set(train[NUMBER])
    column = (
        NUMBER if any(values <= numbers and not values <= set(label_names) for values in submission_values) else NAME
    )
    separator = SEPARATOR if several else None
    counts = count_classes(train[column].drop_nulls(), separator)
    if len(counts) < 2:
        raise DataError(
            f"every image has the category {next(iter(counts))!r}; at least two classes are needed", field="DATA"
        )
    kind = "multilabel" if several else "multiclass"
    return LabelGuess(column, kind, separator, counts, train[column].null_count())


def ranks_of_json(train: pl.DataFrame, label: str) -> list[str]:
    """List the taxonomic ranks of the categories, from near to far; empty if they do not nest.

    `train`: from `find_coco`.
    """
    rank_columns = [name for name in RANKS if name in train.columns and not train[name].null_count()]
    several = [name for name in rank_columns if 1 < train[name].n_unique() < train[label].n_unique()]
    return several if all(nests_in(train, near, far) for near, far in pairwise([label, *several])) else []


def _list_parts(path: Path) -> set[str]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return set()
    is_coco = isinstance(content, dict) and isinstance(content.get("images"), list)
    return {name for name, part in content.items() if isinstance(part, list) and part} if is_coco else set()


def _is_called(path: Path, folder: Path, role: str) -> bool:
    parts = path.relative_to(folder.resolve()).parts
    return any(re.search(rf"(^|[^a-z]){role}", part.lower()) for part in parts)


def _relative_name(path: Path, folder: Path) -> str:
    return path.relative_to(folder.resolve()).as_posix()


def _read_coco(path: Path, folder: Path, labeled: bool) -> pl.DataFrame:
    spec = DataSpec(train=str(path), labels=LabelSpec(kind="multilabel", separator=SEPARATOR))
    table = coco_table(spec, str(path), "DATA", labeled)
    beginning = len(f"{folder.resolve()}/")
    return table.with_columns(pl.col("file").str.slice(beginning)).drop("file_name")
