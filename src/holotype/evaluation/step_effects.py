"""Step effects: the gain of each pipeline step, paired on the same samples and bootstrap draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from holotype.core.errors import HolotypeError
from holotype.evaluation.metrics import ScoredSamples, bootstrap_interval, paired_difference, resample_groups
from holotype.types import AnyLabels, AnyScores, Integers, Kind

Against = Literal["before", "best", "nothing"]
"""Reference of a step: the step before, the best of all before, or none (a new start)."""

Step = tuple[str, AnyLabels, AnyScores]
"""Name, decisions and logits of a step; the arrays have shape (n, classes)."""


def step_effects(
    steps: Sequence[Step],
    truth: AnyLabels,
    kind: Kind,
    groups: Integers,
    metric: str,
    seed: int,
    against: Sequence[Against] = (),
) -> list[dict[str, Any]]:
    """Score each step and its difference from a reference step, by default the step before.

    Returns one entry per step: `step`, `value`, `low`, `high`, `against` (name of the reference step) and `difference`;
    the last two are None without a reference. Raises HolotypeError if a step has decisions or logits of another shape.
    """
    resamples = resample_groups(truth, groups, seed)
    effects: list[dict[str, Any]] = []
    scored_steps: list[ScoredSamples] = []
    for number, (name, decided, logits) in enumerate(steps):
        if decided.shape != truth.shape or logits.shape != truth.shape:
            raise HolotypeError(
                f"step {name!r}: decisions {decided.shape} and logits {logits.shape} must have shape {truth.shape}"
            )
        scored = ScoredSamples(truth, decided, logits, kind)
        score = bootstrap_interval(metric, scored, resamples)
        entry = {"step": name, "value": score.value, "low": score.low, "high": score.high}
        reference = _reference_index(against[number] if number < len(against) else "before", effects)
        comparison: dict[str, Any] = {"against": None, "difference": None}
        if reference is not None:
            difference = paired_difference(metric, scored_steps[reference], scored, resamples)
            comparison = {"against": effects[reference]["step"], "difference": difference}
        effects.append(entry | comparison)
        scored_steps.append(scored)
    return effects


def _reference_index(against: Against, effects: Sequence[dict[str, Any]]) -> int | None:
    if against == "nothing" or not effects:
        return None
    if against == "best":
        return max(range(len(effects)), key=lambda index: float(effects[index]["value"]))
    return len(effects) - 1
