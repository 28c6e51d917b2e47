"""Tables of rows, labels and roles: from `DataSpec` to `ImageTable`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from holotype.data.class_names import class_name_warnings
from holotype.data.labels import class_names, label_numbers, listed_names
from holotype.data.layouts import image_files
from holotype.data.sources import read_noted_source, read_source
from holotype.data.taxonomy import class_taxonomy
from holotype.errors import DataError, counted, listing
from holotype.spec import DataSpec
from holotype.types import ImageTable

__all__ = ["label_shares", "read_images", "table_warnings"]


def read_images(spec: DataSpec) -> ImageTable:
    """One row an image, of all roles: the training table, the external ones, the test table.

    Args:
        spec: The recipe's `data` section, its paths absolute.

    Raises:
        DataError: A column is missing, an id stands twice, a label is unknown, a table is empty, or images of
            one sample have different labels.
    """
    wanted = [("data.train", "train", spec.train)]
    wanted += [(f"data.external.{number}", "external", path) for number, path in enumerate(spec.external)]
    wanted += [("data.test", "test", spec.test)] if spec.test else []
    if isinstance(spec.labels.classes, str):
        named = spec.labels.model_copy(update={"classes": list(listed_names(spec.labels))})
        spec = spec.model_copy(update={"labels": named})
    sources = [read_noted_source(spec, path, field, role != "test") for field, role, path in wanted]
    words: Counter[str] = Counter()
    for source in sources:
        words.update(source.label_words)
    tables = [(field, role, source.frame) for (field, role, _), source in zip(wanted, sources, strict=True)]
    tables = _told_apart(spec, tables, [path for _, _, path in wanted])
    known = pl.concat([table for _, role, table in tables if role != "test"], how="diagonal")
    labelled = pl.concat([_label_column(spec, table, field) for field, role, table in tables if role != "test"])
    classes = class_names(spec.labels, labelled)
    frame = pl.concat([_rows(spec, table, role, classes, field, words) for field, role, table in tables])
    _ids_are_distinct(frame, spec.id)
    _samples_have_one_role(frame)
    _samples_have_one_set_of_labels(frame)
    channels = tuple(spec.channels) if spec.channels else None
    notes = tuple(note for source in sources for note in source.notes)
    taxonomy = class_taxonomy(spec.labels, classes, known)
    images = ImageTable(frame, classes, spec.labels.kind, channels, taxonomy, spec.projection)
    notes += _groups_lacking(spec, tables) + class_name_warnings(images, named=spec.labels.classes is not None)
    return replace(images, notes=notes)


def table_warnings(images: ImageTable) -> tuple[str, ...]:
    """What is odd about a table without being wrong, in sentences.

    Args:
        images: The table.
    """
    said = list(images.notes)
    seen = set(images.frame["labels"].explode().drop_nulls().unique().to_list())
    unseen = [name for number, name in enumerate(images.classes) if number not in seen]
    said += [f"The {name} is the same for all classes, and is left out of scores and answers by rank."
            for name in images.ranks.alike]  # fmt: skip
    if unseen:
        which = "the class" if len(unseen) == 1 else "any of the classes"
        said += [f"No row has {which} {listing(unseen)}; nothing can be learnt or scored there."]
    return tuple(said)


def label_shares(spec: DataSpec, path: str, classes: tuple[str, ...]) -> list[float]:
    """How often each class comes in a table of labels, a row.

    Args:
        spec: The recipe's `data` section.
        path: A table with its label column.
        classes: The class names in order.

    Raises:
        DataError: It cannot be read, or names other classes.
    """
    named = spec.labels.model_copy(update={"classes": list(classes)})
    table = read_source(spec.model_copy(update={"labels": named}), path, "decide.like", True)
    labels = _label_column(spec, table, "decide.like")
    numbers = label_numbers(spec.labels, labels, table[spec.id], classes)
    counts = numbers.explode().drop_nulls().value_counts()
    found = dict(counts.iter_rows())
    return [found.get(number, 0) / max(table.height, 1) for number in range(len(classes))]


def _told_apart(
    spec: DataSpec, tables: list[tuple[str, str, pl.DataFrame]], paths: list[str]
) -> list[tuple[str, str, pl.DataFrame]]:
    """Ids of folders that another table has already take the folder's name before them."""
    seen: set[str] = set()
    apart = []
    for (field, role, table), path in zip(tables, paths, strict=True):
        if "://" not in path and Path(path).is_dir() and not seen.isdisjoint(table[spec.id]):
            table = table.with_columns((pl.lit(f"{Path(path).name}/") + pl.col(spec.id)).alias(spec.id))
        if spec.id in table.columns:
            seen.update(table[spec.id].drop_nulls())
        apart.append((field, role, table))
    return apart


