"""What a budget buys, from made-up facts and paces: the ladder's order, the time it keeps to, and the words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.core.errors import InputError
from holotype.planning.budget import AIM, BudgetPlan, format_duration, plan_budget, read_budget
from holotype.planning.candidates import list_candidates, max_epochs, probe_sizes
from holotype.planning.costs import DatasetSize, MeasuredSpeed, count_views, seconds_of_epoch, seconds_of_parts
from holotype.recipe.load import Recipe, parse_recipe

NUCLEI = DatasetSize(
    rows=2383, joined=0, test=894, folds=5, longest=64, counts=(438, 31, 150), batch=32, pretrained=True
)
LEAVES = DatasetSize(rows=693, joined=0, test=297, folds=5, longest=384, counts=(7,) * 99, batch=32)
SLIDES = DatasetSize(
    rows=380,
    joined=0,
    test=200,
    folds=5,
    longest=64,
    counts=(99, 84, 61, 38, 38, 30, 23, 7),
    batch=32,
    groups=11,
    open_folds=True,
)
QUICK = MeasuredSpeed(
    sizes=(64, 96),
    training=(1 / 95, 1 / 60),
    inference=(1 / 300, 1 / 190),
    reading=2e-4,
    building=0.5,
    saving=0.05,
    scoring=5.0,
    spent=12.0,
)


def bought(budget: str, facts: DatasetSize = NUCLEI, probe: MeasuredSpeed = QUICK) -> tuple[BudgetPlan, Recipe]:
    """The plan, and the recipe that its changes make, read as the command line reads it."""
    plan = plan_budget(facts, probe, read_budget(budget), "main", {}, {"lr": 0.002})
    content: dict[str, object] = {
        "data": {"train": "train.csv", "images": "{id}.png"},
        "models": [{}],
        "split": {},
        "final_model": "folds",
    }
    for change in plan.changes:
        address, _, value = change.partition("=")
        *path, last = address.split(".")
        place: object = content
        for key in path:
            place = place[int(key)] if isinstance(place, list) else place[key]  # type: ignore[index]
        if isinstance(place, list):
            place.append(json.loads(value))
        else:
            place[last] = json.loads(value)  # type: ignore[index]
    return plan, parse_recipe(content, Path())


def structure(plan: BudgetPlan, recipe: Recipe) -> tuple[int, int | str, int]:
    """Input size, trained folds ("groups" if each group is one) and number of models."""
    folds = 5 if recipe.split.folds_to_train == "all" else len(recipe.split.folds_to_train)
    return recipe.models[0].input.size, "groups" if recipe.split.folds != 5 else folds, len(recipe.models)  # type: ignore[return-value]


def test_a_tiny_budget_buys_a_head_on_frozen_features_and_says_so() -> None:
    plan, recipe = bought("1m")
    (phase,) = recipe.models[0].phases
    assert (phase.freeze, phase.augmentation_draws, phase.lr) == ("backbone", 1, 0.002)
    assert plan.networks == ()  # of a fixed length
    assert any("too small to train the whole network" in reason for reason in plan.reasons)


def test_all_folds_come_before_large_images_and_these_before_a_second_model() -> None:
    structures = [structure(*bought(budget)) for budget in ("2m", "15m", "30m", "8h")]
    assert structures == [(64, 1, 1), (64, 5, 1), (96, 5, 1), (96, 5, 2)]


def test_few_groups_are_all_scored_before_long_trainings() -> None:
    """The case of 380 images on 11 slides in five minutes: one fold of 78 epochs told nothing of the score."""
    plan, recipe = bought("5m", SLIDES)
    assert structure(plan, recipe) == (64, 5, 1)
    assert 10 <= recipe.models[0].phases[0].epochs <= 20
    score, low, high = plan.expected
    assert low < score < high
    assert high - low < 0.25


def test_with_time_each_of_few_groups_is_left_out_in_turn() -> None:
    _, recipe = bought("60m", SLIDES)
    assert recipe.split.folds == "leave-group-out"
    for facts in (replace(SLIDES, open_folds=False), replace(SLIDES, groups=13)):
        assert bought("60m", facts)[1].split.folds == 5


def test_a_single_fold_is_followed_by_a_network_on_all_rows() -> None:
    one_fold = replace(NUCLEI, folds_to_train=(0,))
    plan, recipe = bought("15m", one_fold)
    assert recipe.final_model == "refit"
    assert [network[0] for network in plan.networks] == ["main, fold 0", "main, all rows"]
    assert bought("15m", replace(one_fold, final_model="folds"))[1].final_model == "folds"
    assert bought("60m")[1].final_model == "folds"


def test_epochs_by_hand() -> None:
    """At 96 px an epoch of 1,906 images takes 31.8 s, looking at the fold's 477 another 2.5, and at all of them 8.5."""
    plan, recipe = bought("30m")
    epoch = 1906 / 60 + 477 / 190 + 0.05
    beside = (4 * (477 + 894) + 1906 + 477 + 894) / 190 + 1.1
    epochs = int((0.95 * 1800 - 12 - 5 - 3277 * 2e-4 * 1.5 - 5 * beside) / (5 * epoch))
    assert recipe.models[0].phases[0].epochs == epochs == 8
    assert plan.seconds["training"] == pytest.approx(5 * epochs * epoch)
    label, steps, step_seconds, other_seconds, fewest, most = plan.networks[4]
    assert (label, steps, fewest) == ("main, fold 4", 8 * 59, 2 * 59)
    assert step_seconds == pytest.approx(epoch / 59)
    assert other_seconds == pytest.approx(beside)
    assert most == max_epochs(list_candidates(NUCLEI)[-1], NUCLEI) * 59


