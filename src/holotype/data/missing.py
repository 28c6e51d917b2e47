"""Missing values: the words by which programs and people write an empty cell, and one spelling for whole numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from holotype.core.errors import join_names, pluralize

__all__ = ["MISSING_WORDS", "describe_missing_words", "missing_note", "without_missing"]

MISSING_WORDS = frozenset(
    (
        "",
        "NA",
        "na",
        "N/A",
        "n/a",
        "N.A.",
        "n.a.",
        "#N/A",
        "#NA",
        "<NA>",
        "NaN",
        "nan",
        "NAN",
        "-nan",
        "NaT",
        "NULL",
        "Null",
        "null",
        "None",
        "none",
        "NONE",
        "nil",
        "-",
        "--",
        "---",
        "–",
        "—",
        "?",
        "#NULL!",
        "#VALUE!",
        "#REF!",
        "#DIV/0!",
        "#NAME?",
        "#NUM!",
    )
)
"""What R, NumPy, pandas, databases, Excel and people write into a cell that has no value."""
INTEGER_PATTERN = r"^([+-]?[0-9]+)\.0+$"


def without_missing(column: pl.Series, names: Collection[str] = ()) -> tuple[pl.Series, dict[str, int]]:
    """A column of text with missing values as null, and whole numbers without a point: `1.0` is `1`.

    Args:
        column: Text.
        names: Words that are values, whatever they look like.

    Returns:
        The column, and how many cells hold each word for a missing value.
    """
    text = column.str.strip_chars()
    exempt = list(names)
    missing = text.is_in(list(MISSING_WORDS)) & ~text.is_in(exempt)
    words = text.filter(missing & (text != "")).value_counts(sort=True)
    numbers = text.is_in(exempt)
    values = pl.select(
        pl.when(missing).then(None).when(numbers).then(text).otherwise(text.str.replace(INTEGER_PATTERN, "$1"))
    ).to_series()
    return values.alias(column.name), dict(words.iter_rows())


def describe_missing_words(words: Mapping[str, int]) -> str:
    """Which words stood in empty cells, in parentheses; an empty string where there were none.

    Args:
        words: How many cells hold each.
    """
    parts = [f"{count:,} as {word!r}" for word, count in words.items()]
    return f" (written {join_names(parts, 5)})" if parts else ""


def missing_note(column: pl.Series, words: Mapping[str, int], source: str, effect: str) -> str:
    """What is to be said of a column with missing values; an empty string where it has none.

    Args:
        column: As `without_missing` gives it.
        words: How many cells hold each word for a missing value.
        source: The recipe's key that names the table.
        effect: What becomes of such rows.
    """
    missing = column.null_count()
    if not missing:
        return ""
    verb = "has" if missing == 1 else "have"
    return (
        f"{pluralize(missing, 'row')} of {source} {verb} no {column.name!r}{describe_missing_words(words)}: {effect}."
    )
