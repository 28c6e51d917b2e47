"""What each step of the pipeline bought, paired on the same samples and the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from holotype.errors import HolotypeError
from holotype.metrics import Judged, bootstrap_interval, draw_groups, paired_difference
from holotype.types import AnyLabels, AnyScores, Integers, Kind

__all__ = ["Against", "Step", "make_ledger"]

Against = Literal["before", "best", "nothing"]
"""What a step is compared with: the step before, the best of all before, or nothing, being another beginning."""

Step = tuple[str, AnyLabels, AnyScores]
"""A step's name, its decisions and its logits, both of shape (n, classes)."""


def make_ledger(
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
    draws = draw_groups(truth, groups, seed)
    ledger: list[dict[str, Any]] = []
    seen: list[Judged] = []
    for number, (name, decided, logits) in enumerate(steps):
        if decided.shape != truth.shape or logits.shape != truth.shape:
            raise HolotypeError(
                f"step {name!r}: decisions {decided.shape} and logits {logits.shape} are not {truth.shape}"
            )
        judged = Judged(truth, decided, logits, kind)
        score = bootstrap_interval(metric, judged, draws)
        entry = {"step": name, "value": score.value, "low": score.low, "high": score.high}
        place = _compared_with(against[number] if number < len(against) else "before", ledger)
        named = None if place is None else ledger[place]["step"]
        difference = None if place is None else paired_difference(metric, seen[place], judged, draws)
        ledger.append(entry | {"against": named, "difference": difference})
        seen.append(judged)
    return ledger


def _compared_with(against: Against, ledger: Sequence[dict[str, Any]]) -> int | None:
    if against == "nothing" or not ledger:
        return None
    if against == "best":
        return max(range(len(ledger)), key=lambda place: float(ledger[place]["value"]))
    return len(ledger) - 1
