"""A dry run for people: what changed comes first, then the steps in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holotype.cli.dry_run import TITLES, explain_reruns, group_steps, list_causes
from holotype.cli.main import main
from holotype.planning.reruns import StepForecast

KEPT = [StepForecast(f"fit main {fold}", "", "kept") for fold in (0, 1, 2)]


def runs(step: str, *changed: str, is_new: bool = False) -> StepForecast:
    return StepForecast(step, "", "runs", changed, is_new)


def test_steps_of_one_kind_are_one_line_in_the_order_in_which_they_run() -> None:
    steps = [
        StepForecast("images", "", "kept"),
        *KEPT,
        runs("predict main 0"),
        runs("predict main 0 test"),
        runs("predict main 2"),
        runs("predict main 2 test"),
        StepForecast("reviewed run", "", "follows"),
    ]
    assert group_steps(steps) == [
        ("would run", "predict with main, folds 0, 2"),
        ("would run", "predict with main (test), folds 0, 2"),
        ("would follow", "reviewed run"),
        ("from the cache", "read the tables"),
        ("from the cache", "train main, folds 0 to 2"),
    ]
    assert group_steps([runs("pixels 64"), runs("fit main 1 round 1 HeLa")]) == [
        ("would run", "cache the images at 64 px"),
        ("would run", "train main (round 1 HeLa), fold 1"),
    ]


def test_causes_are_keys_files_versions_and_results_that_are_gone() -> None:
    settings = [("models.0.backbone", ("resnet18", "resnet34"))]
    steps = [
        runs("images", "table train.csv", "recipe: labels"),
        runs("fit main 0", "recipe: backbone", "weights", "network"),
        runs("fit main 1", "recipe: backbone", "weights", "libraries"),
        runs("fit second 0", is_new=True),
        runs("predict main 0"),
    ]
    assert list_causes(steps, settings) == [
        "models.0.backbone: resnet18 → resnet34",
        "the file train.csv",
        "PyTorch or timm has another version",
        "the cached result of 1 step is gone",
    ]
    assert list_causes(steps[1:2], []) == [
        "the setting backbone of the step 'fit main 0'",
        "the file of initial weights is another one",
    ]
    assert list_causes(KEPT, []) == []


def test_a_dry_run_begins_with_the_key_that_changed(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(finished / "recipe.yaml")
    command = ["run", recipe, "--out", str(finished), "--dry-run", "--set", "models.0.predict.tta=flips"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("changed: models.0.predict.tta: ")
    assert lines[0].endswith(" → flips")
    assert lines[1] == "would run: predict with main, folds 0 to 2"
    assert lines[-1].startswith("6 of ")
    states = [line.partition(":")[0] for line in lines[1:-1]]
    assert states == sorted(states, key=["would run", "would follow", "from the cache"].index)


def test_every_step_of_a_run_is_described(finished: Path) -> None:
    result: Any = explain_reruns(finished / "recipe.yaml", (), finished, None)
    assert {step["step"].split(" ")[0] for step in result.data["steps"]} <= set(TITLES)


def test_a_first_run_has_no_causes_and_says_why(finished: Path, tmp_path: Path) -> None:
    result: Any = explain_reruns(finished / "recipe.yaml", (), tmp_path / "new", None)
    assert result.data["causes"] == []
    assert result.lines[0] == f"note: there is no earlier run in {tmp_path / 'new'}"


def test_steps_behind_an_unknown_result_are_said_to_depend_on_it(finished: Path) -> None:
    result: Any = explain_reruns(finished / "recipe.yaml", ("audit.near_duplicate_bits=3",), finished, None)
    assert result.lines[:2] == [
        "changed: audit.near_duplicate_bits: 6 → 3",
        "would run: look for duplicates and bad images",
    ]
    assert "more depend on the result of audit, so only the run can tell." in result.lines[-1]
