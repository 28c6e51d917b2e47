"""What each step of the pipeline bought, paired on the same samples and the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from holotype.core.errors import HolotypeError
from holotype.evaluation.metrics import ScoredSamples, bootstrap_interval, paired_difference, resample_groups
from holotype.types import AnyLabels, AnyScores, Integers, Kind

__all__ = ["Against", "Step", "step_effects"]

Against = Literal["before", "best", "nothing"]
"""What a step is compared with: the step before, the best of all before, or nothing, being another beginning."""

Step = tuple[str, AnyLabels, AnyScores]
"""A step's name, its decisions and its logits, both of shape (n, classes)."""


def step_effects(
    steps: Sequence[Step],
    truth: AnyLabels,
    kind: Kind,
    groups: Integers,
    metric: str,
    seed: int,
    against: Sequence[Against] = (),
) -> list[dict[str, Any]]:
    """What each step came to, and what it changed of the step that it is compared with.

    Args:
        steps: In the order they are taken, all of the same samples.
        truth: Which classes each sample has, shape (n, classes).
        kind: One label a sample, or many.
        groups: The independent group of each sample, shape (n,).
        metric: The recipe's metric.
        seed: The recipe's seed.
        against: What each step is compared with; the step before where nothing is said.

    Returns:
        One entry a step: `step`, `value`, `low`, `high`, `against` (the name of the step it is compared with) and the
        `difference` to it; both None for a step that is another beginning.

    Raises:
        HolotypeError: A step has decisions or logits of another shape.
    """
    resamples = resample_groups(truth, groups, seed)
    effects: list[dict[str, Any]] = []
    scored_steps: list[ScoredSamples] = []
    for number, (name, decided, logits) in enumerate(steps):
        if decided.shape != truth.shape or logits.shape != truth.shape:
            raise HolotypeError(
                f"step {name!r}: decisions {decided.shape} and logits {logits.shape} are not {truth.shape}"
            )
        scored = ScoredSamples(truth, decided, logits, kind)
        score = bootstrap_interval(metric, scored, resamples)
        entry = {"step": name, "value": score.value, "low": score.low, "high": score.high}
        reference = _reference_index(against[number] if number < len(against) else "before", effects)
        reference_name = None if reference is None else effects[reference]["step"]
        difference = (
            None if reference is None else paired_difference(metric, scored_steps[reference], scored, resamples)
        )
        effects.append(entry | {"against": reference_name, "difference": difference})
        scored_steps.append(scored)
    return effects


def _reference_index(against: Against, effects: Sequence[dict[str, Any]]) -> int | None:
    if against == "nothing" or not effects:
        return None
    if against == "best":
        return max(range(len(effects)), key=lambda index: float(effects[index]["value"]))
    return len(effects) - 1
