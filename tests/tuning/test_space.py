"""The search space as data, and trials in a journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from holotype.recipe.load import Recipe, load_recipe, parse_recipe
from holotype.tuning.space import SPACE, Categorical, NumericRange, search_space, to_overrides
from holotype.tuning.study import (
    TrialRecord,
    begin_trial,
    end_trial,
    importances,
    list_trials,
    open_study,
    report_intermediate,
    suggest,
)
from holotype.tuning.tuned_recipe import tuned_recipe_text

SIZED = search_space((2, 8), None, ["test_efficientnet", "test_resnet"])


def is_a_key(model: type[BaseModel], path: list[str]) -> bool:
    """Whether a path leads to a key, through lists and unions of sections."""
    field = model.model_fields.get(path[0])
    rest = [part for part in path[1:] if not part.isdecimal()]
    if field is None or not rest:
        return field is not None
    inner, found = [field.annotation], []
    while inner:
        kind: Any = inner.pop()
        found += [kind] if isinstance(kind, type) and issubclass(kind, BaseModel) else []
        inner += get_args(kind)
    return any(is_a_key(section, rest) for section in found)


@pytest.mark.parametrize("path", sorted({path for dimension in SPACE for path in dimension.paths}))
def test_every_path_of_the_space_is_a_key_of_the_recipe(path: str) -> None:
    assert is_a_key(Recipe, path.split("."))


def test_a_path_that_is_no_key_is_seen() -> None:
    assert not is_a_key(Recipe, ["models", "0", "head", "drop"])
    assert not is_a_key(Recipe, ["models", "0", "dropout"])


@pytest.mark.parametrize("dimension", SPACE, ids=lambda dimension: dimension.name)
def test_both_ends_and_every_option_are_legal_in_a_recipe(
    dimension: NumericRange | Categorical, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {train: train.csv, images: '{id}.png'}\n")
    ends = (dimension.low, dimension.high) if isinstance(dimension, NumericRange) else tuple(dimension.options)
    for value in ends:
        load_recipe(recipe, to_overrides([dimension], {dimension.name: value}))


def test_given_sizes_and_a_single_backbone_are_not_searched() -> None:
    names = [dimension.name for dimension in search_space((2, 8), 64, ["resnet18"])]
    assert "size" not in names
    assert "backbone" not in names
    (epochs,) = [one for one in search_space((2, 8), 64, [], phase=1) if one.name == "epochs"]
    assert epochs == NumericRange("epochs", "models.0.phases.1.epochs", 2, 8, log_scale=True, is_integer=True)


def searched(journal: Path, trials: int, seed: int = 3) -> list[TrialRecord]:
    """A search whose score is the dropout; those below the median are given up."""
    for _ in range(trials):
        study = open_study(journal)  # as a new process would
        trial = begin_trial(study, seed)
        drawn = suggest(trial, SIZED)
        if report_intermediate(study, trial, 1, drawn["dropout"], 2):
            end_trial(study, trial, None, "pruned")
        else:
            end_trial(study, trial, drawn["dropout"], "finished", 8)
    return list_trials(open_study(journal))


def test_a_seed_draws_the_same_trials_however_often_the_search_is_begun(tmp_path: Path) -> None:
    first, other = searched(tmp_path / "a", 5), searched(tmp_path / "b", 5)
    assert first == other
    assert searched(tmp_path / "c", 5, seed=4) != first
    searched(tmp_path / "d", 2)
    assert searched(tmp_path / "d", 3) == first


def test_an_interrupted_trial_is_gone_on_with(tmp_path: Path) -> None:
    whole = searched(tmp_path / "a", 3)
    searched(tmp_path / "b", 2)
    study = open_study(tmp_path / "b")
    drawn = suggest(begin_trial(study, 3), SIZED)  # and then it is killed
    study = open_study(tmp_path / "b")
    trial = begin_trial(study, 3)
    assert trial.number == 2
    assert suggest(trial, SIZED) == drawn
    end_trial(study, trial, drawn["dropout"], "finished", 8)
    assert list_trials(study)[2].drawn == whole[2].drawn


def test_what_lags_is_pruned_and_the_important_setting_is_found(tmp_path: Path) -> None:
    trials = searched(tmp_path / "a", 20)
    assert {one.state for one in trials} == {"finished", "pruned"}
    best = max(one.score or 0 for one in trials if one.state == "finished")
    assert all((one.score or 0) < best for one in trials if one.state == "pruned")
    shares = importances(open_study(tmp_path / "a"), 3)
    assert next(iter(shares)) == "dropout"
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_journal_is_lines_of_json_and_no_pickle(tmp_path: Path) -> None:
    searched(tmp_path / "a", 1)
    assert all(line.startswith(b"{") for line in (tmp_path / "a").read_bytes().splitlines())


def test_the_recipe_found_says_why(tmp_path: Path) -> None:
    content = {"data": {"train": "/data/train.csv", "images": "{id}.png"}, "models": [{"head": {"dropout": 0.3}}]}
    space = [one for one in SIZED if one.name in {"dropout", "sampler"}]
    best = TrialRecord(4, {"dropout": 0.3, "sampler": "sqrt"}, "finished", 0.8123, 8)
    text = tuned_recipe_text(content, best, 9, space, {"dropout": 0.75, "sampler": 0.25}, ["mind the fold"])
    assert text.startswith("# Written by `holotype tune`: trial 4 of 9, macro F1 0.8123.\n# Warning: mind the fold\n")
    assert "# dropout 0.3, searched from 0 to 0.5; it explains 75% of the variation between scores" in text
    assert "# sampler sqrt, chosen from shuffle, sqrt, balanced; it explains 25%" in text
    assert parse_recipe(content, tmp_path).data.train == "/data/train.csv"
    assert "train: /data/train.csv" in text
