"""Training plan for a time budget: a pure function of the data set size, the measured speed and the budget."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holotype.core.errors import InputError, pluralize
from holotype.planning.candidates import HIGH_IMBALANCE, imbalance_ratio, list_candidates, list_sizes
from holotype.planning.costs import (
    DatasetSize,
    MeasuredSpeed,
    TrainingPlan,
    seconds_of_epoch,
    seconds_of_network_epoch,
    seconds_of_parts,
)
from holotype.planning.expected import PlanValue, expected_probe_value, expected_value
from holotype.planning.first_answer import FirstAnswer, first_answer_changes, plan_first_answer, probe_model
from holotype.planning.pacing import PacedNetwork

__all__ = ["AIM", "BudgetPlan", "format_duration", "plan_budget", "read_budget"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
EXTENDED = 3  # most planned lengths of a training, so that folds stay comparable
AIM = 0.95  # share of the budget that a run aims at, at its beginning and all along
LATE = 1.1  # tolerated overrun before a budget is refused as too short
WORTH_TELLING = 0.01  # gain of value that makes a longer budget worth mentioning
LONGER = (1.5, 2, 3, 4, 6, 8, 12)  # multiples of a budget at which networks may pay
NEIGHBORS = 5  # nearest training images that vote after a short training
MIN_BUDGET, MAX_BUDGET = 1.0, 30 * 24 * 3600.0


@dataclass(frozen=True)
class BudgetPlan:
    """Budget plan: changes to the recipe, their reasons and the planned times.

    Args:
        budget: Seconds of the whole command.
        changes: Overrides of the recipe, in the syntax of `--set`.
        reasons: Sentences that explain the plan.
        seconds: Planned seconds by part: `spent`, `caching`, `preparing`, `training`, `predicting`, `scoring`.
        expected: Expected macro F1, and the ends of its 95 % interval.
        first: Overrides of the recipe for a first, quick answer; empty without one.
        networks: Fields of a `PacedNetwork` each, in the order of their training; empty if their length is fixed.
    """

    budget: float
    changes: tuple[str, ...]
    reasons: tuple[str, ...]
    seconds: dict[str, float]
    expected: tuple[float, float, float]
    first: tuple[str, ...] = ()
    networks: tuple[tuple[str, int, float, float, int, int], ...] = ()

    @property
    def paced_networks(self) -> tuple[PacedNetwork, ...]:
        """Networks whose length follows the time."""
        return tuple(PacedNetwork(*network) for network in self.networks)


def read_budget(text: str) -> float:
    """Parse a time budget such as `90s`, `10m` or `1.5h` into seconds.

    Raises:
        InputError: The text is not a time, or it is out of range.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not MIN_BUDGET <= seconds <= MAX_BUDGET:
        raise InputError(
            "a budget is a number followed by s, m or h",
            field="--budget",
            value=text,
            remedy="write for example 90s, 10m or 2h; at most 720h",
        )
    return seconds


