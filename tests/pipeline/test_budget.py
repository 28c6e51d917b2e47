"""A run with a budget: planned from a probe, kept in the store, read by a resume, told by `why`, log and report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import holotype.api
import holotype.planning.budget_run
import holotype.training
from holotype.api import open_run, run
from holotype.cli.main import main
from holotype.planning import MeasuredSpeed
from holotype.planning.budget import EXTENDED, BudgetPlan
from holotype.planning.budget_run import PlannedRun
from holotype.planning.reruns import explain
from holotype.recipe.load import load_recipe
from holotype.review import COLUMNS, ReviewRow, row_text
from holotype.training import FitJob

WriteRecipe = Callable[..., Path]
StepsOf = Callable[[Path], dict[str, str]]
SMALL = ("models.0.input.size=32", "models.0.predict.tta=none")
SLOW = MeasuredSpeed(sizes=(32,), training=(1.0,), inference=(0.01,), building=0.1)  # an epoch of 40 images: 40 seconds
NETWORK_STEPS = (("fit", ""), ("predict", ""), ("predict", " test"))
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that always measures the same, so that plans do not hang on this machine."""
    monkeypatch.setattr(holotype.planning.budget_run, "_measure_speed", lambda *given: (SLOW, "random"))


def events(folder: Path, name: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["event"] == name]


def test_a_budget_is_planned_told_everywhere_and_read_again(
    write_recipe: WriteRecipe, tmp_path: Path, steps_of: StepsOf, slow_machine: None
) -> None:
    recipe = write_recipe(tmp_path, models=[{"backbone": "test_efficientnet", "weights": "none"}])
    folder = run(recipe, changes=SMALL, budget="6m").folder.root
    planned = load_recipe(folder / "recipe.yaml")
    assert planned.split.folds_to_train == "all"
    assert 2 <= planned.models[0].phases[0].epochs <= 3
    history = pl.read_parquet(folder / "models/main/fold2/history.parquet")
    assert history.height == EXTENDED * planned.models[0].phases[0].epochs  # this machine is faster than the probe said
    (told,) = events(folder, "plan")
    assert told["budget"] == 360
    assert f'"epochs": {planned.models[0].phases[0].epochs}' in " ".join(map(str, told["changes"]))  # type: ignore[call-overload]
    assert "were spent on reading and checking" in (folder / "report.html").read_text(encoding="utf-8")
    assert steps_of(folder)["plan"] == "made"

    first = (folder / "oof.parquet").read_bytes()
    time.sleep(0.1)  # a plan made anew would count other seconds
    again = run(recipe, tmp_path / "again", SMALL, budget="6m").folder.root
    assert steps_of(again)["plan"] == "reused"
    assert set(steps_of(again).values()) == {"reused"}
    assert (again / "oof.parquet").read_bytes() == first
    for lost in ("fit", "predict"):  # as if the first run had been killed after its decisions
        shutil.rmtree(tmp_path / ".holotype" / lost)
    resumed = run(recipe, tmp_path / "resumed", SMALL, budget="6m").folder.root
    made = {step for step, state in steps_of(resumed).items() if state != "reused"}
    assert made == {f"{step} main {fold}{part}" for fold in range(3) for step, part in NETWORK_STEPS}
    for name in ("oof.parquet", "recipe.yaml", "submission.csv", "models/main/fold0/weights.safetensors"):
        assert (resumed / name).read_bytes() == (folder / name).read_bytes()

    repeated = run(folder / "recipe.yaml", tmp_path / "repeated").folder.root
    assert not {"fit main 0", "fit main 1"} & {step for step, state in steps_of(repeated).items() if state != "reused"}

    lines = dict(line.split(": ", 1) for line in explain(folder))
    assert set(lines.values()) == {"would be taken from the cache"}
    assert {"plan", "fit main 0"} <= set(lines)


def test_why_names_the_plan_where_the_recipe_changes_under_it(
    write_recipe: WriteRecipe, tmp_path: Path, slow_machine: None
) -> None:
    recipe = write_recipe(tmp_path)
    folder = run(recipe, changes=SMALL, budget="5m").folder.root
    lines = dict(line.split(": ", 1) for line in explain(folder, ("models.0.head.dropout=0.5",)))
    assert lines["plan"].startswith("would run again; changed: ")
    assert lines["fit main 0"] == "depends on plan, which would run first"


