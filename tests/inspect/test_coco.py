from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from holotype.core.errors import DataError
from holotype.data import read_images
from holotype.inspect.inspect_folder import inspect_folder
from holotype.inspect.propose import propose
from holotype.inspect.write_recipe import write_recipe
from holotype.recipe.load import load_recipe

KINDS = [
    ("oak", "Quercus", "Fagaceae"),
    ("beech", "Fagus", "Fagaceae"),
    ("ash", "Fraxinus", "Oleaceae"),
    ("red oak", "Quercus", "Fagaceae"),
]


def sheets(folder: Path, role: str, count: int, labelled: bool = True, twice: bool = False) -> Path:
    """A JSON of COCO's form with its images beside it, in a folder of the role."""
    place = folder / role
    images = [{"id": f"{role}{n}", "file_name": f"images/{n % 2}/{n}.png"} for n in range(count)]
    for image in images:
        path = place / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    content: dict[str, Any] = {"images": images}
    if labelled:
        notes = [{"id": n, "image_id": f"{role}{n}", "category_id": 10 + n % 4} for n in range(count)]
        notes += [{"id": count, "image_id": f"{role}0", "category_id": 11}] if twice else []
        content["annotations"] = notes
        ranks = ("name", "genus", "family")
        content["categories"] = [{"id": 10 + n} | dict(zip(ranks, kind, strict=True)) for n, kind in enumerate(KINDS)]
    (place / "metadata.json").write_text(json.dumps(content))
    return place / "metadata.json"


def proposed(folder: Path) -> dict[str, Any]:
    recipe = folder.parent / "out" / "recipe.yaml"
    text = write_recipe(propose(inspect_folder(folder)), recipe, force=True)
    read = read_images(load_recipe(recipe).data)
    assert read.has_files
    return dict(YAML(typ="safe", pure=True).load(text)["data"])


def test_a_json_for_each_role_is_read_with_its_ranks(tmp_path: Path) -> None:
    folder = tmp_path / "herbarium"
    sheets(folder, "train", 24)
    sheets(folder, "test", 6, labelled=False)
    assert proposed(folder) == {
        "train": "../herbarium/train/metadata.json",
        "test": "../herbarium/test/metadata.json",
        "id": "id",
        "labels": {"column": "label", "kind": "multiclass", "taxonomy": ["genus", "family"]},
        "groups": [],
    }


def test_a_submission_of_numbers_makes_the_categories_numbers_the_classes(tmp_path: Path) -> None:
    folder = tmp_path / "herbarium"
    sheets(folder, "train", 24)
    sheets(folder, "test", 4, labelled=False)
    (folder / "sample_submission.csv").write_text("Id,Predicted\n" + "".join(f"test{n},10\n" for n in range(4)))
    assert proposed(folder)["labels"]["column"] == "category_id"
    assert propose(inspect_folder(folder)).content["submission"] == {"id": "Id", "column": "Predicted"}


def test_several_categories_an_image_are_many_labels(tmp_path: Path) -> None:
    sheets(tmp_path / "herbarium", "train", 24, twice=True)
    labels = proposed(tmp_path / "herbarium")["labels"]
    assert labels == {"column": "label", "kind": "multilabel", "separator": "|"}


def test_two_that_could_be_learnt_from_are_asked_about_and_one_may_be_named(tmp_path: Path) -> None:
    first, second = (sheets(tmp_path, name, 8) for name in ("north", "south"))
    with pytest.raises(DataError, match=r"2 annotation files .* north/metadata\.json, south/metadata\.json"):
        inspect_folder(tmp_path)
    assert inspect_folder(second).train_path == second
    sheets(tmp_path, "train", 8)
    assert inspect_folder(tmp_path).train_path == tmp_path / "train" / "metadata.json"
    assert any("north/metadata.json" in remark for remark in inspect_folder(tmp_path).remarks)
    assert first.is_file()


@pytest.mark.parametrize("content", ["{", "[1]", '{"images": 3}', '{"images": []}', '{"settings": {"a": 1}}'])
def test_other_json_beside_folders_of_classes_is_passed_over(tmp_path: Path, content: str) -> None:
    for kind in "ab":
        for number in range(6):
            path = tmp_path / kind / f"{kind}{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    (tmp_path / "settings.json").write_text(content)
    assert inspect_folder(tmp_path).layout == "folders"


def test_a_table_called_train_comes_first(tmp_path: Path) -> None:
    sheets(tmp_path, "train", 8)
    rows = "".join(f"train/images/{n % 2}/{n}.png,{'ab'[n % 2]}\n" for n in range(8))
    (tmp_path / "train.csv").write_text("file,label\n" + rows)
    assert inspect_folder(tmp_path).layout == "table"


def test_one_category_is_refused(tmp_path: Path) -> None:
    place = sheets(tmp_path, "train", 8)
    content = json.loads(place.read_text())
    for note in content["annotations"]:
        note["category_id"] = 10
    place.write_text(json.dumps(content))
    with pytest.raises(DataError, match="every image has the category 'oak'"):
        propose(inspect_folder(tmp_path))
