"""What to train in a given time: a pure function of the data's facts, a short probe of the machine and the budget.

`plan_budget(facts, probe, read_budget("10m"))`
"""

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
AIM = 0.95  # share of the budget that is planned; the rest is for a machine that grows slower
LATE = 1.15  # what may be exceeded before a budget is refused as too short
NEIGHBORS = 5  # nearest specimens, where a training is short
MIN_BUDGET, MAX_BUDGET = 1.0, 30 * 24 * 3600.0


@dataclass(frozen=True)
class BudgetPlan:
    """What a budget buys.

    Args:
        budget: Seconds of the whole command.
        changes: What the recipe is changed to, as `--set` takes it.
        reasons: Why, in sentences.
        seconds: Planned seconds by part: `spent`, `storing`, `preparing`, `training`, `predicting`, `judging`.
    """

    budget: float
    changes: tuple[str, ...]
    reasons: tuple[str, ...]
    seconds: dict[str, float]


def read_budget(text: str) -> float:
    """Seconds of a budget.

    Args:
        text: As in `90s`, `10m`, `1.5h`.

    Raises:
        InputError: It is no such time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not MIN_BUDGET <= seconds <= MAX_BUDGET:
        raise InputError(
            "a budget is a number with s, m or h",
            field="--budget",
            value=text,
            remedy="write it as in 90s, 10m or 2h; at most 720h",
        )
    return seconds


def format_duration(seconds: float) -> str:
    """A time as people say it: `45 s`, `7 min`, `2.5 h`.

    Args:
        seconds: How long.
    """
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
    """The highest rung of the ladder that fits, with as many epochs as there is time for.

    Args:
        facts: Of the data.
        speed: Of the machine.
        budget: Seconds of the whole command.
        name: The model's name.
        model: What the recipe says of the model, as plain values.
        phase: What the recipe says of its training, as plain values.

    Raises:
        InputError: Nothing fits.
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
                f"{format_duration(budget)} are too short: reading, checking and scores alone take "
                f"{format_duration(speed.spent + speed.scoring)}, and the least that can be learnt "
                f"{format_duration(min_seconds)} in all",
                field="--budget",
                remedy=f"give it {format_duration(min_seconds / AIM)} or more",
            )
        cheapest = min(candidates, key=lambda candidate: _total_seconds(candidate, candidate.min_epochs, facts, speed))
        fitting = [(cheapest, cheapest.min_epochs)]
    candidate, epochs = fitting[-1]
    later = candidates[candidates.index(candidate) + 1 :]
    seconds = {"spent": speed.spent, **seconds_of_parts(candidate, facts, speed)}
    seconds |= {"training": epochs * seconds_of_epoch(candidate, facts, speed), "judging": speed.scoring}
    reasons = [_describe_time(budget, seconds), _describe_plan(name, candidate, epochs, facts)]
    changes = _list_changes(candidate, epochs, facts, name, model, phase)
    if _plans_neighbors(candidate, epochs, facts):
        changes.append(f"models.0.neighbors={json.dumps({'k': NEIGHBORS})}")
        reasons.append(
            f"The labels of the {NEIGHBORS} nearest training specimens vote as well, since after a short "
            "training the features know more than the last layer says."
        )
    if facts.sampler and imbalance_ratio(facts) >= HIGH_IMBALANCE:
        reasons.append(
            f"Rare classes are drawn more often (sampler: sqrt), since the commonest has "
            f"{imbalance_ratio(facts):.0f} times as many images as the rarest."
        )
    if later:
        more = _total_seconds(later[0], later[0].min_epochs, facts, speed) / AIM
        reasons.append(f"Next would come {later[0].description}, for about {format_duration(more)}.")
    return BudgetPlan(budget, tuple(changes), tuple(reasons), seconds)


def _plans_neighbors(candidate: TrainingPlan, epochs: int, facts: DatasetSize) -> bool:
    """Whether neighbors are planned: they gain where the network learns for less than is enough."""
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
    """What the recipe is changed to."""
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
    fixed_seconds = seconds["storing"] + seconds["preparing"]
    reserve = budget - sum(seconds.values())
    reserve_text = f"{format_duration(reserve)} are kept in reserve" if reserve > 0 else "nothing is kept in reserve"
    return (
        f"Of {format_duration(budget)}, {format_duration(seconds['spent'])} were spent on reading and checking, "
        f"{format_duration(seconds['training'] + fixed_seconds)} are for training, "
        f"{format_duration(seconds['predicting'])} for predicting, "
        f"{format_duration(seconds['judging'])} for scores and the report; {reserve_text}."
    )


def _describe_plan(name: str, candidate: TrainingPlan, epochs: int, facts: DatasetSize) -> str:
    if candidate.draws is not None:
        return (
            f"{name}: the budget is too small to train the whole network, so that the head alone learns, from features "
            f"of a frozen backbone under {pluralize(candidate.draws, 'draw')} of the augmentation, reused over "
            f"{epochs} "
            f"epochs: {candidate.description}."
        )
    enough = ", which is as long as it helps" if epochs == candidate.max_epochs else ""
    return f"{name}: {candidate.description}, {epochs} epochs of {pluralize(facts.steps, 'step')}{enough}."