def format_duration(seconds: float) -> str:
    """Format seconds for people: `45 s`, `7 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def plan_budget(
    facts: DatasetSize,
    speed: MeasuredSpeed,
    budget: float,
    name: str,
    model: Mapping[str, Any],
    phase: Mapping[str, Any],
) -> BudgetPlan:
    """Choose the training plan of the largest expected value that fits the budget, with all the epochs that fit.

    Args:
        budget: Seconds of the whole command.
        name: Name of the model.
        model: Settings of the model as written in the recipe.
        phase: Settings of its training phase as written in the recipe.

    Raises:
        InputError: No plan fits.
    """
    first = plan_first_answer(facts, speed, budget, list_sizes(facts)) if facts.first_answer else None
    probe = None if first is None else probe_model(model, first.size)
    answered = speed if first is None else replace(speed, spent=speed.spent + first.seconds)
    candidates = list_candidates(facts)
    choice = _choose(candidates, facts, answered, budget)
    if facts.first_answer and (choice is None or choice.worth.value <= expected_probe_value(facts).value):
        share = LATE * AIM - speed.spent / budget
        only = plan_first_answer(facts, speed, budget, list_sizes(facts), share)
        if only is not None and only.seconds <= share * budget:
            return _plan_first_only(only, model, facts, speed, budget)
    if choice is None:
        cheapest = min(candidates, key=lambda candidate: _total_seconds(candidate, candidate.min_epochs, facts, speed))
        min_seconds = _total_seconds(cheapest, cheapest.min_epochs, facts, speed)
        if min_seconds > LATE * AIM * budget:
            raise InputError(
                f"{format_duration(budget)} is too short: reading, checking and scoring alone take "
                f"{format_duration(speed.spent + speed.scoring)}, and the smallest plan takes "
                f"{format_duration(min_seconds)} in total",
                field="--budget",
                remedy=f"allow {format_duration(min_seconds / AIM)} or more",
            )
        choice = _value_choice(cheapest, cheapest.min_epochs, facts)
    candidate, epochs, worth = choice.candidate, choice.epochs, choice.worth
    seconds = {"spent": speed.spent, **seconds_of_parts(candidate, facts, speed)}
    seconds |= {} if first is None else {"first answer": first.seconds}
    seconds |= {"training": epochs * seconds_of_epoch(candidate, facts, speed), "scoring": speed.scoring}
    reasons = [
        _describe_time(budget, seconds),
        _describe_plan(name, candidate, epochs, facts),
        _describe_expected(candidate, worth, facts),
    ]
    changes = _list_changes(candidate, epochs, facts, name, model, phase)
    if _plans_neighbors(candidate, epochs, facts):
        changes.append(f"models.0.neighbors={json.dumps({'k': NEIGHBORS})}")
        reasons.append(
            f"The labels of the {NEIGHBORS} nearest training images vote as well (neighbors), because after a short "
            "training the features are better than the classifier."
        )
    if facts.sampler and imbalance_ratio(facts) >= HIGH_IMBALANCE:
        reasons.append(
            f"Rare classes are sampled more often (sampler: sqrt), because the most frequent class has "
            f"{imbalance_ratio(facts):.0f} times as many images as the rarest."
        )
    if first is not None and probe is not None:
        changes.append(f"models.{len(candidate.sizes)}={json.dumps(probe)}")
        reasons.insert(2, _describe_first(first))
    longer = _choose(candidates, facts, answered, 2 * budget)
    if longer is not None and longer.worth.value > worth.value + WORTH_TELLING:
        reasons.append(
            f"With {format_duration(2 * budget)}, the plan would be {longer.candidate.description}, "
            f"{longer.epochs} epochs."
        )
    networks = _list_networks(name, candidate, epochs, facts, speed)
    expected = (worth.score, worth.low, worth.high)
    first_changes = () if probe is None else first_answer_changes(probe, changes)
    return BudgetPlan(budget, tuple(changes), tuple(reasons), seconds, expected, first_changes, networks)


def _plan_first_only(
    first: FirstAnswer, model: Mapping[str, Any], facts: DatasetSize, speed: MeasuredSpeed, budget: float
) -> BudgetPlan:
    """The first answer as the whole plan, if there is no time to train a network."""
    changes = first_answer_changes(probe_model(model, first.size), ())
    seconds = {"spent": speed.spent, "first answer": first.seconds}
    worth = expected_probe_value(facts)
    reasons = [
        f"The budget is too small for networks that would be worth more than the first answer: "
        f"{format_duration(budget - speed.spent)} are left after reading and checking.",
        _describe_first(first),
    ]
    candidates = list_candidates(facts)
    for factor in LONGER:
        longer = _choose(candidates, facts, speed, factor * budget)
        if longer is not None and longer.worth.value > worth.value:
            reasons.append(
                f"With {format_duration(factor * budget)}, the plan would add {longer.candidate.description}, "
                f"{longer.epochs} epochs."
            )
            break
    return BudgetPlan(budget, changes, tuple(reasons), seconds, (worth.score, worth.low, worth.high))


def _describe_first(first: FirstAnswer) -> str:
    return (
        f"The first answer comes after about {format_duration(first.seconds)} more: a logistic regression on features "
        f"of the frozen backbone at {first.size} px, for all folds, with submission and report."
    )


@dataclass(frozen=True)
class _Choice:
    candidate: TrainingPlan
    epochs: int
    worth: PlanValue


def _choose(
    candidates: Sequence[TrainingPlan], facts: DatasetSize, speed: MeasuredSpeed, budget: float
) -> _Choice | None:
    """The plan of the largest expected value among those that fit; of equal ones the cheapest."""
    free = AIM * budget - speed.spent - speed.scoring
    fitting = [
        _value_choice(candidate, epochs, facts)
        for candidate in candidates
        if (epochs := _affordable_epochs(candidate, facts, speed, free)) >= candidate.min_epochs
    ]
    return max(fitting, key=lambda choice: choice.worth.value, default=None)


def _value_choice(candidate: TrainingPlan, epochs: int, facts: DatasetSize) -> _Choice:
    return _Choice(candidate, epochs, expected_value(candidate, epochs, facts, list_sizes(facts)[-1]))


def _list_networks(
    name: str, candidate: TrainingPlan, epochs: int, facts: DatasetSize, speed: MeasuredSpeed
) -> tuple[tuple[str, int, float, float, int, int], ...]:
    """Networks in the order of their training; none with a frozen backbone, whose training takes hardly any time."""
    if candidate.draws is not None:
        return ()
    parts = seconds_of_parts(candidate, facts, speed)
    other_seconds = (parts["preparing"] + parts["predicting"]) / (candidate.networks * len(candidate.sizes))
    steps_per_epoch = facts.count_steps(candidate.of_folds)
    numbers = candidate.folds_to_train or tuple(range(candidate.folds))
    labels = [f"fold {number}" for number in numbers] + (["all rows"] if candidate.refit else [])
    return tuple(
        (
            f"{_model_name(name, size, number)}, {label}",
            epochs * steps_per_epoch,
            seconds_of_network_epoch(candidate, size, facts, speed) / steps_per_epoch,
            other_seconds,
            max(min(candidate.min_epochs, epochs) * steps_per_epoch, 1),
            min(candidate.max_epochs, EXTENDED * epochs) * steps_per_epoch,
        )
        for number, size in enumerate(candidate.sizes)
        for label in labels
    )


def _model_name(name: str, size: int, number: int) -> str:
    return name if number == 0 else f"{name}-{size}"


def _plans_neighbors(candidate: TrainingPlan, epochs: int, facts: DatasetSize) -> bool:
    """Whether neighbors are planned: they help if the network trains for fewer epochs than it could use."""
    return facts.neighbors == "open" and (candidate.draws is not None or epochs < candidate.max_epochs)


def _affordable_epochs(candidate: TrainingPlan, facts: DatasetSize, speed: MeasuredSpeed, free: float) -> int:
    left = free - sum(seconds_of_parts(candidate, facts, speed).values())
    return min(int(max(left, 0.0) / seconds_of_epoch(candidate, facts, speed)), candidate.max_epochs)


def _total_seconds(candidate: TrainingPlan, epochs: int, facts: DatasetSize, speed: MeasuredSpeed) -> float:
    fixed_seconds = sum(seconds_of_parts(candidate, facts, speed).values())
    return speed.spent + fixed_seconds + epochs * seconds_of_epoch(candidate, facts, speed) + speed.scoring


def _list_changes(
    candidate: TrainingPlan,
    epochs: int,
    facts: DatasetSize,
    name: str,
    model: Mapping[str, Any],
    phase: Mapping[str, Any],
) -> list[str]:
    """Overrides of the recipe."""
    trained = {key: value for key, value in phase.items() if key not in {"size", "freeze", "augmentation_draws"}}
    trained["epochs"] = epochs
    if candidate.draws is not None:
        trained |= {"freeze": "backbone", "augmentation_draws": candidate.draws}
    if trained.get("warmup_epochs", 0) >= epochs:
        trained.pop("warmup_epochs")
    settings: dict[str, Any] = {"input": {**model.get("input", {}), "size": candidate.sizes[0]}, "phases": [trained]}
    if facts.views is None:
        settings["predict"] = {**model.get("predict", {}), "tta": candidate.views}
    if facts.sampler and imbalance_ratio(facts) >= HIGH_IMBALANCE:
        settings["sampler"] = "sqrt"
    changes = [f"models.0.{key}={json.dumps(value)}" for key, value in settings.items()]
    for number, size in enumerate(candidate.sizes[1:], start=1):
        other = {
            **model,
            **settings,
            "name": _model_name(name, size, number),
            "input": {**settings["input"], "size": size},
        }
        changes.append(f"models.{number}={json.dumps(other)}")
    if facts.folds_to_train is None:
        folds = "all" if candidate.folds_to_train is None else list(candidate.folds_to_train)
        changes.append(f"split.folds_to_train={json.dumps(folds)}")
    if candidate.of_folds != facts.folds:
        changes.append('split.folds="leave-group-out"')
    if facts.final_model is None and candidate.refit:
        changes.append('final_model="refit"')
    return changes


def _describe_time(budget: float, seconds: Mapping[str, float]) -> str:
    fixed_seconds = seconds["caching"] + seconds["preparing"]
    reserve = budget - sum(seconds.values())
    reserve_text = f"{format_duration(reserve)} are held in reserve" if reserve > 0 else "there is no reserve"
    return (
        f"Of {format_duration(budget)}, {format_duration(seconds['spent'])} were spent on reading and checking; "
        f"{format_duration(seconds['training'] + fixed_seconds)} are planned for training, "
        f"{format_duration(seconds['predicting'])} for prediction and "
        f"{format_duration(seconds['scoring'])} for scores and the report; {reserve_text}."
    )


def _describe_plan(name: str, candidate: TrainingPlan, epochs: int, facts: DatasetSize) -> str:
    if candidate.draws is not None:
        return (
            f"{name}: the budget is too small to train the whole network. Only the head is trained, on features of a "
            f"frozen backbone under {pluralize(candidate.draws, 'draw')} of the augmentation, which are reused for "
            f"{epochs} epochs: {candidate.description}."
        )
    enough = ", more would not help" if epochs == candidate.max_epochs else ""
    steps = facts.count_steps(candidate.of_folds)
    return f"{name}: {candidate.description}, {epochs} epochs of {pluralize(steps, 'step')}{enough}."


def _describe_expected(candidate: TrainingPlan, worth: PlanValue, facts: DatasetSize) -> str:
    rows = round(facts.rows * candidate.folds / candidate.of_folds)
    groups = facts.group_count * candidate.folds // candidate.of_folds
    scored = f"{pluralize(rows, 'image')} in {pluralize(groups, 'independent group')}"
    if groups < 2:
        return f"The plan scores {scored}, so the interval of the score will cover all possible values."
    return (
        f"The plan scores {scored}: if macro F1 is {worth.score:.2f}, its 95 % interval will be about "
        f"{worth.low:.2f} to {worth.high:.2f}."
    )
