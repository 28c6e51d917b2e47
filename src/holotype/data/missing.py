"""Missing values: words that mean an empty cell, and one spelling for whole numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from holotype.core.errors import join_names, pluralize

WORDS = (
    "NA na N/A n/a N.A. n.a. #N/A #NA <NA> NaN nan NAN -nan NaT NULL Null null None none NONE nil "
    "- -- --- – — ? #NULL! #VALUE! #REF! #DIV/0! #NAME? #NUM!"
)
MISSING_WORDS = frozenset(["", *WORDS.split()])
"""Missing values as R, NumPy, pandas, databases, Excel and people write them."""
INTEGER_PATTERN = r"^([+-]?[0-9]+)\.0+$"


def without_missing(column: pl.Series, names: Collection[str] = ()) -> tuple[pl.Series, dict[str, int]]:
    """Replace missing-value words by null, and write whole numbers without a decimal point (`1.0` is `1`)."""
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
    """List the missing-value words in parentheses; an empty string if there are none."""
    parts = [f"{count:,} as {word!r}" for word, count in words.items()]
    return f" (written {join_names(parts, 5)})" if parts else ""


def missing_note(column: pl.Series, words: Mapping[str, int], source: str, effect: str) -> str:
    """Describe the missing values of a column; an empty string if it has none."""
    missing = column.null_count()
    if not missing:
        return ""
    verb = "has" if missing == 1 else "have"
    return (
        f"{pluralize(missing, 'row')} of {source} {verb} no {column.name!r}{describe_missing_words(words)}: {effect}."
    )
