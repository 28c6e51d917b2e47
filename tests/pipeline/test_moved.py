"""A run's folder that is moved together with its data, and the command that its report offers."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holotype.api import default_run_folder, run
from holotype.core.run_folder import RunFolder
from holotype.planning.reruns import explain
from holotype.recipe.load import dump_recipe, load_recipe
from holotype.runs.fitted_run import open_run
from holotype.runs.review import decisions_path, load_review_data

WriteRecipe = Callable[..., Path]
StepsOf = Callable[[Path], dict[str, str]]
TAKEN = "would be taken from the cache"


@pytest.fixture(scope="module")
def project(write_recipe: WriteRecipe, screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a recipe, its data beside the recipe's folder, its run and its store; nobody changes it."""
    root = tmp_path_factory.mktemp("projects") / "first"
    shutil.copytree(screen, root / "data")
    data = {"train": "../data/train.csv", "test": "../data/test.csv", "images": "../data/images/{id}_{channel}.png"}
    run(write_recipe(root / "work", data=data, split={"folds_to_train": [0]}))
    return root


def test_no_file_of_a_run_holds_a_path_of_this_machine(project: Path) -> None:
    folder, here = project / "work" / "runs" / "cells", str(project).encode()
    for path in folder.rglob("*"):
        if path.is_file():
            assert here not in path.read_bytes(), path
    files = RunFolder(folder).images()["files"].to_list()
    assert all(Path(file).is_file() and file.startswith(str(project)) for row in files for file in row)


def test_a_moved_project_predicts_explains_and_runs_again_with_its_store(
    project: Path, tmp_path: Path, steps_of: StepsOf
) -> None:
    moved = tmp_path / "second"
    shutil.copytree(project, moved)
    project.rename(project.with_name("gone"))
    try:
        folder = moved / "work" / "runs" / "cells"
        assert open_run(folder).predict(moved / "data" / "test.csv").height
        assert len(load_review_data(folder).images)
        assert decisions_path(folder) == moved / "work" / "review.csv"
        assert explain(folder, step="images") != []
        run(moved / "work" / "recipe.yaml")
        states = steps_of(folder)
        assert (states["fit main 0"], states["pixels 32"]) == ("reused", "reused")
        assert (moved / "work" / ".holotype").is_dir()
    finally:
        project.with_name("gone").rename(project)


def test_the_command_of_the_report_trains_nothing_and_makes_no_second_store(
    project: Path, tmp_path: Path, steps_of: StepsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "third"
    shutil.copytree(project, moved)
    folder = moved / "work" / "runs" / "cells"
    run(moved / "work" / "recipe.yaml")  # which looks at the copied images
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "holotype run recipe.yaml --out ../cells-again" in report
    monkeypatch.chdir(folder)
    words = shlex.split("holotype run recipe.yaml --out ../cells-again")
    again = run(words[2], words[4]).folder.root
    assert set(steps_of(again.resolve()).values()) == {"reused"}
    assert not list(folder.rglob(".holotype"))
    assert (again / "oof.parquet").read_bytes() == (folder / "oof.parquet").read_bytes()
    assert default_run_folder(load_recipe("recipe.yaml"), Path("recipe.yaml")) == folder.with_name("cells-again")


def test_paths_that_a_recipe_names_absolutely_stay(tmp_path: Path) -> None:
    content = {
        "data": {"train": "/data/t.csv", "images": "img/{id}.png", "external": ["s3://bucket/t.csv", "../e.csv"]},
        "models": [{"weights": "run:old#main"}],
    }
    (tmp_path / "{a}").mkdir()
    recipe = tmp_path / "{a}" / "recipe.yaml"
    recipe.write_text(json.dumps(content), encoding="utf-8")
    loaded = load_recipe(recipe)
    assert loaded.data.external[1] == str(tmp_path / "e.csv")
    written = tmp_path / "{a}" / "runs" / "run" / "recipe.yaml"
    written.parent.mkdir(parents=True)
    written.write_text(dump_recipe(loaded, written.parent), encoding="utf-8")
    data = load_recipe(written)
    assert (data.data, data.models) == (loaded.data, loaded.models)
    text = written.read_text(encoding="utf-8")
    assert "train: /data/t.csv" in text
    assert "../../img/{id}.png" in text
    assert "run:../../old#main" in text
    assert str(tmp_path) not in text