def test_no_more_epochs_than_the_learning_curve_earns() -> None:
    one_fold = replace(NUCLEI, folds_to_train=(0,))
    plan, recipe = bought("8h", one_fold)
    epochs = recipe.models[0].phases[0].epochs
    assert 10 <= epochs <= 15
    assert "more would not help" in plan.reasons[1]
    assert bought("8h", LEAVES)[1].models[0].phases[0].epochs > 40  # of 17 steps


@given(minutes=st.integers(2, 60))
def test_property_a_longer_budget_is_worth_more(minutes: int) -> None:
    shorter, longer = (bought(f"{budget}m", SLIDES)[0] for budget in (minutes, 2 * minutes))
    assert longer.expected[1] >= shorter.expected[1] - 0.03


def test_from_all_folds_on_most_of_a_budget_is_spent() -> None:
    for minutes in range(12, 45, 4):
        plan, _ = bought(f"{minutes}m")
        assert sum(plan.seconds.values()) > 0.8 * 60 * minutes, minutes


def test_rare_classes_are_drawn_more_often_unless_the_recipe_says_how() -> None:
    assert bought("5m")[1].models[0].sampler == "sqrt"
    assert bought("5m", LEAVES)[1].models[0].sampler == "shuffle"
    assert bought("5m", replace(NUCLEI, sampler=False))[1].models[0].sampler == "shuffle"


@pytest.mark.parametrize(("budget", "votes"), [("1m", True), ("2m", True), ("10m", True), ("2h", False)])
def test_the_nearest_specimens_vote_where_the_training_is_short(budget: str, votes: bool) -> None:
    plan, recipe = bought(budget)
    assert (recipe.models[0].neighbors is not None) == votes
    assert any("5 nearest training images" in reason for reason in plan.reasons) == votes
    assert bought(budget, replace(NUCLEI, neighbors="none"))[1].models[0].neighbors is None


