"""Answers to the questions of `init`: recipe keys that the user sets before the recipe is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from holotype.core.errors import DataError
from holotype.inspect.groups import GroupGuess, count_components
from holotype.inspect.labels import LabelGuess, count_classes

REASON = "set with --set"


@dataclass(frozen=True)
class Answers:
    """Answers as a partial recipe. `content`: nested mappings, as in a recipe."""

    content: Mapping[str, Any]

    def __contains__(self, key: str) -> bool:
        """Check whether a key such as `data.groups` was answered."""
        return key in self.values()

    def values(self) -> dict[str, Any]:
        """Values by key path; a list of mappings is a path with the number of each."""
        return dict(_flatten(self.content, ""))

    def column(self, key: str, table: pl.DataFrame) -> str | None:
        """Column that answers a key; None if the answer is null. Raises DataError if the table lacks it."""
        name = self.values()[key]
        if name is not None and name not in table.columns:
            raise DataError(
                f"there is no column {name!r}", field=f"--set {key}", value=str(name), allowed=table.columns
            )
        return name

    def groups(self, table: pl.DataFrame, guess: GroupGuess) -> GroupGuess:
        """Group columns of the answer. Raises DataError if the table lacks one."""
        names = self.values()["data.groups"] or []
        for name in names:
            self.__class__({"data": {"groups": name}}).column("data.groups", table)
        return GroupGuess(tuple(names), REASON, count_components(table, list(names)), guess.notes)

    def labels(self, guess: LabelGuess, table: pl.DataFrame) -> LabelGuess:
        """Label guess with the kind of the answer; one label per sample has no separator."""
        kind = self.values().get("data.labels.kind")
        if kind is None:
            return guess
        if kind == "multiclass" and guess.separator is not None:
            counts = count_classes(table[guess.column].fill_null("").str.strip_chars(), None)
            return replace(guess, kind=kind, separator=None, counts=counts, questions=())
        return replace(guess, questions=())

    def reasons(self, reasons: Mapping[str, str]) -> dict[str, str]:
        """Reasons of a proposal, where an answer is the reason of its key unless a section above it has one."""
        keys = [
            key for key in self.values() if key in reasons or not any(key.startswith(f"{name}.") for name in reasons)
        ]
        return {**reasons, **dict.fromkeys(keys, REASON)}

    def open_questions(self, questions: Mapping[str, str]) -> tuple[str, ...]:
        """Questions whose key was not answered. `questions`: by key."""
        return tuple(text for key, text in questions.items() if key not in self)


def _flatten(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        parts = [(str(name), inner) for name, inner in value.items()]
    elif isinstance(value, list) and value and all(isinstance(inner, Mapping) for inner in value):
        parts = [(str(number), inner) for number, inner in enumerate(value)]
    else:
        return [(key, value)] if key else []
    return [pair for name, inner in parts for pair in _flatten(inner, f"{key}.{name}".lstrip("."))]
