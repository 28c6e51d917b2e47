"""Table sources: a table file, a folder for each class, or a COCO JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, join_names
from holotype.data.coco import coco_table
from holotype.data.file_patterns import FILE
from holotype.data.list_files import list_image_files, readable_suffixes
from holotype.data.missing import missing_note, without_missing
from holotype.data.tables import NotedTable, read_noted_table
from holotype.data.uris import is_remote
from holotype.recipe.sections import DataSpec


@dataclass(frozen=True)
class Source:
    """Rows of one role.

    Args:
        frame: All columns as text; missing labels, groups, domains, samples and ranks are null.
        notes: What was guessed or skipped, and how many rows lack a value.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    label_words: Mapping[str, int] = field(default_factory=dict)


def read_noted_source(spec: DataSpec, address: str, field: str, labeled: bool) -> Source:
    """Read the rows of one role, every column as text.

    `spec`: the recipe's `data` section; `labels.classes` lists words that are classes although they look missing;
    `labeled`: whether its rows have labels; a folder to predict has no classes.
    """
    if address.lower().endswith(".json"):
        return tidy_columns(spec, NotedTable(coco_table(spec, address, field, labeled)), field, labels=False)
    if not is_remote(address) and Path(address).is_dir():
        return tidy_columns(spec, NotedTable(folder_table(spec, Path(address), field, labeled)), field, labels=False)
    return tidy_columns(spec, read_noted_table(address, field), field, labels=labeled)


def tidy_columns(spec: DataSpec, table: NotedTable, field: str, labels: bool) -> Source:
    """Make missing values null and whole numbers uniform in every column that the recipe uses."""
    frame, notes = table.frame, list(table.notes)
    label_words: Mapping[str, int] = {}
    effects = dict.fromkeys(spec.groups, "each is a group of its own")
    effects |= {spec.domain: "they have no domain"} if spec.domain else {}
    effects |= {spec.sample: "each is a sample of its own"} if spec.sample else {}
    effects |= dict.fromkeys(spec.labels.taxonomy, "") if isinstance(spec.labels.taxonomy, list) else {}
    for name, effect in effects.items():
        if name in frame.columns and name not in {spec.id, spec.labels.column}:
            column, words = without_missing(frame[name])
            frame = frame.with_columns(column)
            notes += [missing_note(column, words, field, effect)] if effect and column.null_count() else []
    if labels and spec.labels.column in frame.columns and spec.labels.column != spec.id:
        named = spec.labels.classes if isinstance(spec.labels.classes, list) else ()
        column, label_words = without_missing(frame[spec.labels.column], named)
        frame = frame.with_columns(column)
        if spec.labels.kind == "multilabel" and label_words:
            notes.append(missing_note(column, label_words, field, "they have none of the classes"))
    return Source(frame, tuple(notes), label_words)


def folder_table(spec: DataSpec, folder: Path, field: str, labeled: bool) -> pl.DataFrame:
    """List the images below a folder as a table; hidden files and other files are skipped.

    Returns the id (path below the folder without suffix, or with it where two would be equal), the label, `subfolder`
    (path between class and image, or null), and `file` (full path).
    """
    listed = list_image_files(folder)
    files = listed.files
    parts = [path.relative_to(folder).parts for path in files]
    if not files:
        unused = "; ".join(note.rstrip(".") for note in listed.notes())
        what = f"there are no images in the folder {str(folder)!r}" + (f"; {unused}" if unused else "")
        raise DataError(what, field=field, remedy=f"known endings: {', '.join(readable_suffixes())}")
    stray_files = [str(file) for file, names in zip(files, parts, strict=True) if len(names) == 1]
    if labeled and stray_files:
        raise DataError(
            f"{stray_files[0]!r} is in no class folder",
            field=field,
            remedy="put each image into the folder of its class, or name a table of labels",
        )
    full_paths = pl.Series(["/".join(names) for names in parts])
    bare = pl.Series([str(Path(*names).with_suffix("").as_posix()) for names in parts])
    ids = pl.select(pl.when(bare.is_duplicated()).then(full_paths).otherwise(bare)).to_series()
    first = 1 if labeled else 0
    columns = [
        ids.alias(spec.id),
        pl.Series("subfolder", ["/".join(names[first:-1]) or None for names in parts], dtype=pl.String),
        pl.Series(FILE, [str(file) for file in files]),
    ]
    if labeled:
        columns.append(pl.Series(spec.labels.column, [names[0] for names in parts]))
    return pl.DataFrame(columns)


def folder_warnings(spec: DataSpec) -> tuple[str, ...]:
    """Warnings about unused files in folders of images, and about class folders without images."""
    sources = [(spec.train, True), *((path, True) for path in spec.external), (spec.test, False)]
    folders = [(Path(path), labeled) for path, labeled in sources if path and not is_remote(path)]
    notes: list[str] = []
    for folder, labeled in folders:
        if not folder.is_dir():
            continue
        listed = list_image_files(folder)
        notes += [f"In {folder.name}: {note[0].lower()}{note[1:]}" for note in listed.notes()]
        empty = listed.folders_without_images(folder) if labeled else ()
        if empty:
            is_single = len(empty) == 1
            notes.append(
                f"{'The folder' if is_single else 'The folders'} {join_names(empty)} in {folder.name} "
                f"{'holds' if is_single else 'hold'} no images that are read, and "
                f"{'is no class' if is_single else 'are no classes'}."
            )
    return tuple(notes)
