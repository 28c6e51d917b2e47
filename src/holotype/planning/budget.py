"""Training plan for a time budget: a pure function of the data set size, the measured speed and the budget."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holotype.core.errors import InputError, pluralize
from holotype.planning.candidates import HIGH_IMBALANCE, imbalance_ratio, list_candidates, sufficient_epochs
from holotype.planning.costs import DatasetSize, MeasuredSpeed, TrainingPlan, seconds_of_epoch, seconds_of_parts

__all__ = ["BudgetPlan", "format_duration", "plan_budget", "read_budget"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
AIM = 0.95  # planned share of the budget; the rest is a reserve for a machine that slows down
LATE = 1.15  # tolerated overrun before a budget is refused as too short
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
    """

    budget: float
    changes: tuple[str, ...]
    reasons: tuple[str, ...]
    seconds: dict[str, float]


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
    """Choose the largest training plan that fits the budget, with as many epochs as there is time for.

    Args:
        budget: Seconds of the whole command.
        name: Name of the model.
        model: Settings of the model as written in the recipe.
        phase: Settings of its training phase as written in the recipe.

    Raises:
        InputError: No plan fits.
    """
    free = AIM * budget - speed.spent - speed.scoring
    candidates = list_candidates(facts)
    fitting = [
        (candidate, epochs)
        for candidate in candidates
        if (epochs := _affordable_epochs(candidate, facts, speed, free)) >= candidate.min_epochs
    ]
    if not fitting:
        min_seconds = min(_total_seconds(candidate, candidate.min_epochs, facts, speed) for candidate in candidates)
        if min_seconds > LATE * AIM * budget:
            raise InputError(
                f"{format_duration(budget)} is too short: reading, checking and scoring alone take "
                f"{format_duration(speed.spent + speed.scoring)}, and the smallest plan takes "
                f"{format_duration(min_seconds)} in total",
                field="--budget",
                remedy=f"allow {format_duration(min_seconds / AIM)} or more",
            )
        cheapest = min(candidates, key=lambda candidate: _total_seconds(candidate, candidate.min_epochs, facts, speed))
        fitting = [(cheapest, cheapest.min_epochs)]
    candidate, epochs = fitting[-1]
    later = candidates[candidates.index(candidate) + 1 :]
    seconds = {"spent": speed.spent, **seconds_of_parts(candidate, facts, speed)}
    seconds |= {"training": epochs * seconds_of_epoch(candidate, facts, speed), "scoring": speed.scoring}
    reasons = [_describe_time(budget, seconds), _describe_plan(name, candidate, epochs, facts)]
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
    if later:
        more = _total_seconds(later[0], later[0].min_epochs, facts, speed) / AIM
        reasons.append(f"The next larger plan is {later[0].description}; it needs about {format_duration(more)}.")
    return BudgetPlan(budget, tuple(changes), tuple(reasons), seconds)


def _plans_neighbors(candidate: TrainingPlan, epochs: int, facts: DatasetSize) -> bool:
    """Whether neighbors are planned: they help if the network trains for fewer epochs than is sufficient."""
    return (
        facts.neighbors == "open"
        and candidate.neighbors
        and (candidate.draws is not None or epochs < sufficient_epochs(facts))
    )


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
        other = {**model, **settings, "name": f"{name}-{size}", "input": {**settings["input"], "size": size}}
        changes.append(f"models.{number}={json.dumps(other)}")
    if facts.folds_to_train is None:
        folds = "all" if candidate.folds_to_train is None else list(candidate.folds_to_train)
        changes.append(f"split.folds_to_train={json.dumps(folds)}")
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
    return f"{name}: {candidate.description}, {epochs} epochs of {pluralize(facts.steps, 'step')}{enough}."
