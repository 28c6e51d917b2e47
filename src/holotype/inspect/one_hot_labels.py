"""One-hot labels: a column per class with 1 and 0 (or -1, or blanks), joined into one label column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from holotype.core.errors import DataError, join_names, pluralize
from holotype.inspect.groups import DOMAIN_NAME, TIES
from holotype.inspect.labels import BOOKKEEPING, NAMES, PERSON, POSSIBLE_NAME, SEPARATORS, LabelGuess, could_be_classes

YES = ("1", "1.0", "true", "yes", "y", "x", "+", "positive", "present")
NO = ("0", "0.0", "false", "no", "n", "negative", "absent")
UNSURE = ("-1", "-1.0", "u", "uncertain")
"""Marks for an uncertain finding, as in CheXpert."""
TIE = re.compile(rf"^({TIES}|acquisition|lesion)([-_ ]?(id|no|nr|number|name))?$", re.IGNORECASE)
COLUMN = "labels"


def find_one_hot_columns(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str]) -> tuple[str, ...]:
    """Find the one-hot columns; none if another column is more likely the label."""
    other = (TIE, DOMAIN_NAME, BOOKKEEPING, PERSON)
    free = [name for name in train.columns if name not in taken and (test is None or name not in test.columns)]
    free = [name for name in free if not any(pattern.search(name) for pattern in other)]
    values_of_column = {name: set(_normalize_values(train[name])) - {""} for name in free}
    flags = tuple(
        name
        for name in free
        if values_of_column[name]
        and values_of_column[name] <= {*YES, *NO, *UNSURE}
        and not values_of_column[name] >= {"x", "y"}
    )  # x and y are more likely names of two classes
    likelier = (
        name for name in free if name not in flags and POSSIBLE_NAME.search(name) and could_be_classes(train, name)
    )
    called = any(name.lower() in NAMES for name in train.columns if name not in taken)
    return () if len(flags) < 2 or called or any(likelier) else flags


def join_one_hot(train: pl.DataFrame, flags: Sequence[str]) -> tuple[pl.DataFrame, LabelGuess]:
    """Join one-hot columns into one label column.

    `flags`: from `find_one_hot_columns`, at least two. Returns the table without the one-hot columns, and its labels:
    multilabel unless every row has exactly one. Raises DataError if all separators occur in class names, or no row has
    a class.
    """
    free = [separator for separator in SEPARATORS if not any(separator in name for name in flags)]
    if not free:
        raise DataError(
            f"{len(flags)} columns hold 0 and 1 ({join_names(flags, 4)}), and their names contain all separators",
            field="data.labels.column",
            remedy=f"remove one of {join_names([repr(item) for item in SEPARATORS])} from the names",
        )
    has = train.select(_normalize_values(train[name]).is_in(YES).alias(name) for name in flags)
    count = has.sum_horizontal()
    counts = {name: int(has[name].sum()) for name in flags}
    counts = dict(sorted(((name, of) for name, of in counts.items() if of), key=lambda item: -item[1]))
    if not counts:
        raise DataError(
            f"{len(flags)} columns hold 0 and 1 ({join_names(flags, 4)}), and no row has a 1",
            field="data.labels.column",
            remedy="add a column `label`",
        )
    is_single_label = bool((count == 1).all()) and len(counts) > 1
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in flags]
    labels = has.select(pl.concat_str(names, separator=free[0], ignore_nulls=True).alias(COLUMN))
    questions = [f"Are the {pluralize(len(flags), 'column')} of 0 and 1 ({join_names(flags, 4)}) the classes?"]
    questions += _questions_on_other_values(train, flags)
    never = [name for name in flags if name not in counts]
    if never:
        questions.append(f"No row has a 1 in {join_names(never, 6)}, so these are no classes. Are rows missing?")
    kind, separator = ("multiclass", None) if is_single_label else ("multilabel", free[0])
    guess = LabelGuess(COLUMN, kind, separator, counts, 0, tuple(questions), tuple(flags))
    return pl.concat([train.drop(flags), labels], how="horizontal"), guess


def _questions_on_other_values(train: pl.DataFrame, flags: Sequence[str]) -> list[str]:
    """Ask whether -1 and blank cells mean that a sample does not have the class."""
    words = {name: _normalize_values(train[name]) for name in flags}
    unsure = {name: int(column.is_in(UNSURE).sum()) for name, column in words.items()}
    blank = {name: int((column == "").sum()) for name, column in words.items()}
    questions = []
    if any(unsure.values()):
        where = join_names([f"{name} ({count:,})" for name, count in unsure.items() if count], 6)
        questions.append(
            f"Does -1 mean that a finding is uncertain ({where})? It is read as 0; write 1 where the label applies."
        )
    if any(blank.values()):
        cells = sum(blank.values())
        empty = int(pl.DataFrame(words).select(pl.all_horizontal(pl.all() == "").sum()).item())
        rows = f", {empty:,} rows are blank in all of them" if empty else ""
        questions.append(
            f"Do blank cells mean 0 ({cells:,} in these columns{rows})? They are read as 0; if they are unknown, "
            "remove those rows."
        )
    return questions


def _normalize_values(column: pl.Series) -> pl.Series:
    return column.fill_null("").str.strip_chars().str.to_lowercase()
