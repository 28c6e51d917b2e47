"""A split that lets relatives cross folds is named in the method of the score."""

from __future__ import annotations

from pathlib import Path

import pytest

from holotype.pipeline.caveats import score_caveats
from holotype.recipe.load import parse_recipe


@pytest.mark.parametrize(
    ("by", "groups", "crossing"),
    [
        (["groups", "duplicates"], ["plate"], ""),
        (["duplicates"], ["plate"], "groups"),
        (["duplicates"], [], ""),
        (["groups"], ["plate"], "duplicates"),
        ([], ["plate"], "groups and duplicates"),
    ],
)
def test_what_may_cross_folds_is_a_caveat(tmp_path: Path, by: list[str], groups: list[str], crossing: str) -> None:
    data = {"train": "t.csv", "id": "id", "labels": {"column": "label"}, "groups": groups}
    model = {"name": "m", "backbone": "test_resnet", "weights": "none"}
    words = score_caveats(parse_recipe({"data": data, "split": {"keep_together": by}, "models": [model]}, tmp_path))
    start = f"{crossing} may cross folds (`split.keep_together`): networks may have been trained on samples"
    assert [one.startswith(start) for one in words] == ([True] if crossing else [])
