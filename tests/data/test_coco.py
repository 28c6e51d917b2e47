"""JSON of COCO's form that is damaged or hostile."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from holotype.core.errors import DataError
from holotype.data import read_images
from holotype.recipe.sections import DataSpec

CONTENT: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [{"image_id": 1, "category_id": 0}, {"image_id": 2, "category_id": 1}],
    "categories": [{"id": 0, "name": "none", "genus": "G"}, {"id": 1, "name": "Größe", "genus": "H"}],
}


def images(tmp_path: Path, text: str) -> Any:
    (tmp_path / "train.json").write_text(text, encoding="utf-8")
    return read_images(DataSpec(train=str(tmp_path / "train.json")))


def test_categories_are_classes_whatever_they_are_called(tmp_path: Path) -> None:
    table = images(tmp_path, json.dumps(CONTENT))
    assert table.classes == ("Größe", "none")
    assert table.frame["labels"].to_list() == [[1], [0]]


@pytest.mark.parametrize(("part", "key"), [("images", "file_name"), ("categories", "name"), ("categories", "genus")])
def test_half_a_character_is_named(tmp_path: Path, part: str, key: str) -> None:
    content = copy.deepcopy(CONTENT)
    content[part][1][key] = "b\ud800"
    with pytest.raises(DataError, match=rf"'b\\ud800' in '{key}' of `{part}` holds an incomplete character"):
        images(tmp_path, json.dumps(content))


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", '{"images": 3}', "\ufeff\ufeff{}"])
def test_what_is_no_such_json_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"^data.train: "):
        images(tmp_path, text)
