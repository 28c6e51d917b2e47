"""Labels: text columns to class numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl

from holotype.core.errors import DataError, did_you_mean, join_names, pluralize
from holotype.data.label_lists import LIST_PATTERN, parse_label_list
from holotype.data.missing import MISSING_WORDS, describe_missing_words
from holotype.data.tables import read_table
from holotype.recipe.sections import LabelSpec

NO_WORDS: Mapping[str, int] = {}


def listed_names(spec: LabelSpec) -> tuple[str, ...]:
    """Class names that the recipe lists; empty if it takes them from the labels."""
    return tuple(_read_class_names(spec.classes) if isinstance(spec.classes, str) else spec.classes or ())


def class_names(spec: LabelSpec, column: pl.Series) -> tuple[str, ...]:
    """Class names in order: as in the recipe, or from the labels, numbers by value and words alphabetically."""
    if spec.classes is None:
        values = _split_labels(spec, column, ()).explode().drop_nulls().unique().to_list()
        all_integers = all(re.fullmatch("-?[0-9]+", name) for name in values)
        names = sorted(values, key=lambda name: (int(name), name)) if all_integers else sorted(values)
    else:
        names = list(listed_names(spec))
    minimum = 1 if spec.kind == "multilabel" else 2
    if len(names) < minimum:
        raise DataError(
            f"{pluralize(len(names), 'class')} in {spec.column!r} and at least {minimum} are needed"
            f"{': ' + join_names(names) if names else ''}",
            field="data.labels.classes",
        )
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise DataError(f"classes are repeated: {join_names(repeated)}; name each once", field="data.labels.classes")
    return tuple(names)


def label_numbers(
    spec: LabelSpec, column: pl.Series, ids: pl.Series, classes: tuple[str, ...], words: Mapping[str, int] = NO_WORDS
) -> pl.Series:
    """Class numbers of each row. Raises DataError if a row has no label, or one that is not a class."""
    tokens = _split_labels(spec, column, classes)
    if spec.kind == "multiclass":
        missing = ids.filter(tokens.list.len() == 0)
        if missing.len():
            aside = f", or name {next(iter(words))!r} in `labels.classes` if it is a class" if words else ""
            raise DataError(
                f"no label in {pluralize(missing.len(), 'row')}{describe_missing_words(words)}: "
                f"{join_names(missing.to_list(), 5)}",
                field="data.labels.column",
                remedy=f"label them, or move them to the test table{aside}",
            )
        several = tokens.filter(tokens.list.len() > 1)
        if several.len():
            raise DataError(
                f"{pluralize(several.len(), 'row')} with several labels, the first {several[0].to_list()}",
                field="data.labels.kind",
                remedy="write `labels: {kind: multilabel}`",
            )
    unknown = tokens.explode().drop_nulls()
    numbers = pl.Series(range(len(classes)), dtype=pl.Int64)
    order = _truth_value_spellings(classes) | dict(zip(classes, numbers.to_list(), strict=True))
    unknown = unknown.filter(~unknown.is_in(list(order)))
    if unknown.len():
        names = unknown.unique(maintain_order=True).to_list()
        hint = did_you_mean(names[0], classes)
        rows = ids.filter(tokens.list.contains(names[0]))
        examples = join_names([repr(name) for name in names], 5)
        raise DataError(
            f"{pluralize(unknown.len(), 'label')} that `classes` does not have: {examples} "
            f"(first at {rows[0]!r}){'; ' + hint if hint else ''}",
            field="data.labels.classes",
            remedy="add them to `classes`, or correct the table",
        )
    return tokens.list.eval(pl.element().replace_strict(order, return_dtype=pl.Int64).unique().sort()).fill_null([])


def _truth_value_spellings(classes: tuple[str, ...]) -> dict[str, int]:
    numbers = {name.lower(): number for number, name in enumerate(classes) if name.lower() in {"true", "false"}}
    return {spelling: number for name, number in numbers.items() for spelling in (name, name.title(), name.upper())}


def _split_labels(spec: LabelSpec, column: pl.Series, named: Collection[str]) -> pl.Series:
    text = column.str.strip_chars()
    if spec.kind == "multiclass":
        tokens = pl.select(pl.concat_list(text.replace("", None))).to_series().list.drop_nulls()
    else:
        absent = list(MISSING_WORDS - set(named))
        parts = text.fill_null("").str.split(spec.separator)
        parts = parts.list.eval(pl.element().str.strip_chars())
        tokens = parts.list.eval(pl.element().filter(~pl.element().is_in(absent)))
    lists = [cell for cell in text.filter(text.str.contains(LIST_PATTERN)).unique() if cell not in named]
    if not lists:
        return tokens
    parsed = {cell: parse_label_list(cell) for cell in lists}
    broken = [cell for cell, labels in parsed.items() if labels is None]
    if broken:
        raise DataError(
            f"the label {broken[0]!r} looks like a list but is not one",
            field="data.labels.column",
            remedy='write lists as ["a", "b"], or labels with a separator between',
        )
    rows = [parsed.get(cell, split_text) for cell, split_text in zip(text.to_list(), tokens.to_list(), strict=True)]
    return pl.Series(column.name, rows, dtype=pl.List(pl.String))


def _read_class_names(path: str) -> list[str]:
    """Class names in a table: its column `name`, `class` or `label`, else the first; a `.txt` has no header."""
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
