"""Types of columns: text for identifiers, 64-bit floats for measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import polars as pl

from holotype.core.errors import join_names, pluralize
from holotype.data.missing import MISSING_WORDS

__all__ = ["ColumnTypes"]


class ColumnTypes:
    """Conversion of text columns to numbers, part by part of a table.

    A column is numeric if at least half of the values in the first part are numbers; in all parts, its other words are
    then missing values, which are counted.

    Args:
        is_text: Tests by the name if a column stays text.
    """

    def __init__(self, is_text: Callable[[str], bool]) -> None:
        self.is_text = is_text
        self.numeric: dict[str, bool] = {}
        self.words: Counter[str] = Counter()

    def convert(self, part: pl.DataFrame) -> pl.DataFrame:
        """Convert one part; columns that are not text already have their types."""
        return pl.DataFrame([self._convert(column) for column in part.iter_columns()])

    def notes(self, source: str) -> tuple[str, ...]:
        """Notes on the words in numeric columns."""
        if not self.words:
            return ()
        return (
            f"{source}: {pluralize(sum(self.words.values()), 'cell')} of {join_names(map(repr, self.words), 5)} "
            "hold no number and count as missing.",
        )

    def _convert(self, column: pl.Series) -> pl.Series:
        if self.is_text(column.name):
            return column.cast(pl.String)
        if column.dtype != pl.String:
            return column.cast(pl.Float64 if self.numeric.setdefault(column.name, True) else pl.String)
        filled = column.is_not_null() & ~column.is_in(list(MISSING_WORDS))
        numbers = column.cast(pl.Float64, strict=False).fill_nan(None)
        wrong = int((filled & numbers.is_null()).sum())
        if self.numeric.setdefault(column.name, 2 * wrong <= int(filled.sum())):
            if wrong:
                self.words[column.name] += wrong
            return numbers
        return column