def _column(table: pl.DataFrame, column: str, field: str, source: str) -> pl.Series:
    if column not in table.columns:
        what = f"there is no column {column!r} in the table of {source}"
        doubled = [name for name in table.columns if name.startswith(f"{column} (column ")]
        remedy = (
            f"{len(doubled)} columns of different content have that name; rename one in the file" if doubled else ""
        )
        raise DataError(what, field=field, value=column, allowed=table.columns, remedy=remedy)
    return table[column]


def _label_column(spec: DataSpec, table: pl.DataFrame, source: str) -> pl.Series:
    return _column(table, spec.labels.column, "data.labels.column", source).alias("label")


def _groups_lacking(spec: DataSpec, tables: list[tuple[str, str, pl.DataFrame]]) -> tuple[str, ...]:
    """Labelled tables that do not have a column of groups: their rows are tied to none."""
    return tuple(
        f"{field} has no column {name!r}: its rows are tied to no group of that kind."
        for field, role, table in tables
        for name in spec.groups
        if role == "external" and name not in table.columns
    )


def _rows(
    spec: DataSpec, table: pl.DataFrame, role: str, classes: tuple[str, ...], field: str, words: Mapping[str, int]
) -> pl.DataFrame:
    ids = _column(table, spec.id, "data.id", field)
    empty = ids.is_null() | (ids == "")
    if empty.any():
        raise DataError(
            f"no {spec.id!r} in {counted(int(empty.sum()), 'row')} of {field}; give every row an id", field="data.id"
        )
    sample = _column(table, spec.sample, "data.sample", field) if spec.sample else ids
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
        "domain": _known_where_present(table, spec.domain, "data.domain", role, field),
    }
    for number, name in enumerate(spec.groups):
        columns[f"group.{name}"] = _known_where_present(table, name, f"data.groups.{number}", role, field)
    return pl.DataFrame([series.alias(name) for name, series in columns.items()])


def _known_where_present(table: pl.DataFrame, column: str | None, field: str, role: str, source: str) -> pl.Series:
    """A column that the training table must have and the others may lack."""
    if column is None or (role != "train" and column not in table.columns):
        return pl.Series([None] * table.height, dtype=pl.String)
    return _column(table, column, field, source)


def _ids_are_distinct(frame: pl.DataFrame, column: str) -> None:
    twice = frame.filter(pl.col("id").is_duplicated())["id"].unique(maintain_order=True).to_list()
    if twice:
        raise DataError(
            f"{counted(len(twice), 'id')} more than once, over all tables: {listing(twice, 5)}",
            field="data.id",
            remedy=f"make column {column!r} unique, or name the image in `id` and its owner in `sample`",
        )


def _samples_have_one_role(frame: pl.DataFrame) -> None:
    mixed = frame.group_by("sample", maintain_order=True).agg(pl.col("role").n_unique()).filter(pl.col("role") > 1)
    if mixed.height:
        raise DataError(
            f"{counted(mixed.height, 'sample')} with images in more than one table: "
            f"{listing(mixed['sample'].to_list(), 5)}",
            field="data.sample",
            remedy="a sample is trained on or predicted, never both",
        )


def _samples_have_one_set_of_labels(frame: pl.DataFrame) -> None:
    said = pl.col("labels").cast(pl.List(pl.String)).list.join(" ")
    labelled = frame.filter(pl.col("role") != "test").group_by("sample", maintain_order=True)
    torn = labelled.agg(said.n_unique()).filter(pl.col("labels") > 1)
    if torn.height:
        raise DataError(
            f"{counted(torn.height, 'sample')} with images of different labels: {listing(torn['sample'].to_list(), 5)}",
            field="data.sample",
            remedy="give all images of a sample the same labels, or leave `sample` out",
        )
