"""Image table: rows, labels and roles, read as the recipe's `data` section says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, join_names, pluralize
from holotype.data.class_names import class_name_warnings
from holotype.data.file_patterns import image_files
from holotype.data.labels import class_names, label_numbers, listed_names
from holotype.data.table_sources import read_noted_source
from holotype.data.taxonomy import class_taxonomy
from holotype.recipe.sections import DataSpec
from holotype.types import ImageTable


def read_images(spec: DataSpec) -> ImageTable:
    """Read the training, external and test tables into one image table.

    Raises DataError if a column is missing, an id is repeated, a label is unknown, a table is empty, or images of one
    sample have different labels.
    """
    inputs = [("data.train", "train", spec.train)]
    inputs += [(f"data.external.{number}", "external", path) for number, path in enumerate(spec.external)]
    inputs += [("data.test", "test", spec.test)] if spec.test else []
    if isinstance(spec.labels.classes, str):
        named = spec.labels.model_copy(update={"classes": list(listed_names(spec.labels))})
        spec = spec.model_copy(update={"labels": named})
    sources = [read_noted_source(spec, path, field, role != "test") for field, role, path in inputs]
    words: Counter[str] = Counter()
    for source in sources:
        words.update(source.label_words)
    tables = [(field, role, source.frame) for (field, role, _), source in zip(inputs, sources, strict=True)]
    tables = _make_ids_unique(spec, tables, [path for _, _, path in inputs])
    labeled_rows = pl.concat([table for _, role, table in tables if role != "test"], how="diagonal")
    label_values = pl.concat([_label_column(spec, table, field) for field, role, table in tables if role != "test"])
    classes = class_names(spec.labels, label_values)
    frame = pl.concat([_make_rows(spec, table, role, classes, field, words) for field, role, table in tables])
    _require_distinct_ids(frame, spec.id)
    _require_one_role_per_sample(frame)
    _require_same_labels_in_sample(frame)
    channels = tuple(spec.channels) if spec.channels else None
    notes = tuple(note for source in sources for note in source.notes)
    taxonomy = class_taxonomy(spec.labels, classes, labeled_rows)
    images = ImageTable(frame, classes, spec.labels.kind, channels, taxonomy, spec.projection)
    notes += _missing_group_warnings(spec, tables) + class_name_warnings(images, named=spec.labels.classes is not None)
    return replace(images, notes=notes)


def table_warnings(images: ImageTable) -> tuple[str, ...]:
    """Warnings about a valid table: notes from reading it, constant ranks, classes without rows."""
    warnings = list(images.notes)
    used_classes = set(images.frame["labels"].explode().drop_nulls().unique().to_list())
    unseen = [name for number, name in enumerate(images.classes) if number not in used_classes]
    warnings += [
        f"The {name} is the same for all classes and is left out of scores and predictions by rank."
        for name in images.ranks.constant
    ]
    if unseen:
        which = "the class" if len(unseen) == 1 else "any of the classes"
        warnings += [f"No row has {which} {join_names(unseen)}; nothing can be trained or scored there."]
    return tuple(warnings)


def class_frequencies(spec: DataSpec, path: str, classes: tuple[str, ...]) -> list[float]:
    """Class frequencies (mean count a row) in a table of labels.

    Raises DataError if it cannot be read, or names other classes.
    """
    named = spec.labels.model_copy(update={"classes": list(classes)})
    field = "decision.class_frequencies_from"
    table = read_noted_source(spec.model_copy(update={"labels": named}), path, field, True).frame
    labels = _label_column(spec, table, field)
    numbers = label_numbers(spec.labels, labels, table[spec.id], classes)
    counts = numbers.explode().drop_nulls().value_counts()
    count_of_class = dict(counts.iter_rows())
    return [count_of_class.get(number, 0) / max(table.height, 1) for number in range(len(classes))]


def _make_ids_unique(
    spec: DataSpec, tables: list[tuple[str, str, pl.DataFrame]], paths: list[str]
) -> list[tuple[str, str, pl.DataFrame]]:
    used_ids: set[str] = set()
    unique_tables = []
    for (field, role, table), path in zip(tables, paths, strict=True):
        if "://" not in path and Path(path).is_dir() and not used_ids.isdisjoint(table[spec.id]):
            table = table.with_columns((pl.lit(f"{Path(path).name}/") + pl.col(spec.id)).alias(spec.id))
        if spec.id in table.columns:
            used_ids.update(table[spec.id].drop_nulls())
        unique_tables.append((field, role, table))
    return unique_tables


def _require_column(table: pl.DataFrame, column: str, field: str, source: str) -> pl.Series:
    if column not in table.columns:
        what = f"there is no column {column!r} in the table of {source}"
        doubled = [name for name in table.columns if name.startswith(f"{column} (column ")]
        remedy = (
            f"{len(doubled)} columns of different content have that name; rename one in the file" if doubled else ""
        )
        raise DataError(what, field=field, value=column, allowed=table.columns, remedy=remedy)
    return table[column]


def _label_column(spec: DataSpec, table: pl.DataFrame, source: str) -> pl.Series:
    return _require_column(table, spec.labels.column, "data.labels.column", source).alias("label")


def _missing_group_warnings(spec: DataSpec, tables: list[tuple[str, str, pl.DataFrame]]) -> tuple[str, ...]:
    return tuple(
        f"{field} has no column {name!r}: its rows belong to no group of that kind."
        for field, role, table in tables
        for name in spec.groups
        if role == "external" and name not in table.columns
    )


def _make_rows(
    spec: DataSpec, table: pl.DataFrame, role: str, classes: tuple[str, ...], field: str, words: Mapping[str, int]
) -> pl.DataFrame:
    ids = _require_column(table, spec.id, "data.id", field)
    empty = ids.is_null() | (ids == "")
    if empty.any():
        raise DataError(
            f"no {spec.id!r} in {pluralize(int(empty.sum()), 'row')} of {field}; give every row an id", field="data.id"
        )
    sample = _require_column(table, spec.sample, "data.sample", field) if spec.sample else ids
    if role == "test":
        labels = pl.Series("labels", [None] * table.height, dtype=pl.List(pl.Int64))
    else:
        labels = label_numbers(spec.labels, _label_column(spec, table, field), ids, classes, words)
    columns = {
        "id": ids,
        "sample": sample.fill_null(ids) if spec.sample else ids,
        "role": pl.Series([role] * table.height, dtype=pl.String),
        "files": image_files(spec, table, field, role),
        "labels": labels,
        "domain": _read_optional_column(table, spec.domain, "data.domain", role, field),
    }
    for number, name in enumerate(spec.groups):
        columns[f"group.{name}"] = _read_optional_column(table, name, f"data.groups.{number}", role, field)
    return pl.DataFrame([series.alias(name) for name, series in columns.items()])


def _read_optional_column(table: pl.DataFrame, column: str | None, field: str, role: str, source: str) -> pl.Series:
    if column is None or (role != "train" and column not in table.columns):
        return pl.Series([None] * table.height, dtype=pl.String)
    return _require_column(table, column, field, source)


def _require_distinct_ids(frame: pl.DataFrame, column: str) -> None:
    repeated = frame.filter(pl.col("id").is_duplicated())["id"].unique(maintain_order=True).to_list()
    if repeated:
        raise DataError(
            f"{pluralize(len(repeated), 'id')} more than once, over all tables: {join_names(repeated, 5)}",
            field="data.id",
            remedy=f"make column {column!r} unique, or name the image in `id` and its owner in `sample`",
        )


def _require_one_role_per_sample(frame: pl.DataFrame) -> None:
    mixed = frame.group_by("sample", maintain_order=True).agg(pl.col("role").n_unique()).filter(pl.col("role") > 1)
    if mixed.height:
        raise DataError(
            f"{pluralize(mixed.height, 'sample')} with images in more than one table: "
            f"{join_names(mixed['sample'].to_list(), 5)}",
            field="data.sample",
            remedy="a sample is trained on or predicted, never both",
        )


def _require_same_labels_in_sample(frame: pl.DataFrame) -> None:
    label_text = pl.col("labels").cast(pl.List(pl.String)).list.join(" ")
    labeled_samples = frame.filter(pl.col("role") != "test").group_by("sample", maintain_order=True)
    conflicting = labeled_samples.agg(label_text.n_unique()).filter(pl.col("labels") > 1)
    if conflicting.height:
        raise DataError(
            f"{pluralize(conflicting.height, 'sample')} with images of different labels: "
            f"{join_names(conflicting['sample'].to_list(), 5)}",
            field="data.sample",
            remedy="give all images of a sample the same labels, or leave `sample` out",
        )
