"""What each step of the pipeline bought, paired on the same samples and the same draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holotype.errors import HolotypeError
from holotype.metrics import Judged, bootstrap_interval, draw_groups, paired_difference
from holotype.score.units import independent_units
from holotype.types import AnyLabels, AnyScores, Integers, Labels

__all__ = ["Step", "make_ledger"]

Step = tuple[str, AnyLabels, AnyScores]
"""A step's name, its decisions and its logits, both of shape (n, classes)."""


def make_ledger(
    steps: Sequence[Step], labels: Labels, samples: Integers, metric: str, seed: int
) -> list[dict[str, Any]]:
    """One entry a step: `step`, `value`, `low`, `high` and `difference` to the step before (None for the first).

    Args:
        steps: In the order they are taken, all of the same samples.
        labels: The samples of the run.
        samples: The numbers of the scored ones, shape (n,).
        metric: The recipe's metric.
        seed: The recipe's seed.

    Raises:
        HolotypeError: A step has decisions or logits of another shape.
    """
    truth = labels.truth(samples)
    draws = draw_groups(truth, independent_units(labels, samples), seed)
    ledger: list[dict[str, Any]] = []
    before: Judged | None = None
    for name, decided, logits in steps:
        if decided.shape != truth.shape or logits.shape != truth.shape:
            raise HolotypeError(
                f"step {name!r}: decisions {decided.shape} and logits {logits.shape} are not {truth.shape}"
            )
        judged = Judged(truth, decided, logits, labels.kind)
        score = bootstrap_interval(metric, judged, draws)
        difference = None if before is None else paired_difference(metric, before, judged, draws)
        ledger.append(
            {"step": name, "value": score.value, "low": score.low, "high": score.high, "difference": difference}
        )
        before = judged
    return ledger
