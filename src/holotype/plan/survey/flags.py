"""A column a class, holding 0 and 1: made into one column of class names, as the recipe reads labels."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from holotype.errors import DataError, counted, listing
from holotype.plan.survey.groups import DOMAIN_NAME, GROUP_NAME
from holotype.plan.survey.labels import BOOKKEEPING, LESS_SURE, NAMES, SEPARATORS, LabelGuess, could_be_classes

__all__ = ["find_flags", "joined_flags"]

YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false")
COLUMN = "labels"


def find_flags(train: pl.DataFrame, test: pl.DataFrame | None, taken: set[str]) -> tuple[str, ...]:
    """The columns that each say of one class whether a sample has it; none where some column is likelier the label.

    Args:
        train: The training table.
        test: The test table, or None.
        taken: Columns that are something else.
    """
    other = (GROUP_NAME, DOMAIN_NAME, BOOKKEEPING)
    free = [name for name in train.columns if name not in taken and (test is None or name not in test.columns)]
    free = [name for name in free if not any(pattern.search(name) for pattern in other)]
    flags = tuple(name for name in free if set(_words(train[name])) <= {*YES, *NO})
    likelier = (name for name in free if name not in flags and LESS_SURE.search(name) and could_be_classes(train, name))
    called = any(name.lower() in NAMES for name in train.columns if name not in taken)
    return () if len(flags) < 2 or called or any(likelier) else flags


def joined_flags(train: pl.DataFrame, flags: Sequence[str]) -> tuple[pl.DataFrame, LabelGuess]:
    """The table with one column of labels in place of the flags, and what that column holds.

    Args:
        train: The training table.
        flags: From `find_flags`, at least two.

    Returns:
        Many labels a sample, unless every row has exactly one.

    Raises:
        DataError: No separator is left that no class has in its name, or no row has a class.
    """
    free = [separator for separator in SEPARATORS if not any(separator in name for name in flags)]
    if not free:
        raise DataError(
            f"{len(flags)} columns hold 0 and 1 ({listing(flags, 4)}), and their names hold every separator",
            field="data.labels.column", remedy=f"take one of {listing([repr(one) for one in SEPARATORS])} out of them",
        )  # fmt: skip
    has = train.select(_words(train[name]).is_in(YES).alias(name) for name in flags)
    count = has.sum_horizontal()
    counts = {name: int(has[name].sum()) for name in flags}
    counts = dict(sorted(((name, of) for name, of in counts.items() if of), key=lambda one: -one[1]))
    if not counts:
        raise DataError(f"{len(flags)} columns hold 0 and 1 ({listing(flags, 4)}), and no row has a 1",
                        field="data.labels.column", remedy="add a column `label`")  # fmt: skip
    one_each = bool((count == 1).all()) and len(counts) > 1
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in flags]
    labels = has.select(pl.concat_str(names, separator=free[0], ignore_nulls=True).alias(COLUMN))
    question = f"Are the {counted(len(flags), 'column')} of 0 and 1 ({listing(flags, 4)}) the classes?"
    kind, separator = ("multiclass", None) if one_each else ("multilabel", free[0])
    guess = LabelGuess(COLUMN, kind, separator, counts, 0, (question,), tuple(flags))
    return pl.concat([train.drop(flags), labels], how="horizontal"), guess


def _words(column: pl.Series) -> pl.Series:
    return column.fill_null("").str.strip_chars().str.to_lowercase()
