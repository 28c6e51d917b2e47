"""Writes docs/recipe.md from the models of the recipe: `make docs`."""

from __future__ import annotations

from pathlib import Path

from holotype.recipe import Recipe
from holotype.spec.reference import recipe_reference

PAGE = Path(__file__).with_name("recipe.md")

if __name__ == "__main__":
    PAGE.write_text(recipe_reference(Recipe), encoding="utf-8")
    print(f"wrote {PAGE.parent.name}/{PAGE.name}")
