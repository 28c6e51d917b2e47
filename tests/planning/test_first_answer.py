"""The first, quick answer of a budget: a classifier on frozen features before any network."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from holotype.planning.budget import AIM, BudgetPlan, plan_budget
from holotype.planning.candidates import list_candidates
from holotype.planning.costs import DatasetSize, MeasuredSpeed
from holotype.planning.first_answer import plan_first_answer

NUCLEI = DatasetSize(
    rows=2383, joined=0, test=894, folds=5, longest=64, counts=(438, 31, 150), batch=32, first_answer=True
)
SPEED = MeasuredSpeed(
    sizes=(64, 96),
    training=(1 / 95, 1 / 60),
    inference=(1 / 300, 1 / 190),
    reading=2e-4,
    building=0.5,
    saving=0.05,
    scoring=5.0,
    spent=12.0,
)
MODEL: dict[str, Any] = {"backbone": "resnet18", "input": {"normalize": "dataset"}, "augment": {"flip": False}}


def plan(seconds: float, facts: DatasetSize = NUCLEI) -> BudgetPlan:
    """The plan of a model with settings of its own."""
    return plan_budget(facts, SPEED, seconds, "main", MODEL, {})


def test_the_first_answer_is_one_model_of_frozen_features_on_all_folds() -> None:
    first = dict(change.split("=", 1) for change in plan(600).first)
    (probe,) = json.loads(first["models"])
    assert probe == {
        "name": "probe",
        "backbone": "resnet18",
        "input": {"normalize": "dataset", "size": 96},
        "predict": {"tta": "none"},
        "classifier": {"kind": "logistic"},
    }
    assert first.keys() == {"models", "final_model"}


def test_it_stays_a_model_of_the_plan() -> None:
    planned = plan(1800)
    changes = dict(change.split("=", 1) for change in planned.changes)
    assert (
        json.loads(changes["models.1"])
        == json.loads(dict(change.split("=", 1) for change in planned.first)["models"])[0]
    )
    assert [label for label, *_ in planned.networks] == [f"main, fold {fold}" for fold in range(5)]


def test_it_has_the_folds_of_the_plan() -> None:
    slides = replace(NUCLEI, rows=380, counts=(99, 84, 61, 38, 38, 30, 23, 7), groups=11, open_folds=True)
    assert 'split.folds="leave-group-out"' in plan(3600, slides).changes
    assert 'split.folds="leave-group-out"' in plan(3600, slides).first


@pytest.mark.parametrize("budget", [120, 300, 600, 3600])
def test_it_takes_about_a_tenth_of_the_budget_and_counts_towards_it(budget: float) -> None:
    planned = plan(budget)
    assert planned.seconds["first answer"] <= max(0.1 * budget, 30)
    assert sum(planned.seconds.values()) <= AIM * budget + 1e-9


def test_a_budget_too_small_for_a_network_buys_the_first_answer_alone() -> None:
    planned = plan(75)
    assert planned.first == ()
    assert planned.networks == ()
    assert '"classifier": {"kind": "logistic"}' in planned.changes[0]
    assert "too small for networks" in planned.reasons[0]
    assert sum(planned.seconds.values()) <= 75


def test_there_is_none_without_pretrained_weights_or_where_images_take_too_long() -> None:
    sizes = (64, 96)
    assert plan_first_answer(replace(NUCLEI, pretrained=False), SPEED, 600, sizes) is None
    slow = replace(SPEED, reading=1.0)
    assert plan_first_answer(NUCLEI, slow, 600, sizes) is None
    assert plan_first_answer(NUCLEI, SPEED, 100, sizes) is not None
    assert plan(600, replace(NUCLEI, first_answer=False)).first == ()


def test_it_replaces_the_plans_of_a_frozen_backbone() -> None:
    assert not any(candidate.draws for candidate in list_candidates(NUCLEI))
    assert any(candidate.draws for candidate in list_candidates(replace(NUCLEI, first_answer=False)))


def test_one_fold_of_few_groups_is_worth_less_than_the_first_answer_of_all() -> None:
    slides = replace(NUCLEI, rows=380, counts=(99, 84, 61, 38, 38, 30, 23, 7), groups=11)
    slow = replace(SPEED, training=(1 / 20, 1 / 12), inference=(1 / 60, 1 / 40))
    short, long = (plan_budget(slides, slow, seconds, "main", MODEL, {}) for seconds in (120, 3600))
    assert short.networks == ()
    assert "the plan would add" in short.reasons[-1]
    assert len(long.networks) == 5
