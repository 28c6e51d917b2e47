"""First answer of a run with a budget: a logistic regression on features of the frozen backbone, for all folds.

It needs one look at every image, so it is ready within about a tenth of the budget. Its run folder is complete; the
plan's own networks replace it, and it stays one of their models, whose weight is fitted out-of-fold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holotype.planning.costs import CACHED_COST, DatasetSize, MeasuredSpeed

__all__ = ["FirstAnswer", "first_answer_changes", "plan_first_answer", "probe_model"]

PROBE = "probe"
SHARE, MAX_SHARE = 0.1, 0.3  # of the budget: what the first answer should take, and the most that it may
FIT_SECONDS = 1e-4  # of a logistic regression, per training image and class


@dataclass(frozen=True)
class FirstAnswer:
    """First answer: input size in pixels of its features, and its planned seconds with scores and report."""

    size: int
    seconds: float


def plan_first_answer(
    facts: DatasetSize, speed: MeasuredSpeed, budget: float, sizes: Sequence[int], share: float = SHARE
) -> FirstAnswer | None:
    """Choose the largest input size whose first answer takes a share of the budget, at most.

    Args:
        budget: Seconds of the whole command.
        sizes: Input sizes in pixels, ascending.
        share: By default a tenth of the budget.

    Returns:
        The smallest size if none is that quick; None if even that takes nearly a third of the budget and more than
        `share`, or without pretrained weights.
    """
    if not facts.pretrained:
        return None
    answers = [FirstAnswer(size, _first_seconds(facts, speed, size)) for size in sizes]
    quick = [answer for answer in answers if answer.seconds <= share * budget]
    if quick:
        return quick[-1]
    return answers[0] if answers[0].seconds <= MAX_SHARE * budget else None


def _first_seconds(facts: DatasetSize, speed: MeasuredSpeed, size: int) -> float:
    everything = facts.rows + facts.joined + facts.test
    images = everything * (speed.inference_seconds_at(size) + speed.reading * CACHED_COST)
    fits = facts.folds * facts.count_training(facts.folds) * max(len(facts.counts), 2) * FIT_SECONDS
    return speed.building + images + fits + speed.scoring


def probe_model(model: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Make the model of the first answer.

    Args:
        model: Settings of the recipe's model as written.
        size: Input size in pixels.
    """
    kept = {key: model[key] for key in ("backbone", "weights", "activation", "classes") if key in model}
    settings = {"input": {**model.get("input", {}), "size": size}, "predict": {"tta": "none"}}
    return {"name": PROBE, **kept, **settings, "classifier": {"kind": "logistic"}}


def first_answer_changes(probe: Mapping[str, Any], changes: Sequence[str]) -> tuple[str, ...]:
    """List the recipe's overrides for the first answer.

    Args:
        probe: From `probe_model`.
        changes: Overrides of the full plan, of which those of the folds count; the first answer scores all folds.
    """
    folds = [change for change in changes if change.startswith("split.folds=")]
    return (f"models={json.dumps([probe])}", 'final_model="folds"', *folds)
