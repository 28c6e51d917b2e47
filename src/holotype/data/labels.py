"""Labels: from a column of text to class numbers."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from holotype.data.reading import read_table
from holotype.errors import DataError, counted, did_you_mean, listing
from holotype.spec import LabelSpec

__all__ = ["class_names", "label_numbers"]


def class_names(spec: LabelSpec, column: pl.Series) -> tuple[str, ...]:
    """The classes in order: as the recipe says, or what the labels hold, numbers by value and words by alphabet.

    Args:
        spec: The recipe's `labels` section.
        column: The labels of every labelled row, as text.

    Raises:
        DataError: There are fewer than two classes (one, for many labels a sample), or a name stands twice.
    """
    if spec.classes is None:
        found = _tokens(spec, column).explode().drop_nulls().unique().to_list()
        whole = all(re.fullmatch("-?[0-9]+", name) for name in found)
        names = sorted(found, key=lambda name: (int(name), name)) if whole else sorted(found)
    else:
        names = _listed(spec.classes) if isinstance(spec.classes, str) else spec.classes
    least = 1 if spec.kind == "multilabel" else 2
    if len(names) < least:
        raise DataError(
            f"{counted(len(names), 'class')} in {spec.column!r} and at least {least} are needed"
            f"{': ' + listing(names) if names else ''}",
            field="data.labels.classes",
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"classes stand twice: {listing(twice)}; name each once", field="data.labels.classes")
    return tuple(names)


def label_numbers(spec: LabelSpec, column: pl.Series, ids: pl.Series, classes: tuple[str, ...]) -> pl.Series:
    """The class numbers of each row, as a list.

    Args:
        spec: The recipe's `labels` section.
        column: The labels as text, one a row.
        ids: The rows' ids, for messages.
        classes: The class names in order.

    Returns:
        Lists of class numbers, ascending and each once; empty where a row of many-label data has none.

    Raises:
        DataError: A row has no label, or one that the classes do not know.
    """
    tokens = _tokens(spec, column)
    if spec.kind == "multiclass":
        missing = ids.filter(column.is_null() | (column.str.strip_chars() == ""))
        if missing.len():
            raise DataError(
                f"no label in {counted(missing.len(), 'row')}: {listing(missing.to_list(), 5)}",
                field="data.labels.column",
                remedy="label them, or move them to the test table",
            )
    unknown = tokens.explode().drop_nulls()
    unknown = unknown.filter(~unknown.is_in(list(classes)))
    if unknown.len():
        names = unknown.unique(maintain_order=True).to_list()
        hint = did_you_mean(names[0], classes)
        rows = ids.filter(tokens.list.contains(names[0]))
        told = listing([repr(name) for name in names], 5)
        raise DataError(
            f"{counted(unknown.len(), 'label')} that `classes` does not have: {told} "
            f"(first at {rows[0]!r}){'; ' + hint if hint else ''}",
            field="data.labels.classes",
            remedy="add them to `classes`, or mend the table",
        )
    numbers = pl.Series(range(len(classes)), dtype=pl.Int64)
    order = dict(zip(classes, numbers.to_list(), strict=True))
    return tokens.list.eval(pl.element().replace_strict(order, return_dtype=pl.Int64).unique().sort()).fill_null([])


def _tokens(spec: LabelSpec, column: pl.Series) -> pl.Series:
    text = column.str.strip_chars()
    if spec.kind == "multiclass":
        return pl.select(pl.concat_list(text.replace("", None))).to_series().list.drop_nulls()
    parts = text.fill_null("").str.split(spec.separator)
    return parts.list.eval(pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != ""))


def _listed(path: str) -> list[str]:
    """The names in a table: its column `name`, `class` or `label`, else the first; a `.txt` has no header."""
    field, file = "data.labels.classes", Path(path)
    if file.suffix.lower() == ".txt" and file.is_file():
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"the list {path!r} is not UTF-8 text", field=field) from error
        names = [line.strip() for line in lines]
    else:
        table = read_table(file, field)
        named = [column for column in table.columns if column.lower() in {"name", "class", "label"}]
        names = table[named[0] if named else table.columns[0]].drop_nulls().str.strip_chars().to_list()
    return [name for name in names if name]