def test_neighbours_that_the_recipe_asks_for_cost_time_on_every_rung() -> None:
    given, none = (
        next(
            plan
            for plan in list_candidates(replace(NUCLEI, neighbors=policy))
            if len(plan.sizes) == 2 and plan.folds == 5
        )
        for policy in ("required", "none")
    )
    more = seconds_of_parts(given, NUCLEI, QUICK)["predicting"] - seconds_of_parts(none, NUCLEI, QUICK)["predicting"]
    assert more == pytest.approx(
        5 * (1906 + 477 + 894) * (QUICK.inference_seconds_at(96) + QUICK.inference_seconds_at(128))
    )


def test_what_is_given_stays() -> None:
    facts = replace(NUCLEI, size=128, folds_to_train=(1, 2), views="none")
    for budget in ("5m", "20m", "8h"):
        plan, recipe = bought(budget, facts)
        assert {model.input.size for model in recipe.models} == {128}
        assert not any("views" in change for change in plan.changes[:3])  # nor the views
        assert recipe.split.folds_to_train == "all"  # the changes do not name it


def test_without_weights_nothing_is_frozen() -> None:
    assert not any(rung.draws for rung in list_candidates(replace(NUCLEI, pretrained=False)))


def test_the_probe_looks_at_the_ends_of_the_ladder() -> None:
    assert probe_sizes(NUCLEI) == (64, 96)
    assert probe_sizes(LEAVES) == (64, 160)
    assert probe_sizes(replace(NUCLEI, longest=40)) == (64,)


def test_a_budget_that_reading_alone_uses_up_is_refused_with_what_would_do() -> None:
    with pytest.raises(InputError, match=r"--budget: 20 s is too short: .* allow \d+ s or more"):
        bought("20s")


@given(
    st.floats(60, 1e5),
    st.integers(100, 50_000),
    st.integers(2, 10),
    st.floats(1e-4, 0.2),
    st.integers(20, 2000),
    st.integers(1, 500),
)
def test_what_fits_is_planned_within_its_share_of_the_budget(
    budget: float, rows: int, folds: int, pace: float, longest: int, rarest: int
) -> None:
    facts = replace(NUCLEI, rows=rows, folds=folds, longest=longest, counts=(500, rarest))
    sizes = probe_sizes(facts)
    probe = replace(
        QUICK, sizes=sizes, training=(pace, 2 * pace)[: len(sizes)], inference=(pace / 3, pace)[: len(sizes)]
    )
    fits = [
        rung
        for rung in list_candidates(facts)
        if sum(seconds_of_parts(rung, facts, probe).values()) + rung.min_epochs * seconds_of_epoch(rung, facts, probe)
        <= AIM * budget - probe.spent - probe.scoring
    ]
    if not fits:
        return
    plan = plan_budget(facts, probe, budget, "main", {}, {})
    assert sum(plan.seconds.values()) <= AIM * budget * (1 + 1e-9)
    assert all(reason.endswith(".") for reason in plan.reasons)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2 h ", 7200)])
def test_budgets_are_read_with_their_units(text: str, seconds: float) -> None:
    assert read_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "ten minutes", "5d", "-3m", "0s", "1e3s", "9999h"])
def test_what_is_no_time_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError, match="--budget: a budget is a number followed by s, m or h"):
        read_budget(text)


def test_one_more_network_on_all_rows_costs_as_much_as_a_fold() -> None:
    once, again = (
        seconds_of_epoch(list_candidates(replace(NUCLEI, final_model=name))[-1], NUCLEI, QUICK)
        for name in ("folds", "refit")
    )
    assert again / once == pytest.approx(6 / 5)


def test_views_are_counted() -> None:
    drawn, windows = {"train_augmentation": 32, "plain": 1}, {"crops": 4, "image_size": 768}
    assert [count_views(views) for views in ("none", "flips", "d4", drawn, windows)] == [1, 4, 8, 33, 4]


def test_times_are_said_as_people_say_them() -> None:
    assert [format_duration(seconds) for seconds in (42.4, 420, 9000)] == ["42 s", "7 min", "2.5 h"]
