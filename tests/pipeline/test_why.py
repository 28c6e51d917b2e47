"""What would run again, and because of what."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holotype.api import run
from holotype.core.errors import InputError
from holotype.planning.reruns import explain

WriteRecipe = Callable[..., Path]
TAKEN = "would be taken from the cache"


def told(run_folder: Path, *changes: str) -> dict[str, str]:
    """What is said of each step; one line each."""
    lines = [line.split(": ", 1) for line in explain(run_folder, changes)]
    assert len({name for name, _ in lines}) == len(lines)
    return dict(lines)


def test_where_nothing_changed_everything_is_taken_from_the_store(finished: Path) -> None:
    steps = told(finished)
    assert set(steps.values()) == {TAKEN}
    parts = (("fit", ""), ("predict", ""), ("predict", " test"))
    fits = {f"{step} main {fold}{part}" for step, part in parts for fold in range(3)}
    assert set(steps) == {"images", "statistics", "audit", "folds", "pixels 32"} | fits


def test_other_views_are_named_and_the_networks_stay(finished: Path) -> None:
    steps = told(finished, "models.0.predict.tta=flips")
    assert {steps[f"fit main {fold}"] for fold in range(3)} == {TAKEN}
    assert {steps[f"predict main {fold}"] for fold in range(3)} == {"would run again; changed: recipe: tta"}


def test_more_epochs_are_named_and_the_predictions_follow_the_networks(finished: Path) -> None:
    steps = told(finished, "models.0.phases.0.epochs=5")
    assert steps["fit main 0"] == "would run again; changed: recipe: phases"
    assert steps["predict main 0"] == "would run again; changed: network"
    assert steps["pixels 32"] == TAKEN


def test_a_new_model_has_not_run_yet_and_the_other_one_stays(finished: Path) -> None:
    new = "models.1={name: second, backbone: test_resnet, weights: none, input: {size: 32}}"
    steps = told(finished, new)
    assert steps["fit second 0"] == "would run; it has not run yet"
    assert steps["fit main 0"] == TAKEN


def test_a_change_of_the_first_model_says_nothing_of_the_second(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    model = {"backbone": "test_efficientnet", "weights": "none", "input": {"size": 32}, "phases": [{"epochs": 1}]}
    models = [model | {"name": "one"}, model | {"name": "two"}]
    folder = run(write_recipe(tmp_path, models=models, split={"folds_to_train": [0]})).folder.root
    steps = told(folder, "models.0.phases.0.lr=0.01")
    assert steps["fit one 0"].startswith("would run again")
    assert (steps["fit two 0"], steps["predict two 0"]) == (TAKEN, TAKEN)


def test_another_decision_runs_nothing_again(finished: Path) -> None:
    assert set(told(finished, "decision={kind: threshold, thresholds: 0.4}").values()) == {TAKEN}


def test_images_in_memory_are_no_step(finished: Path) -> None:
    assert "pixels 32" not in told(finished, "data.cache=none")


def test_a_touched_image_is_read_again_and_the_rest_cannot_be_foreseen(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path
) -> None:
    shutil.copytree(screen, tmp_path / "data")
    data = {"train": "data/train.csv", "test": "data/test.csv", "images": "data/images/{id}_{channel}.png"}
    folder = run(write_recipe(tmp_path, data=data, split={"folds_to_train": [0]})).folder.root
    os.utime(tmp_path / "data" / "images" / "train-00003_nucleus.png", ns=(1, 1))
    steps = told(folder)
    assert steps["images"] == TAKEN
    assert steps["statistics"] == "would run again; changed: image files"
    assert steps["fit main 0"] == "depends on statistics, which would run first"
    shutil.rmtree(tmp_path / ".holotype" / "statistics")
    os.utime(tmp_path / "data" / "images" / "train-00003_nucleus.png")
    table = tmp_path / "data" / "train.csv"
    table.write_text(table.read_text().replace("HEK 293", "HeLa"))
    steps = told(folder)
    assert steps["images"] == "would run again; changed: table train.csv"
    assert steps["statistics"] == "depends on images, which would run first"


def test_an_artefact_that_is_gone_is_said_to_be(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    folder = run(write_recipe(tmp_path, split={"folds_to_train": [0]})).folder.root
    shutil.rmtree(tmp_path / ".holotype" / "predict")
    assert told(folder)["predict main 0"] == "would run again; its cached result is gone"


def test_asking_makes_nothing(finished: Path) -> None:
    store = finished.parents[1] / ".holotype"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    log = (finished / "log.jsonl").read_bytes()
    told(finished, "models.0.phases.0.epochs=7", "models.0.input.size=64")
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    assert (finished / "log.jsonl").read_bytes() == log


def test_changes_of_the_command_line_are_remembered(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    folder = run(write_recipe(tmp_path), changes=("split.folds_to_train=[0]", "models.0.phases.0.epochs=1")).folder.root
    assert set(told(folder).values()) == {TAKEN}


def test_a_recipe_that_was_deleted_is_replaced_by_the_runs_own(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, split={"folds_to_train": [0]})
    folder = run(recipe).folder.root
    recipe.unlink()
    assert set(told(folder).values()) == {TAKEN}


def test_one_kind_of_step_can_be_asked_for(finished: Path) -> None:
    assert [line.split(":")[0] for line in explain(finished, step="fit main 1")] == ["fit main 1"]
    assert len(explain(finished, step="predict")) == 6
    with pytest.raises(InputError, match="there is no such step; did you mean 'folds'"):
        explain(finished, step="fold")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a finished run"):
        explain(tmp_path)
