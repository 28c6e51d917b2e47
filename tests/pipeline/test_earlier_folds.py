"""Folds of a run that goes into the folder of an earlier one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from holotype.api import run
from holotype.core.progress import Progress
from holotype.core.run_folder import RunFolder
from holotype.pipeline.earlier_folds import read_earlier_folds
from holotype.planning.reruns import predict_reruns
from holotype.recipe.load import load_recipe

StepsOf = Callable[[Path], dict[str, str]]
WriteRecipe = Callable[..., Path]


@pytest.fixture(scope="module")
def edited(
    write_recipe: WriteRecipe, screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path]:
    """A recipe, its finished run, and a copy of the run before the table was edited and run again into the folder."""
    folder = tmp_path_factory.mktemp("edited")
    shutil.copytree(screen, folder / "data")
    data = {"train": "data/train.csv", "test": "data/test.csv", "images": "data/images/{id}_{channel}.png"}
    recipe = write_recipe(folder, data=data, split={"folds_to_train": [0]}, report={"map": 0})
    root = run(recipe).folder.root
    before = folder / "before"
    shutil.copytree(root, before)
    table = pl.read_csv(folder / "data/train.csv", infer_schema_length=0).with_row_index("row")
    table = table.filter(~pl.col("row").is_in([5, 15, 25])).drop("row")
    table.write_csv(folder / "data/train.csv")
    run(recipe)
    return recipe, root, before


def folds_of(folder: Path) -> dict[str, int]:
    return dict(pl.read_parquet(folder / "folds.parquet").filter(role="train").select("sample", "fold").iter_rows())


def sentences(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["text"] for line in lines if line["event"] == "message"]


def test_an_edit_leaves_nearly_all_samples_in_their_folds_and_the_log_counts_them(edited) -> None:
    recipe, root, before = edited
    earlier, now = folds_of(before), folds_of(root)
    kept = sum(earlier[name] == fold for name, fold in now.items())
    assert len(now) == len(earlier) - 3
    assert kept >= 0.95 * len(now)
    assert any(f"folds: {kept} of {len(now)} samples keep their fold" in sentence for sentence in sentences(root))
    fresh = run(recipe, recipe.parent / "fresh").folder.root
    assert not any("keep their fold" in sentence for sentence in sentences(fresh))
    assert folds_of(fresh) != now  # what is drawn in a new folder does not hang on this one


def test_the_next_run_keeps_every_fold_and_makes_nothing(edited, steps_of: StepsOf) -> None:
    recipe, root, _ = edited
    before = folds_of(root)
    assert {one.state for one in predict_reruns(root)} == {"kept"}
    run(recipe)
    assert set(steps_of(root).values()) == {"reused"}
    assert folds_of(root) == before


def test_an_edit_is_foreseen_without_naming_the_folds_of_the_folder(edited) -> None:
    recipe, root, _ = edited
    table = recipe.parent / "data/train.csv"
    text = table.read_text()
    rows = text.splitlines()
    try:
        table.write_text("\n".join(rows[:-1]) + "\n")
        changed = {one.step: one.changed for one in predict_reruns(root)}
    finally:
        table.write_text(text)
    assert changed["images"] == ("table train.csv",)


def test_only_folds_of_the_same_split_and_seed_are_kept(edited) -> None:
    recipe, root, _ = edited
    quiet = Progress(quiet=True)
    folder = RunFolder(root)
    assert read_earlier_folds(folder, load_recipe(recipe), quiet) == folds_of(root)
    assert read_earlier_folds(folder, load_recipe(recipe, ("metric=micro_f1",)), quiet) == folds_of(root)
    for change in ("seed=3", "split.folds=2", "split.stratify=[labels]", "split.folds=leave-group-out"):
        use = () if "folds" not in change else ("split.folds_to_train=all",)
        assert read_earlier_folds(folder, load_recipe(recipe, (change, *use)), quiet) is None
    assert read_earlier_folds(RunFolder(recipe.parent / "none"), load_recipe(recipe), quiet) is None


def test_folds_that_were_changed_by_hand_are_drawn_anew_and_named(edited, tmp_path: Path) -> None:
    recipe, root, _ = edited
    shutil.copytree(root, tmp_path / "run")
    frame = pl.read_parquet(tmp_path / "run/folds.parquet")
    frame.with_columns(pl.lit(0, frame["fold"].dtype).alias("fold")).write_parquet(tmp_path / "run/folds.parquet")
    notes: list[str] = []
    progress = Progress(quiet=True).with_listener(notes.append)
    assert read_earlier_folds(RunFolder(tmp_path / "run"), load_recipe(recipe), progress) is None
    assert len(notes) == 1
    assert "new folds are drawn" in notes[0]


@pytest.mark.parametrize("moved", [{}, {"folds.parquet": ".new"}, {"folds.parquet": ".old"}])
def test_a_run_that_ended_while_it_wrote_the_folder_keeps_its_folds(
    edited, tmp_path: Path, moved: dict[str, str]
) -> None:
    recipe, root, _ = edited
    shutil.copytree(root, tmp_path / "run")
    for name, into in moved.items():
        (tmp_path / "run" / into).mkdir()
        (tmp_path / "run" / name).rename(tmp_path / "run" / into / name)
    (tmp_path / "run/unfinished").touch()
    assert read_earlier_folds(RunFolder(tmp_path / "run"), load_recipe(recipe), Progress(quiet=True)) == folds_of(root)
