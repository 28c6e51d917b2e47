"""The pages that are generated from the code are those of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from holotype.recipe.load import Recipe
from holotype.recipe.reference import recipe_reference, type_in_words
from holotype.recipe.sections import Section

DOCS = Path(__file__).parents[2] / "docs"


class Stain(Section):
    """One stain."""

    colour: Literal["red", "green"] = "red"
    """Its colour."""


class Slide(Section):
    """One slide."""

    width: int = Field(ge=1)
    """Its width."""
    layers: int | None = None
    """How many | at all."""
    stains: list[Stain] = Field(default=[Stain()])


def test_the_recipe_reference_is_up_to_date() -> None:
    written = (DOCS / "recipe.md").read_text(encoding="utf-8")
    assert written == recipe_reference(Recipe), "the models have changed; run `make docs`"


def test_every_key_of_every_section_stands_in_the_reference() -> None:
    page = recipe_reference(Recipe)
    for line in (
        "| `backbone` | text | `efficientnet_lite0` |",
        "## `models.0.phases.0.optimizer`",
        "| `unique_class_per` |",
    ):
        assert line in page


def test_a_row_tells_type_default_and_meaning() -> None:
    rows = recipe_reference(Slide).splitlines()
    assert "| `width` | whole number (at least 1) | **required** | Its width. |" in rows
    assert "| `layers` | whole number or `null` | `null` | How many \\| at all. |" in rows
    assert "| `stains` | list of sections | one, with the defaults below | One stain. |" in rows
    assert "| `colour` | `red` or `green` | `red` | Its colour. |" in rows
    assert "## `stains.0`" in rows


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool | Literal["horizontal"], "`true`, `false` or `horizontal`"),
        (Annotated[float, Field(gt=0, lt=0.5)] | None, "number (above 0, below 0.5) or `null`"),
        (list[Annotated[int, Field(ge=0)]], "list of whole numbers (at least 0)"),
        (list[Literal["a", "b"]], "list of (`a` or `b`)"),
        (dict[str, float] | str, "mapping of text to number or text"),
        (tuple[float, float], "[number, number]"),
    ],
)
def test_a_type_is_told_in_words(annotation: object, words: str) -> None:
    assert type_in_words(annotation) == words
