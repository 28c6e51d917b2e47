"""A JSON of COCO's form in place of tables: which files are such, what they say, and which name is the label."""

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

__all__ = ["COCO_COLUMNS", "CocoFiles", "find_coco", "labels_of_json", "ranks_of_json"]

NAME, NUMBER, SEPARATOR = "label", "category_id", "|"
"""The columns of the categories' names and numbers, and what parts several names of an image."""
COCO_COLUMNS = (NAME, NUMBER, *RANKS)
"""The columns that tell of an image's category."""


@dataclass(frozen=True)
class CocoFiles:
    """What JSON files say of images.

    Args:
        train_path: The JSON with the annotations to learn from.
        test_path: The JSON of the images to predict, or None.
        train: A row an image: `id`, `file` (relative to the data folder), `label`, and what else is told.
        test: Likewise, without labels.
        remarks: Sentences for people.
    """

    train_path: Path
    test_path: Path | None
    train: pl.DataFrame
    test: pl.DataFrame | None
    remarks: tuple[str, ...]


def find_coco(folder: Path, json_path: Path | None = None) -> CocoFiles | None:
    """The JSON to learn from and the one to predict, in a folder or in the folders in it.

    Args:
        folder: The data folder; file names become relative to it.
        json_path: The JSON to learn from, if it is known.

    Returns:
        None where no JSON has annotations, or what is given is no JSON of COCO's form.

    Raises:
        DataError: Several could be learnt from, or one is broken.
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
            f"{len(choice)} files of annotations could be learnt from: {names}",
            field=str(folder),
            remedy=f"name one: holotype init {choice[0]}",
        )
    if not choice:
        return None
    tests = [path for path in parts if _is_called(path, folder, "test")]
    rest = [path for path in parts if path not in {*choice, *tests[:1]}]
    remarks = [
        f"{_relative_name(path, folder)}: more annotated images, not used; `external: [...]` would train on them"
        for path in rest
        if "annotations" in parts[path]
    ]
    train = _read_coco(choice[0], folder, labeled=True)
    test = _read_coco(tests[0], folder, labeled=False) if tests else None
    return CocoFiles(choice[0], tests[0] if tests else None, train, test, tuple(remarks))


def labels_of_json(train: pl.DataFrame, submissions: Mapping[str, pl.DataFrame]) -> LabelGuess:
    """The categories' names, or their numbers where a sample submission wants those, and how many images have each.

    Args:
        train: From `find_annotated`.
        submissions: Further tables by name; those called submission count.

    Raises:
        DataError: All images are of one category.
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
            f"every image is of the category {next(iter(counts))!r}; at least two classes are needed", field="DATA"
        )
    kind = "multilabel" if several else "multiclass"
    return LabelGuess(column, kind, separator, counts, train[column].null_count())


def ranks_of_json(train: pl.DataFrame, label: str) -> list[str]:
    """The ranks that categories tell of, from near to far, as far as each lies within the next.

    Args:
        train: From `find_annotated`.
        label: Its column of labels, one an image.
    """
    rank_columns = [name for name in RANKS if name in train.columns and not train[name].null_count()]
    several = [name for name in rank_columns if 1 < train[name].n_unique() < train[label].n_unique()]
    return several if all(nests_in(train, near, far) for near, far in pairwise([label, *several])) else []


def _list_parts(path: Path) -> set[str]:
    """The lists of a JSON of COCO's form; none where it is something else."""
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
