"""What a second run takes from the store, and what a change makes anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from holotype.face import run

StagesOf = Callable[[Path], dict[str, str]]
WriteRecipe = Callable[..., Path]


@pytest.fixture
def again(finished: Path, tmp_path: Path, stages_of: StagesOf) -> Callable[..., tuple[Path, set[str]]]:
    """Runs the finished recipe once more with changes; gives the folder and the stages that were not taken from the
    store.
    """

    def run_again(*changes: str, folder: str = "run") -> tuple[Path, set[str]]:
        root = run(finished.parents[1] / "recipe.yaml", tmp_path / folder, changes).folder.root
        return root, {stage for stage, state in stages_of(root).items() if state != "reused"}

    return run_again


Again = Callable[..., tuple[Path, set[str]]]


def test_the_same_recipe_makes_nothing_and_ends_in_the_same_files(again: Again, finished: Path) -> None:
    folder, made = again()
    assert made == set()
    for name in ("oof.parquet", "test.parquet", "submission.csv", "predictions.csv", "scores.json", "folds.parquet",
                 "members/main/fold1/weights.safetensors"):  # fmt: skip
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_other_views_predict_anew_and_train_nothing(again: Again, finished: Path) -> None:
    folder, made = again("members.0.predict.views=none")
    assert made == {"predict main 0", "predict main 1", "predict main 2"}
    assert (folder / "oof.parquet").read_bytes() != (finished / "oof.parquet").read_bytes()


@pytest.mark.parametrize(
    "change",
    ["decide={kind: threshold, thresholds: 0.3}", "ensemble={kind: mean, space: probability}", "metric=micro_f1",
     "submit={separator: '|'}", "name=other"],
)  # fmt: skip
def test_what_comes_after_the_networks_changes_none_of_them(again: Again, change: str) -> None:
    assert again(change)[1] == set()


def test_another_decision_changes_the_labels_and_not_the_scores(again: Again, finished: Path) -> None:
    folder, _ = again("decide={kind: threshold, thresholds: 0.05}")
    other, own = (pl.read_parquet(run / "oof.parquet") for run in (folder, finished))
    assert other.select("id", "scores").equals(own.select("id", "scores"))
    assert not other["decided"].equals(own["decided"])
    low, half = (pl.read_csv(run / "submission.csv")["labels"].str.len_chars() for run in (folder, finished))
    assert (low > half).all()


def test_a_second_member_trains_itself_alone(again: Again, finished: Path) -> None:
    folder, made = again("members.1={name: second, backbone: test_resnet, weights: none, phases: [{epochs: 1}], "
                         "input: {size: 32}}")  # fmt: skip
    assert made == {f"{stage} second {fold}" for stage in ("fit", "predict") for fold in range(3)}
    own = "members/main/test.parquet"
    assert (folder / own).read_bytes() == (finished / own).read_bytes()


def test_more_epochs_of_one_fold_train_and_predict_that_fold(again: Again) -> None:
    _, made = again("members.0.phases.0.epochs=3", "split.use=[1]")
    assert made == {"folds", "fit main 1", "predict main 1", "map main 1"}  # the used folds are written with the folds


def test_members_that_a_folder_no_longer_has_are_taken_away(again: Again, finished: Path) -> None:
    again("members.0.name=renamed", "split.use=[1]")
    folder, made = again("data.test=null")
    assert {path.name for path in (folder / "members").iterdir()} == {"main"}
    assert not (folder / "submission.csv").exists()
    assert not (folder / "test.parquet").exists()
    assert made == {stage for stage in made if not stage.startswith("fit")}  # the test table is in no key of training


def test_threads_and_workers_are_in_no_key(again: Again) -> None:
    assert again("run.threads=2", "run.workers=1")[1] == set()


def test_touched_images_are_read_again_and_nothing_else_is_made(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, stages_of: StagesOf
) -> None:
    shutil.copytree(screen, tmp_path / "data")
    data = {"train": "data/train.csv", "test": "data/test.csv", "images": "data/images/{id}_{channel}.png"}
    recipe = write_recipe(tmp_path, data=data, split={"use": [0]})
    folder = run(recipe).folder.root
    assert set(stages_of(folder).values()) == {"made"}
    os.utime(tmp_path / "data" / "images" / "train-00003_nucleus.png", ns=(1, 1))
    run(recipe)
    assert {stage for stage, state in stages_of(folder).items() if state == "made"} == {"statistics"}
    shutil.copy(tmp_path / "data/images/train-00004_nucleus.png", tmp_path / "data/images/train-00003_nucleus.png")
    run(recipe)
    made = {stage for stage, state in stages_of(folder).items() if state == "made"}
    assert {"statistics", "pack 32", "fit main 0", "predict main 0"} <= made
    assert "images" not in made