def test_a_review_that_takes_a_sample_away_is_planned_for_anew(
    write_recipe: WriteRecipe, tmp_path: Path, steps_of: StepsOf, slow_machine: None
) -> None:
    recipe = write_recipe(tmp_path)
    folder = run(recipe, changes=SMALL, budget="5m").folder.root
    dropped = pl.read_parquet(folder / "folds.parquet")["sample"][0]
    decision = row_text(ReviewRow("sample", dropped, "drop"))
    (tmp_path / "review.csv").write_text(",".join(COLUMNS) + "\n" + decision, encoding="utf-8")
    reviewed = run(recipe, tmp_path / "reviewed", (*SMALL, "data.review=review.csv"), budget="5m").folder.root
    assert steps_of(reviewed)["audit"] == "reused"
    assert steps_of(reviewed)["plan"] == "made"


@pytest.mark.slow
def test_a_real_probe_plans_a_run_that_ends(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, split={"folds_to_train": [1]})
    folder = run(recipe, changes=(*SMALL, "models.0.sampler=shuffle"), budget="90s").folder.root
    assert pl.read_parquet(folder / "models/main/fold1/history.parquet").height >= 2
    assert not (folder / "models/main/fold0").exists()  # the recipe names its fold


@pytest.fixture
def two_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of two recipes: one epoch on one fold, then one epoch on all folds."""

    def plan(source: Path, changes: tuple[str, ...], *rest: object) -> PlannedRun:
        recipes = tuple(
            load_recipe(source, (*changes, "models.0.phases=[{epochs: 1}]", f"split.folds_to_train={folds}"))
            for folds in ("[0]", "all")
        )
        return PlannedRun(recipes, BudgetPlan(60.0, (), (), {"scoring": 0.0}, (0.5, 0.4, 0.6)), {"budget": "60s"})

    monkeypatch.setattr(holotype.api, "plan_for_budget", plan)


def test_a_first_answer_is_written_and_then_replaced(
    write_recipe: WriteRecipe, tmp_path: Path, two_answers: None, capsys: Captured
) -> None:
    recipe = write_recipe(tmp_path)
    folder = run(recipe, changes=SMALL, budget="60s").folder.root
    assert len(list((folder / "models/main").glob("fold*"))) == 3
    assert [event["state"] for event in events(folder, "step") if event["step"] == "fit main 0"] == ["made", "reused"]
    assert f"The first answer is in {folder}" in capsys.readouterr().err


def test_an_interrupted_run_keeps_its_first_answer(
    write_recipe: WriteRecipe, tmp_path: Path, two_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, fit = write_recipe(tmp_path), holotype.training.fit_model

    def interrupt(job: FitJob, *arguments: Any) -> object:
        if job.fold == 2:
            raise KeyboardInterrupt
        return fit(job, *arguments)

    monkeypatch.setattr(holotype.training, "fit_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, changes=SMALL, budget="60s")
    folder = tmp_path / "runs" / "cells"
    assert open_run(folder).folder.root == folder
    assert (folder / "report.html").is_file()
    assert pl.read_csv(folder / "submission.csv").height > 0
    assert [path.name for path in (folder / "models/main").glob("fold*")] == ["fold0"]


REFUSED = {
    "no time": (["--budget", "5 minutes"], "--budget: a budget is a number followed by s, m or h"),
    "too short": (["--budget", "1s"], "--budget: 1 s is too short: "),
    "epochs beside a budget": (
        ["--budget", "5m", "--set", "models.0.phases=[{epochs: 3}]"],
        "holotype: --budget chooses epochs and models itself; it cannot be combined with --set models.0.phases",
    ),
    "two models": (
        ["--budget", "5m", "--set", "models.1={name: other}"],
        "holotype: --budget chooses epochs and models itself",
    ),
}


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_planned_is_one_sentence_and_status_2(
    write_recipe: WriteRecipe, tmp_path: Path, options: list[str], words: str, capsys: Captured
) -> None:
    recipe = write_recipe(tmp_path)
    assert main(["run", str(recipe), *options]) == 2
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("holotype: ")]
    assert words in sentence
    assert not list(tmp_path.glob(".holotype/fit/*"))


def test_a_recipe_with_two_models_is_refused_by_its_place(
    write_recipe: WriteRecipe, tmp_path: Path, capsys: Captured
) -> None:
    recipe = write_recipe(tmp_path, models=[{"name": "one"}, {"name": "two"}])
    assert main(["run", str(recipe), "--budget", "5m"]) == 2
    assert "models: --budget plans a single model, and the recipe has 2; " in capsys.readouterr().err
