"""Names that look like numbers, from a recipe's text to its sections."""

from __future__ import annotations

from pathlib import Path

import pytest

from holotype.core.errors import RecipeError
from holotype.recipe.load import dump_recipe, load_recipe

TEXT = """
seed: 007
data:
  train: train.csv
  id: 1
  groups: [2024]
  images: "images/{1}_{channel}.png"
  channels: [0, 1]
  labels: {classes: [007, 0, 1.0, true, no, 2024-05-31]}
"""


def test_numbers_are_names_and_keep_their_zeros(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(TEXT)
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.data.labels.classes == ["007", "0", "1", "true", "no", "2024-05-31"]
    assert recipe.data.channels == ["0", "1"]
    assert (recipe.data.id, recipe.data.groups, recipe.seed) == ("1", ["2024"], 7)
    (tmp_path / "resolved.yaml").write_text(dump_recipe(recipe))
    again = load_recipe(tmp_path / "resolved.yaml")
    assert again.data.labels.classes == recipe.data.labels.classes
    assert load_recipe(tmp_path / "recipe.yaml", ("data.labels.classes=[01, 02]",)).data.labels.classes == ["01", "02"]


def test_an_empty_name_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("data: {train: train.csv, labels: {classes: [a, null]}}")
    with pytest.raises(RecipeError, match="put the word `null` into quotes"):
        load_recipe(tmp_path / "recipe.yaml")
