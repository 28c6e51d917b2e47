"""What to train in a given time: a pure function of the data's facts, a short probe of the machine and the budget.

`plan_budget(facts, probe, read_budget("10m"))`
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holotype.errors import InputError, counted
from holotype.plan.costs import DataFacts, Probe, Rung, seconds_of_epoch, seconds_of_parts
from holotype.plan.ladder import UNEVEN, enough_epochs, list_rungs, unevenness

__all__ = ["BudgetPlan", "in_words", "plan_budget", "read_budget"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
AIM = 0.95  # share of the budget that is planned; the rest is for a machine that grows slower
LATE = 1.15  # what may be exceeded before a budget is refused as too short
VOTES = 5  # nearest specimens, where a training is short
SHORTEST, LONGEST = 1.0, 30 * 24 * 3600.0


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
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])\s*", text)
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not SHORTEST <= seconds <= LONGEST:
        raise InputError("a budget is a number with s, m or h", field="--budget", value=text,
                         remedy="write it as in 90s, 10m or 2h; at most 720h")  # fmt: skip
    return seconds


def in_words(seconds: float) -> str:
    """A time as people say it: `45 s`, `7 min`, `2.5 h`.

    Args:
        seconds: How long.
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def plan_budget(
    facts: DataFacts, probe: Probe, budget: float, name: str, member: Mapping[str, Any], phase: Mapping[str, Any]
) -> BudgetPlan:
    """The highest rung of the ladder that fits, with as many epochs as there is time for.

    Args:
        facts: Of the data.
        probe: Of the machine.
        budget: Seconds of the whole command.
        name: The member's name.
        member: What the recipe says of the member, as plain values.
        phase: What the recipe says of its training, as plain values.

    Raises:
        InputError: Nothing fits.
    """
    free = AIM * budget - probe.spent - probe.judging
    rungs = list_rungs(facts)
    fitting = [(rung, epochs) for rung in rungs if (epochs := _epochs(rung, facts, probe, free)) >= rung.least]
    if not fitting:
        least = min(_all_seconds(rung, rung.least, facts, probe) for rung in rungs)
        if least > LATE * AIM * budget:
            raise InputError(
                f"{in_words(budget)} are too short: reading, checking and scores alone take "
                f"{in_words(probe.spent + probe.judging)}, and the least that can be learnt {in_words(least)} in all",
                field="--budget", remedy=f"give it {in_words(least / AIM)} or more",
            )  # fmt: skip
        cheapest = min(rungs, key=lambda rung: _all_seconds(rung, rung.least, facts, probe))
        fitting = [(cheapest, cheapest.least)]
    rung, epochs = fitting[-1]
    later = rungs[rungs.index(rung) + 1 :]
    seconds = {"spent": probe.spent, **seconds_of_parts(rung, facts, probe)}
    seconds |= {"training": epochs * seconds_of_epoch(rung, facts, probe), "judging": probe.judging}
    reasons = [_of_the_time(budget, seconds), _of_the_rung(name, rung, epochs, facts)]
    changes = _changes(rung, epochs, facts, name, member, phase)
    if _votes(rung, epochs, facts):
        changes.append(f"members.0.neighbours={json.dumps({'k': VOTES})}")
        reasons.append(f"The labels of the {VOTES} nearest training specimens vote as well, since after a short "
                       "training the features know more than the last layer says.")  # fmt: skip
    if facts.sampler and unevenness(facts) >= UNEVEN:
        reasons.append(f"Rare classes are drawn more often (sampler: sqrt), since the commonest has "
                       f"{unevenness(facts):.0f} times as many images as the rarest.")  # fmt: skip
    if later:
        more = _all_seconds(later[0], later[0].least, facts, probe) / AIM
        reasons.append(f"Next would come {later[0].words}, for about {in_words(more)}.")
    return BudgetPlan(budget, tuple(changes), tuple(reasons), seconds)


def _votes(rung: Rung, epochs: int, facts: DataFacts) -> bool:
    """Whether neighbours are planned: they gain where the network learns for less than is enough."""
    return facts.neighbours == "open" and rung.votes and (rung.draws is not None or epochs < enough_epochs(facts))


def _epochs(rung: Rung, facts: DataFacts, probe: Probe, free: float) -> int:
    left = free - sum(seconds_of_parts(rung, facts, probe).values())
    return min(int(max(left, 0.0) / seconds_of_epoch(rung, facts, probe)), rung.most)


def _all_seconds(rung: Rung, epochs: int, facts: DataFacts, probe: Probe) -> float:
    beside = sum(seconds_of_parts(rung, facts, probe).values())
    return probe.spent + beside + epochs * seconds_of_epoch(rung, facts, probe) + probe.judging


def _changes(
    rung: Rung, epochs: int, facts: DataFacts, name: str, member: Mapping[str, Any], phase: Mapping[str, Any]
) -> list[str]:
    """What the recipe is changed to."""
    trained = {key: value for key, value in phase.items() if key not in {"size", "freeze", "draws"}}
    trained["epochs"] = epochs
    if rung.draws is not None:
        trained |= {"freeze": "backbone", "draws": rung.draws}
    if trained.get("warm_up", 0) >= epochs:
        trained.pop("warm_up")
    own: dict[str, Any] = {
        "input": {**member.get("input", {}), "size": rung.sizes[0]},
        "phases": [trained],
    }
    if facts.views is None:
        own["predict"] = {**member.get("predict", {}), "views": rung.views}
    if facts.sampler and unevenness(facts) >= UNEVEN:
        own["sampler"] = "sqrt"
    changes = [f"members.0.{key}={json.dumps(value)}" for key, value in own.items()]
    for number, size in enumerate(rung.sizes[1:], start=1):
        other = {**member, **own, "name": f"{name}-{size}", "input": {**own["input"], "size": size}}
        changes.append(f"members.{number}={json.dumps(other)}")
    if facts.use is None:
        changes.append(f"split.use={json.dumps('all' if rung.use is None else list(rung.use))}")
    return changes


def _of_the_time(budget: float, seconds: Mapping[str, float]) -> str:
    beside = seconds["storing"] + seconds["preparing"]
    reserve = budget - sum(seconds.values())
    kept = f"{in_words(reserve)} are kept in reserve" if reserve > 0 else "nothing is kept in reserve"
    return (
        f"Of {in_words(budget)}, {in_words(seconds['spent'])} were spent on reading and checking, "
        f"{in_words(seconds['training'] + beside)} are for training, {in_words(seconds['predicting'])} for predicting, "
        f"{in_words(seconds['judging'])} for scores and the report; {kept}."
    )


def _of_the_rung(name: str, rung: Rung, epochs: int, facts: DataFacts) -> str:
    if rung.draws is not None:
        return (
            f"{name}: the budget is too small to train the whole network, so that the head alone learns, from features "
            f"of a frozen backbone under {counted(rung.draws, 'draw')} of the augmentation, reused over {epochs} "
            f"epochs: {rung.words}."
        )
    enough = ", which is as long as it helps" if epochs == rung.most else ""
    return f"{name}: {rung.words}, {epochs} epochs of {counted(facts.steps, 'step')}{enough}."
