"""Steps that a second run reads from the cache, and steps that a change runs again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from holotype.api import run
from holotype.core.errors import DataError
from holotype.core.runtime import Runtime
from holotype.data import measure_images
from holotype.types import ImageStatistics, ImageTable

StepsOf = Callable[[Path], dict[str, str]]
WriteRecipe = Callable[..., Path]


@pytest.fixture
def again(finished: Path, tmp_path: Path, steps_of: StepsOf) -> Callable[..., tuple[Path, set[str]]]:
    """Runs the finished recipe once more with changes; gives the folder and the steps that were not taken from the
    store.
    """

    def run_again(*changes: str, folder: str = "run") -> tuple[Path, set[str]]:
        root = run(finished.parents[1] / "recipe.yaml", tmp_path / folder, changes).folder.root
        return root, {step for step, state in steps_of(root).items() if state != "reused"}

    return run_again


Again = Callable[..., tuple[Path, set[str]]]


def test_the_same_recipe_makes_nothing_and_ends_in_the_same_files(again: Again, finished: Path) -> None:
    folder, made = again()
    assert made == set()
    for name in (
        "oof.parquet",
        "test.parquet",
        "submission.csv",
        "predictions.csv",
        "scores.json",
        "folds.parquet",
        "models/main/fold1/weights.safetensors",
    ):
        assert (folder / name).read_bytes() == (finished / name).read_bytes(), name


def test_other_views_predict_anew_and_train_nothing(again: Again, finished: Path) -> None:
    folder, made = again("models.0.predict.tta=none")
    assert made == {f"predict main {fold}{part}" for fold in range(3) for part in ("", " test")}
    assert (folder / "oof.parquet").read_bytes() != (finished / "oof.parquet").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        "decision={kind: threshold, thresholds: 0.3}",
        "ensemble={kind: mean, space: probability}",
        "metric=micro_f1",
        "submission={separator: '|'}",
        "name=other",
    ],
)
def test_what_comes_after_the_networks_changes_none_of_them(again: Again, change: str) -> None:
    assert again(change)[1] == set()


def test_another_decision_changes_the_labels_and_not_the_scores(again: Again, finished: Path) -> None:
    folder, _ = again("decision={kind: threshold, thresholds: 0.05}")
    other, own = (pl.read_parquet(run / "oof.parquet") for run in (folder, finished))
    assert other.select("id", "scores").equals(own.select("id", "scores"))
    assert not other["decided"].equals(own["decided"])
    low, half = (pl.read_csv(run / "submission.csv")["labels"].str.len_chars() for run in (folder, finished))
    assert (low > half).all()


def test_a_second_model_trains_itself_alone(again: Again, finished: Path) -> None:
    folder, made = again(
        "models.1={name: second, backbone: test_resnet, weights: none, phases: [{epochs: 1}], input: {size: 32}}"
    )
    steps = ("fit second {}", "predict second {}", "predict second {} test")
    assert made == {step.format(fold) for step in steps for fold in range(3)}
    own = "models/main/test.parquet"
    assert (folder / own).read_bytes() == (finished / own).read_bytes()


def test_more_epochs_of_one_fold_train_and_predict_that_fold(again: Again) -> None:
    _, made = again("models.0.phases.0.epochs=3", "split.folds_to_train=[1]")
    assert made == {
        "folds",
        "fit main 1",
        "predict main 1",
        "predict main 1 test",
        "map main 1",
    }  # the used folds are written with the folds


def test_models_that_a_folder_no_longer_has_are_taken_away(again: Again, finished: Path) -> None:
    again("models.0.name=renamed", "split.folds_to_train=[1]")
    folder, made = again("data.test=null")
    assert {path.name for path in (folder / "models").iterdir()} == {"main"}
    assert not (folder / "submission.csv").exists()
    assert not (folder / "test.parquet").exists()
    assert made == {step for step in made if not step.startswith("fit")}  # the test table is in no key of training


def test_threads_and_workers_are_in_no_key(again: Again) -> None:
    assert again("run.threads=2", "run.workers=1")[1] == set()


def test_touched_images_are_read_again_and_nothing_else_is_made(
    write_recipe: WriteRecipe, screen: Path, tmp_path: Path, steps_of: StepsOf
) -> None:
    shutil.copytree(screen, tmp_path / "data")
    data = {"train": "data/train.csv", "test": "data/test.csv", "images": "data/images/{id}_{channel}.png"}
    recipe = write_recipe(tmp_path, data=data, split={"folds_to_train": [0]})
    folder = run(recipe).folder.root
    assert set(steps_of(folder).values()) == {"made"}
    os.utime(tmp_path / "data" / "images" / "train-00003_nucleus.png", ns=(1, 1))
    run(recipe)
    assert {step for step, state in steps_of(folder).items() if state == "made"} == {"statistics"}
    shutil.copy(tmp_path / "data/images/train-00004_nucleus.png", tmp_path / "data/images/train-00003_nucleus.png")
    run(recipe)
    made = {step for step, state in steps_of(folder).items() if state == "made"}
    assert {"statistics", "pixels 32", "fit main 0", "predict main 0"} <= made
    assert "images" not in made


@pytest.fixture
def copied(write_recipe: WriteRecipe, screen: Path, tmp_path: Path) -> Path:
    """A recipe whose data lie beside it."""
    shutil.copytree(screen, tmp_path / "data")
    data = {"train": "data/train.csv", "test": "data/test.csv", "images": "data/images/{id}_{channel}.png"}
    return write_recipe(tmp_path, data=data, split={"folds_to_train": [0]}, report={"map": 0})


def test_one_corrected_label_decodes_no_image_and_packs_none(copied: Path, steps_of: StepsOf) -> None:
    folder = run(copied).folder.root
    table = copied.parent / "data" / "train.csv"
    rows = table.read_text().splitlines()
    header = rows[0].split(",")
    number = header.index("labels")
    cells = rows[1].split(",")
    cells[number] = next(row.split(",")[number] for row in rows[2:] if row.split(",")[number] != cells[number])
    table.write_text("\n".join([rows[0], ",".join(cells), *rows[2:]]) + "\n")
    run(copied)
    states = steps_of(folder)
    assert states["images"] == "made"
    assert (states["statistics"], states["pixels 32"]) == ("reused", "reused")


def test_one_new_test_image_is_predicted_alone_and_trains_nothing(copied: Path, steps_of: StepsOf) -> None:
    folder = run(copied).folder.root
    before = pl.read_parquet(folder / "oof.parquet")
    images, table = copied.parent / "data" / "images", copied.parent / "data" / "test.csv"
    rows = table.read_text().splitlines()
    known = rows[1].split(",")[0]
    table.write_text("\n".join([*rows, rows[1].replace(known, "new-0001", 1)]) + "\n")
    for path in images.glob(f"{known}_*.png"):
        shutil.copy(path, path.with_name(path.name.replace(known, "new-0001")))
    run(copied)
    made = {step for step, state in steps_of(folder).items() if state == "made"}
    assert {"statistics", "predict main 0 test"} <= made
    assert not {"fit main 0", "predict main 0"} & made
    assert pl.read_parquet(folder / "oof.parquet").equals(before)
    assert "new-0001" in pl.read_parquet(folder / "test.parquet")["id"].to_list()


def test_images_that_are_replaced_with_size_and_time_kept_are_read_again(copied: Path, steps_of: StepsOf) -> None:
    folder = run(copied).folder.root
    images = copied.parent / "data" / "images"
    one, other = images / "train-00003_nucleus.png", images / "train-00004_nucleus.png"
    facts = one.stat()
    shutil.copyfile(other, one)
    os.utime(one, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    run(copied)
    made = {step for step, state in steps_of(folder).items() if state == "made"}
    assert {"statistics", "pixels 32"} <= made


def test_an_image_that_changes_after_it_was_measured_is_named_and_nothing_is_stored(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = copied.parent / "data" / "images"
    one, other = images / "train-00003_nucleus.png", images / "train-00004_nucleus.png"
    before = one.read_bytes()

    def measure_and_change(table: ImageTable, runtime: Runtime) -> ImageStatistics:
        measured = measure_images(table, runtime)
        shutil.copyfile(other, one)
        return measured

    monkeypatch.setattr("holotype.pipeline.data_steps.measure_images", measure_and_change)
    with pytest.raises(DataError, match=r"train-00003_nucleus.png.* changed after it was measured; run the same"):
        run(copied)
    assert not list((copied.parent / ".holotype").glob("pixels/*"))
    monkeypatch.undo()
    one.write_bytes(before)
    assert run(copied).folder.require("oof.parquet")
