"""Exceptions with messages for people.

    HolotypeError                 exit status 1: the work failed
    ├── TrainingError             a loss that is not finite, a fold that cannot be trained
    ├── StoreError                a cached result or a table that cannot be written or read back
    └── InputError                exit status 2: the input is wrong
        ├── RecipeError           the recipe
        │   └── UnsupportedError  a key of the recipe that this version does not implement
        └── DataError             the table, the images, the labels

Every message is one sentence that names the field, the value, what is allowed and what to do. The same facts are
attributes of the exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

MAX_LISTED = 12
# Largest number of characters of each part of a message.
MAX_LENGTHS = {"what": 1300, "field": 200, "remedy": 600, "choice": 100, "value": 160}


class HolotypeError(Exception):
    """Base class of errors, with a sentence for people and the same facts for programs.

    Args:
        field: Its path in the recipe or table (``models.0.backbone``).
        allowed: Legal values; the one nearest to `value` is suggested.
    """

    exit_status = 1

    def __init__(
        self, what: str, *, field: str = "", value: object = None, allowed: Iterable[object] = (), remedy: str = ""
    ) -> None:
        self.value = value
        self.what = _strip_advice(truncate(what, MAX_LENGTHS["what"]))
        self.field = truncate(field, MAX_LENGTHS["field"])
        self.remedy = truncate(remedy, MAX_LENGTHS["remedy"])
        self.allowed = tuple(truncate(choice, MAX_LENGTHS["choice"]) for choice in allowed)
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        parts = [f"{self.field}: {self.what}" if self.field else self.what]
        if self.value is not None and self.allowed:
            parts.append(did_you_mean(truncate(self.value), self.allowed))
        if self.allowed:
            parts.append(f"allowed: {join_names(self.allowed)}")
        parts.append(self.remedy)
        return "; ".join(part for part in parts if part) + "."


class TrainingError(HolotypeError):
    """Training that cannot continue."""


class StoreError(HolotypeError):
    """Cached result or table that cannot be written or read."""


class InputError(HolotypeError):
    """Wrong input; nothing was trained."""

    exit_status = 2


class RecipeError(InputError):
    """Wrong recipe."""


class UnsupportedError(RecipeError):
    """Recipe key that this version does not implement."""


class DataError(InputError):
    """Wrong table, images or labels."""


def did_you_mean(value: str, choices: Iterable[str]) -> str:
    """Suggest the nearest of some choices as a question; empty if none is near."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    near = get_close_matches(truncate(value).lower(), by_lower_case, n=1, cutoff=0.6)
    return f"did you mean {by_lower_case[near[0]]!r}?" if near else ""


def pluralize(count: int, noun: str) -> str:
    """Number with its noun, which is given in the singular: `1 row`, `2 rows`, `3 classes`."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def byte_size(count: int) -> str:
    """Number of bytes in a suitable unit: `512 bytes`, `3.4 kB`, `12 MB`, `1.5 GB`."""
    if count < 1000:
        return pluralize(count, "byte")
    unit, power = next(pair for pair in (("TB", 12), ("GB", 9), ("MB", 6), ("kB", 3)) if count >= 10 ** pair[1])
    value = count / 10**power
    return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def join_names(values: Iterable[object], max_names: int = MAX_LISTED) -> str:
    """Values as a comma-separated list, shortened after `max_names` with "and n more"."""
    values = list(values)
    # The fewer values, the longer each may be: a single path is rarely shortened.
    room = max(MAX_LENGTHS["value"], MAX_LENGTHS["remedy"] // max(len(values), 1))
    words = [truncate(value, room) for value in values[:max_names]]
    rest = len(values) - max_names
    return ", ".join(words) + (f" and {rest:,} more" if rest > 0 else "")


def truncate(value: object, max_length: int = MAX_LENGTHS["value"]) -> str:
    """Text of a value; beyond `max_length` characters, its middle is replaced by the number left out."""
    try:
        text = str(value)
    except ValueError:  # Python does not format integers of more than 4,300 digits
        return "a number of more than 4,300 digits"
    if len(text) <= max_length:
        return text
    kept_length = max(max_length - 40, 20)
    end = kept_length // 3
    return (
        f"{text[: kept_length - end]} ... ({len(text) - kept_length:,} characters more) ... {text[len(text) - end :]}"
    )


# Advice of libraries that Holotype never follows: loading files that may run code.
ADVICE = re.compile(r"[^:;]*\b(?:allow_pickle|weights_only|object_codec)\b.*", re.DOTALL)
NEVER = "it holds Python objects, which are never loaded"


def first_line(error: BaseException) -> str:
    """First line of a library's error message, shortened; the exception's type if it has no message."""
    lines = (line.strip() for line in _strip_advice(truncate(str(error), 2000)).splitlines())
    return truncate(next(filter(None, lines), type(error).__name__).rstrip(". "), 300)


def _strip_advice(text: str) -> str:
    return ADVICE.sub(lambda advice: f"{' ' if advice[0][:1] == ' ' else ''}{NEVER}", text)
