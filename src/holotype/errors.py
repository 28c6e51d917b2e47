"""The errors a person can meet.

    HolotypeError                 exit status 1: the work failed
    ├── TrainingError             a loss that is not finite, a fold that cannot be trained
    ├── StoreError                an artefact that cannot be written or read back
    └── InputError                exit status 2: what was handed in is wrong
        ├── RecipeError           the recipe
        │   └── NotBuiltYetError  a key of the contract whose machinery is still to come
        └── DataError             the table, the images, the labels

Every message is one sentence that names the field, the value, what is allowed and the way out; the same facts
stay on the exception for programs.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "DataError",
    "HolotypeError",
    "InputError",
    "NotBuiltYetError",
    "RecipeError",
    "StoreError",
    "TrainingError",
    "counted",
    "did_you_mean",
    "listing",
]

LISTED_AT_MOST = 12


class HolotypeError(Exception):
    """An error with a sentence for people and the same facts for programs.

    Args:
        what: What is wrong, as a sentence without a full stop.
        field: Where it is wrong, as a path into the recipe or the table (``members.0.backbone``).
        value: The value that was found there.
        allowed: The values that would be legal; the nearest one is suggested.
        remedy: What to do, as a sentence without a full stop.
    """

    exit_status = 1

    def __init__(
        self, what: str, *, field: str = "", value: object = None, allowed: Iterable[object] = (), remedy: str = ""
    ) -> None:
        self.what, self.field, self.value, self.remedy = what, field, value, remedy
        self.allowed = tuple(str(choice) for choice in allowed)
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        parts = [f"{self.field}: {self.what}" if self.field else self.what]
        if self.value is not None and self.allowed:
            parts.append(did_you_mean(str(self.value), self.allowed))
        if self.allowed:
            parts.append(f"allowed: {listing(self.allowed)}")
        parts.append(self.remedy)
        return "; ".join(part for part in parts if part) + "."


class TrainingError(HolotypeError):
    """Training cannot go on."""


class StoreError(HolotypeError):
    """An artefact of the store cannot be written or read."""


class InputError(HolotypeError):
    """What was handed in is wrong; nothing was trained."""

    exit_status = 2


class RecipeError(InputError):
    """The recipe is wrong."""


class NotBuiltYetError(RecipeError):
    """The recipe asks for a part of the contract that this version does not have."""


class DataError(InputError):
    """The table, the images or the labels are wrong."""


def did_you_mean(value: str, choices: Iterable[str]) -> str:
    """The nearest of some choices as a question, or an empty string where none is near.

    Args:
        value: What was written.
        choices: What could have been meant.
    """
    by_lower_case = {choice.lower(): choice for choice in choices}
    near = get_close_matches(value.lower(), by_lower_case, n=1, cutoff=0.6)
    return f"did you mean {by_lower_case[near[0]]!r}?" if near else ""


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 row`, `2 rows`, `3 classes`.

    Args:
        count: How many.
        noun: The word for one.
    """
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def listing(values: Iterable[object], at_most: int = LISTED_AT_MOST) -> str:
    """Values as a readable list that stays short.

    Args:
        values: What to list.
        at_most: How many are written out before "and n more".
    """
    words = [str(value) for value in values]
    rest = len(words) - at_most
    return ", ".join(words[:at_most]) + (f" and {rest:,} more" if rest > 0 else "")
